"""Weights reach this disk whole and checked, or an error says why not."""

import errno
import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any, Protocol

import pytest

from dpt_cli.checkpoint import integrity
from dpt_cli.checkpoint.fetch import fetch, locate, verify
from dpt_cli.checkpoint.integrity import WeightsFile, expected_path
from dpt_cli.checkpoint.specs import CheckpointSpec, InputSpec, OutputSpec, Source
from dpt_cli.errors import FetchError
from dpt_cli.model.architectures import ARCHITECTURES
from loopback_hub import LoopbackHub, commit_of, refused_url

REPO = "Somebody/dpt"
COMMIT = "11eaf7a1cf4bd70740697dbc216f98980c0aeb03"
CONTENT = bytes(range(256)) * 40
OTHER = bytes(reversed(CONTENT))  # as long as CONTENT
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OTHER_SHA256 = hashlib.sha256(OTHER).hexdigest()
CORRUPT_SHA256 = hashlib.sha256(
    CONTENT[: len(CONTENT) // 2]
    + bytes([CONTENT[len(CONTENT) // 2] ^ 0xFF])
    + CONTENT[len(CONTENT) // 2 + 1 :]
).hexdigest()


class Environment(Protocol):
    def set(self, **variables: str) -> None: ...


class Heard(list[str]):
    """Every line `notify` got."""

    def __call__(self, line: str) -> None:
        self.append(line)


def spec_of(*sources: Source) -> CheckpointSpec:
    return CheckpointSpec(
        task="depth",
        name="tiny",
        title="Tiny",
        architecture=ARCHITECTURES["hybrid-depth"],
        num_parameters=1,
        input=InputSpec((384, 384), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        output=OutputSpec("inverse_depth"),
        licence="MIT",
        reported="nothing",
        sources=sources,
    )


def hub_source(file: str = "model.safetensors", **fields: Any) -> Source:
    return Source(
        **{"kind": "hub", "layout": "dpt", "repo": REPO, "revision": COMMIT, "file": file} | fields
    )


def release_source(url: str, **fields: Any) -> Source:
    file = url.rsplit("/", 1)[1]
    return Source(**{"kind": "release", "layout": "dpt", "file": file, "url": url} | fields)


def fetched(*sources: Source, **options: bool) -> WeightsFile:
    """Fetch and expect nothing to say."""
    heard = Heard()
    weights = fetch(spec_of(*sources), notify=heard, **options)
    assert heard == []
    return weights


def failure(*sources: Source, **options: bool) -> str:
    with pytest.raises(FetchError) as caught:
        fetch(spec_of(*sources), notify=Heard(), **options)
    return str(caught.value)


def files_below(folder: Path) -> list[Path]:
    """Return every file that holds weights or a piece of them."""
    kept = [path for path in folder.rglob("*") if path.is_file() or path.is_symlink()]
    return [path for path in kept if path.stat(follow_symlinks=False).st_size > 1000]


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def change_unnoticed(path: Path, content: bytes) -> None:
    """Write other content of the same length and set the time back."""
    status = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.fixture
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the second http_get sleeps between retries."""
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _seconds: None)


@pytest.fixture
def small_pieces(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have http_get write every 1000 bytes, not 10 MiB; what it has not written is lost."""
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1000)


# Sources: the Hub


@pytest.mark.parametrize(
    ("fields", "etag", "checked"),
    [
        ({"sha256": SHA256}, "", "sha256"),
        ({"sha256": SHA256.upper()}, "", "sha256"),
        ({"sha256_prefix": SHA256[:8]}, "", "first 8 digits of sha256, weak"),
        ({"sha256": SHA256, "size": len(CONTENT)}, "", "sha256"),
        ({}, "", "the Hub's own sha256, weak"),
    ],
)
def test_a_hub_file_is_checked_with_the_best_hash_known(
    home: Path, hub: LoopbackHub, fields: dict[str, Any], etag: str, checked: str
) -> None:
    hub.add(REPO, COMMIT, "model.safetensors", CONTENT, etag=etag)
    weights = fetched(hub_source(**fields))
    assert weights.path.read_bytes() == CONTENT
    assert (weights.sha256, weights.checked) == (SHA256, checked)


@pytest.mark.parametrize("symlinks", ["0", "1"])
def test_what_was_checked_is_still_known_the_next_time(
    environment: Environment, home: Path, hub: LoopbackHub, symlinks: str
) -> None:
    environment.set(HF_HUB_DISABLE_SYMLINKS=symlinks)
    hub.add(REPO, COMMIT, "model.safetensors", CONTENT)
    first = fetched(hub_source())
    assert first.checked == "the Hub's own sha256, weak"
    assert fetched(hub_source()) == first


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({}, f"/{REPO}/resolve/{COMMIT}/model.safetensors"),
        ({"repo_type": "space"}, f"/spaces/{REPO}/resolve/{COMMIT}/model.safetensors"),
        ({"revision": "refs/pr/5"}, f"/{REPO}/resolve/refs/pr/5/model.safetensors"),
        ({"file": "weights/a.pt"}, f"/{REPO}/resolve/{COMMIT}/weights/a.pt"),
    ],
)
def test_a_hub_file_is_where_locate_looks(
    home: Path, hub: LoopbackHub, fields: dict[str, Any], path: str
) -> None:
    source = hub_source(**fields)
    hub.add(REPO, source.revision, source.file, CONTENT, repo_type=source.repo_type)
    weights = fetched(source)
    assert {request.path for request in hub.requests} == {path}
    assert locate(spec_of(source)) == (source, weights.path)
    assert weights.path == expected_path(source)
    assert weights.path.is_relative_to(home / "hub")


def test_the_hub_may_send_us_to_another_host(home: Path, hub: LoopbackHub) -> None:
    hub.add(REPO, COMMIT, "model.safetensors", CONTENT, redirect=True)
    assert fetched(hub_source()).checked == "the Hub's own sha256, weak"
    assert hub.gets("/cdn/")


def test_the_token_is_sent_to_the_hub(
    environment: Environment, home: Path, hub: LoopbackHub
) -> None:
    environment.set(HF_TOKEN="hf_secret")
    hub.add(REPO, COMMIT, "model.safetensors", CONTENT)
    fetched(hub_source())
    assert {request.authorization for request in hub.requests} == {"Bearer hf_secret"}


# Order


def test_a_file_on_this_disk_needs_no_network(home: Path, hub: LoopbackHub) -> None:
    hub.add(REPO, COMMIT, "model.safetensors", CONTENT)
    first = fetched(hub_source())
    hub.requests.clear()
    assert fetched(hub_source()) == first
    assert hub.requests == []


def test_a_later_source_on_this_disk_wins_over_the_network(home: Path, hub: LoopbackHub) -> None:
    hub.add(REPO, COMMIT, "model.safetensors", CONTENT)
    there = hub_source("there.safetensors", sha256=SHA256)
    put(expected_path(there), CONTENT)
    assert fetched(hub_source(), there).source == there
    assert hub.requests == []


FAULTS = [
    ({"status": 404, "error_code": "EntryNotFound"}, "no such file in the repository"),
    ({"status": 401, "error_code": "RepoNotFound"}, "no such repository, or it is private"),
    ({"status": 404, "error_code": "RevisionNotFound"}, "no such revision in the repository"),
    ({"status": 403, "error_code": "GatedRepo"}, "the repository is gated"),
    ({"status": 403}, "the server answered 403 Forbidden"),
    ({"status": 500}, "the server answered 500 Internal Server Error"),
    ({"status": 503}, "the server answered 503 Service Unavailable"),
    ({"truncate": 5000}, "the connection broke off: "),
    ({"corrupt": True}, f"found {CORRUPT_SHA256}"),
]


@pytest.mark.parametrize(("faults", "reason"), FAULTS)
def test_a_failing_source_is_told_once_and_the_next_one_tried(
    home: Path, hub: LoopbackHub, no_waits: None, faults: dict[str, Any], reason: str
) -> None:
    hub.add(REPO, COMMIT, "bad.bin", CONTENT, **faults)
    hub.add(REPO, COMMIT, "good.bin", CONTENT)
    bad, good = hub_source("bad.bin"), hub_source("good.bin")
    heard = Heard()
    assert fetch(spec_of(bad, good), notify=heard).source == good
    (line,) = heard
    assert line.startswith(f"{bad}: ")
    assert reason in line
    assert line.endswith(f"; trying {good}")
    assert "\n" not in line


@pytest.mark.parametrize("missing", ["file", "revision", "repo"])
def test_what_is_missing_is_named(home: Path, hub: LoopbackHub, missing: str) -> None:
    hub.add(REPO, COMMIT, "model.safetensors", CONTENT)
    reasons = {"file": "no such file", "revision": "no such revision", "repo": "no such repository"}
    other = {"file": "x.bin", "revision": "f" * 40, "repo": "Nobody/dpt"}[missing]
    assert reasons[missing] in failure(hub_source(**{missing: other}))


def test_an_absent_server_is_asked_only_once(
    environment: Environment, home: Path, hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", slept.append)
    with refused_url() as nobody:
        environment.set(HF_ENDPOINT=nobody)
        message = failure(hub_source(), release_source(f"{nobody}/a.pt", sha256=SHA256))
    assert message.count("no connection: ") == 2
    assert slept == []


def test_an_ailing_hub_is_not_asked_for_long(home: Path, hub: LoopbackHub, no_waits: None) -> None:
    hub.add(REPO, COMMIT, "model.safetensors", CONTENT, status=503)
    failure(hub_source())
    assert len(hub.requests) == 3


def test_when_all_fail_each_reason_and_the_way_out_are_told(home: Path, hub: LoopbackHub) -> None:
    hub.add(REPO, COMMIT, "a.bin", CONTENT, status=500)
    hub.add(REPO, COMMIT, "b.bin", CONTENT, corrupt=True)
    sources = (
        hub_source("a.bin"),
        hub_source("b.bin"),
        release_source(f"{hub.url}/c.pt", sha256=SHA256),
    )
    heard = Heard()
    with pytest.raises(FetchError) as caught:
        fetch(spec_of(*sources), notify=heard)
    message = str(caught.value)
    assert len(heard) == 2
    assert "depth/tiny" in message
    assert f"{sources[0]}: the server answered 500" in message
    assert f"{sources[1]}: wrong content" in message
    assert f"{sources[2]}: the server answered 404" in message
    assert "--weights FILE" in message
    assert "dpt models path" in message


def test_weights_nobody_published(home: Path) -> None:
    assert failure() == (
        "no weights of depth/tiny were ever published; give a file with --weights FILE"
    )


def test_a_full_disk_is_named(
    home: Path, hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    hub.add(REPO, COMMIT, "model.safetensors", CONTENT)
    monkeypatch.setattr("dpt_cli.checkpoint.download._append", full)
    assert f"no space left on the disk of {home}" in failure(hub_source())


def test_a_cache_that_cannot_be_written_is_named(home: Path, hub: LoopbackHub) -> None:
    put(home, b"a file, where the folder should be")
    hub.add(REPO, COMMIT, "model.safetensors", CONTENT)
    release = release_source(hub.add_release("a.pt", CONTENT), sha256=SHA256)
    assert failure(hub_source(), release).count(str(home)) == 2


# Wrong content


def test_corrupt_content_shows_both_hashes_and_leaves_nothing(home: Path, hub: LoopbackHub) -> None:
    hub.add(REPO, COMMIT, "model.safetensors", CONTENT, corrupt=True)
    message = failure(hub_source())
    assert SHA256 in message
    assert CORRUPT_SHA256 in message
    assert files_below(home) == []
    assert locate(spec_of(hub_source())) is None


def test_a_mended_hub_mends_the_cache(home: Path, hub: LoopbackHub) -> None:
    hub.add(REPO, COMMIT, "model.safetensors", CONTENT, corrupt=True)
    failure(hub_source())
    hub.add(REPO, COMMIT, "model.safetensors", CONTENT)
    assert fetched(hub_source()).path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    "fields",
    [
        {"sha256": OTHER_SHA256},
        {"sha256_prefix": OTHER_SHA256[:8]},
        {"sha256_prefix": SHA256[:8], "size": len(CONTENT) + 1},
    ],
)
def test_another_file_than_promised_is_refused(
    home: Path, hub: LoopbackHub, fields: dict[str, Any]
) -> None:
    hub.add(REPO, COMMIT, "model.safetensors", CONTENT)
    assert f"found {SHA256}" in failure(hub_source(**fields))
    assert files_below(home) == []


def test_a_copy_that_went_bad_is_replaced(home: Path, hub: LoopbackHub) -> None:
    hub.add(REPO, COMMIT, "model.safetensors", CONTENT)
    source = hub_source()
    fetched(source).path.write_bytes(OTHER)
    heard = Heard()
    assert fetch(spec_of(source), notify=heard).path.read_bytes() == CONTENT
    (line,) = heard
    assert line.startswith(f"the copy of {source} on this disk: wrong content")
    assert line.endswith(f"; trying {source}")


def test_a_bad_copy_stays_until_the_right_one_is_here(home: Path, hub: LoopbackHub) -> None:
    source = hub_source(sha256=SHA256)
    shared = put(home / "hub" / "blobs" / "ab" / "shared", OTHER)
    blob = home / "hub" / f"models--{REPO.replace('/', '--')}" / "blobs" / SHA256
    pointer = expected_path(source)
    for link, target in ((blob, shared), (pointer, blob)):
        link.parent.mkdir(parents=True)
        link.symlink_to(os.path.relpath(target, link.parent))
    assert str(pointer) in failure(source, offline=True)
    assert pointer.read_bytes() == OTHER


def test_a_users_own_file_behind_a_link_stays(home: Path, hub: LoopbackHub, tmp_path: Path) -> None:
    own = put(tmp_path / "own.safetensors", OTHER)
    pointer = expected_path(hub_source())
    pointer.parent.mkdir(parents=True)
    pointer.symlink_to(own)
    hub.add(REPO, COMMIT, "model.safetensors", CONTENT)
    assert f"{pointer} is another file" in failure(hub_source(sha256=SHA256))
    assert own.read_bytes() == OTHER
    assert pointer.resolve() == own
    assert hub.gets() == []


# Broken transfers


@pytest.mark.parametrize("kind", ["hub", "release"])
def test_a_dropped_connection_is_resumed(
    home: Path, hub: LoopbackHub, no_waits: None, small_pieces: None, kind: str
) -> None:
    hub.add(REPO, COMMIT, "model.safetensors", CONTENT, drop_once=5000)
    url = hub.add_release("a.pt", CONTENT, drop_once=5000)
    source = hub_source() if kind == "hub" else release_source(url, sha256=SHA256)
    assert fetched(source).path.read_bytes() == CONTENT
    assert [request.range for request in hub.gets()] == ["", "bytes=5000-"]


@pytest.mark.parametrize("kind", ["hub", "release"])
def test_half_a_file_never_has_a_final_name(
    home: Path, hub: LoopbackHub, no_waits: None, kind: str
) -> None:
    hub.add(REPO, COMMIT, "model.safetensors", CONTENT, truncate=5000)
    url = hub.add_release("a.pt", CONTENT, truncate=5000)
    source = hub_source() if kind == "hub" else release_source(url, sha256=SHA256)
    assert "the connection broke off" in failure(source)
    assert not expected_path(source).exists()


@pytest.mark.parametrize(
    ("begun", "faults", "ranges"),
    [
        (CONTENT[:3000], {}, ["bytes=3000-"]),
        (CONTENT[:3000], {"no_ranges": True}, ["bytes=3000-"]),
        (CONTENT, {}, ["bytes=10240-"]),
        (OTHER[:3000], {}, ["bytes=3000-", ""]),
        (CONTENT + b"more", {}, ["bytes=10244-", ""]),
    ],
    ids=["half", "half, no ranges", "whole", "half of another", "too long"],
)
def test_a_begun_release_download_is_gone_on_with(
    home: Path, hub: LoopbackHub, begun: bytes, faults: dict[str, Any], ranges: list[str]
) -> None:
    source = release_source(hub.add_release("a.pt", CONTENT, **faults), sha256=SHA256)
    put(home / "dpt" / "weights" / "a.pt.part", begun)
    assert fetched(source).path.read_bytes() == CONTENT
    assert [request.range for request in hub.gets()] == ranges


def test_an_interrupted_release_download_is_kept(
    home: Path, hub: LoopbackHub, no_waits: None, small_pieces: None
) -> None:
    failure(release_source(hub.add_release("a.pt", CONTENT, truncate=5000), sha256=SHA256))
    source = release_source(hub.add_release("a.pt", CONTENT), sha256=SHA256)
    hub.requests.clear()
    assert fetched(source).path.read_bytes() == CONTENT
    assert [request.range for request in hub.gets()] == ["bytes=5000-"]


# Sources: releases and bundled files


@pytest.mark.parametrize("redirect", [False, True])
def test_a_release_is_kept_in_our_own_folder(home: Path, hub: LoopbackHub, redirect: bool) -> None:
    url = hub.add_release("a-b12dca68.pt", CONTENT, redirect=redirect)
    source = release_source(url, sha256_prefix=SHA256[:8])
    weights = fetched(source)
    assert weights.path == expected_path(source) == home / "dpt" / "weights" / "a-b12dca68.pt"
    assert weights.path.read_bytes() == CONTENT
    assert weights.checked == "first 8 digits of sha256, weak"
    assert files_below(home) == [weights.path]


def test_a_corrupt_release_leaves_nothing(home: Path, hub: LoopbackHub) -> None:
    source = release_source(hub.add_release("a.pt", CONTENT, corrupt=True), sha256=SHA256)
    assert CORRUPT_SHA256 in failure(source)
    assert files_below(home) == []


def test_an_interrupt_passes_and_leaves_no_final_file(
    home: Path, hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    source = release_source(hub.add_release("a.pt", CONTENT), sha256=SHA256)
    monkeypatch.setattr(hashlib, "file_digest", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch(spec_of(source), notify=Heard())
    assert not expected_path(source).exists()


def test_two_at_once_download_a_release_once(home: Path, hub: LoopbackHub) -> None:
    content = CONTENT * 2000  # 20 MB: long enough for both to be under way
    url = hub.add_release("a.pt", content)
    source = release_source(url, sha256=hashlib.sha256(content).hexdigest())
    start = Barrier(2)

    def one(_: int) -> Path:
        start.wait()
        return fetched(source).path

    with ThreadPoolExecutor(2) as pool:
        paths = list(pool.map(one, range(2)))
    assert paths[0] == paths[1]
    assert len(hub.gets()) == 1


def test_a_bundled_file_is_used_where_it_lies(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(integrity, "_PACKAGE", tmp_path)
    path = put(tmp_path / "bundled" / "tiny.safetensors", CONTENT)
    source = Source("bundled", "dpt", "bundled/tiny.safetensors", sha256=SHA256)
    assert fetched(source, offline=True) == WeightsFile(path, source, SHA256, "sha256")


def test_a_wrong_bundled_file_is_refused_and_stays(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(integrity, "_PACKAGE", tmp_path)
    path = put(tmp_path / "tiny.safetensors", OTHER)
    source = Source("bundled", "dpt", "tiny.safetensors", sha256=SHA256)
    assert "install dpt again" in failure(source, offline=True)
    assert path.read_bytes() == OTHER


def test_a_missing_bundled_file_is_told(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(integrity, "_PACKAGE", tmp_path)
    source = Source("bundled", "dpt", "tiny.safetensors", sha256=SHA256)
    assert f"{tmp_path / 'tiny.safetensors'} is missing; install dpt again" in failure(source)


# Offline


@pytest.mark.parametrize("by_variable", [False, True])
def test_offline_asks_nobody_and_says_where_it_looked(
    environment: Environment, home: Path, hub: LoopbackHub, by_variable: bool
) -> None:
    environment.set(HF_HUB_OFFLINE="1" if by_variable else "0")
    hub.add(REPO, COMMIT, "model.safetensors", CONTENT)
    release = release_source(hub.add_release("a.pt", CONTENT), sha256=SHA256)
    message = failure(hub_source(), release, offline=not by_variable)
    assert hub.requests == []
    snapshot = home / "hub" / "models--Somebody--dpt" / "snapshots" / COMMIT
    assert str(snapshot / "model.safetensors") in message
    assert str(home / "dpt" / "weights" / "a.pt") in message
    assert "by hand" in message
    assert "--weights FILE" in message


@pytest.mark.parametrize(
    "source",
    [
        hub_source(sha256=SHA256),
        hub_source(sha256=SHA256, revision="refs/pr/5"),
        hub_source("weights/a.pt", sha256=SHA256, repo_type="space"),
        release_source("http://nobody.invalid/a.pt", sha256=SHA256),
    ],
    ids=["commit", "reference", "space", "release"],
)
def test_a_file_put_by_hand_where_the_message_says_is_used(home: Path, source: Source) -> None:
    message = failure(source, offline=True)
    path = put(expected_path(source), CONTENT)
    assert str(path) in message
    assert fetched(source, offline=True).path == path


def test_a_cached_reference_is_found_at_its_commit(home: Path) -> None:
    source = hub_source(revision="refs/pr/5")
    repository = home / "hub" / "models--Somebody--dpt"
    put(repository / "refs" / "refs" / "pr" / "5", commit_of("any").encode())
    path = put(repository / "snapshots" / commit_of("any") / "model.safetensors", CONTENT)
    assert locate(spec_of(source)) == (source, path)


# Stamps


@pytest.fixture
def no_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust the clock of file times to the nanosecond, as if seconds lay between all changes."""
    monkeypatch.setattr("dpt_cli.checkpoint.stamp.TICK_NS", 0)


@pytest.fixture
def cached(home: Path, hub: LoopbackHub) -> tuple[Source, Path]:
    """Return a source whose file was fetched, and the file itself."""
    hub.add(REPO, COMMIT, "model.safetensors", CONTENT)
    return hub_source(), fetched(hub_source()).path.resolve()


def test_an_unchanged_file_is_not_hashed_again(
    no_tick: None, cached: tuple[Source, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashlib, "file_digest", None)
    assert fetched(cached[0]).sha256 == SHA256


def test_a_stamp_does_not_outlive_another_promise(
    cached: tuple[Source, Path],
) -> None:
    message = failure(hub_source(sha256=OTHER_SHA256), offline=True)
    assert f"expected sha256 {OTHER_SHA256}" in message


@pytest.mark.parametrize("change", ["time", "size", "path"])
def test_a_changed_file_is_hashed_again(
    cached: tuple[Source, Path], home: Path, change: str
) -> None:
    source, path = cached
    if change == "size":
        change_unnoticed(path, OTHER + b"more")
    else:
        path.write_bytes(OTHER)
    if change == "path":
        status = expected_path(source).stat()
        other = put(home / "hub" / "elsewhere", OTHER)
        os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
        expected_path(source).unlink()
        expected_path(source).symlink_to(other)
        source = hub_source(sha256=SHA256)
    assert "wrong content" in failure(source, offline=True)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff", None])
def test_a_damaged_stamp_only_means_hashing_again(
    cached: tuple[Source, Path], home: Path, content: bytes | None
) -> None:
    (stamp,) = (home / "dpt" / "verified").glob("*.json")
    if content is None:
        stamp.unlink()
    else:
        stamp.write_bytes(content)
    change_unnoticed(cached[1], OTHER)
    assert "wrong content" in failure(cached[0], offline=True)


def test_a_stamp_that_cannot_be_written_is_no_failure(home: Path, hub: LoopbackHub) -> None:
    put(home / "dpt" / "verified", b"a file, where the folder should be")
    hub.add(REPO, COMMIT, "model.safetensors", CONTENT)
    assert fetched(hub_source()) == fetched(hub_source())


def test_a_downloaded_release_is_not_hashed_again(
    no_tick: None, home: Path, hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = release_source(hub.add_release("a.pt", CONTENT), sha256=SHA256)
    first = fetched(source)
    monkeypatch.setattr(hashlib, "file_digest", None)
    assert fetched(source) == first


# verify


def test_verify_hashes_again(cached: tuple[Source, Path]) -> None:
    source, path = cached
    assert verify(spec_of(source)) == fetched(source)
    change_unnoticed(path, OTHER)
    with pytest.raises(FetchError, match=f"{SHA256}.*{OTHER_SHA256}"):
        verify(spec_of(source))
    assert path.read_bytes() == OTHER


def test_what_verify_refused_is_replaced_by_the_next_fetch(cached: tuple[Source, Path]) -> None:
    source, path = cached
    change_unnoticed(path, OTHER)
    with pytest.raises(FetchError):
        verify(spec_of(source))
    assert fetch(spec_of(source), notify=Heard()).path.read_bytes() == CONTENT


def test_verify_without_a_file_says_where_it_looked(home: Path, hub: LoopbackHub) -> None:
    with pytest.raises(FetchError) as caught:
        verify(spec_of(hub_source()))
    assert str(expected_path(hub_source())) in str(caught.value)
    assert hub.requests == []


# A process of its own, with nothing patched


def test_the_environment_of_a_process_is_honoured(hub: LoopbackHub, tmp_path: Path) -> None:
    hub.add(REPO, COMMIT, "model.safetensors", CONTENT)
    program = (
        "import sys\n"
        "from test_fetch import *\n"
        "spec = spec_of(hub_source())\n"
        "assert locate(spec) is None\n"
        "assert 'huggingface_hub.file_download' not in sys.modules, 'locate is slow'\n"
        "sys.stdout.write(str(fetch(spec, notify=Heard()).path))\n"
    )
    variables = {"HF_HOME": str(tmp_path / "h"), "HF_HUB_CACHE": str(tmp_path / "c")}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ
        | variables
        | {
            "HF_ENDPOINT": hub.url,
            "NO_PROXY": "*",
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path]),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout).is_relative_to(tmp_path / "c")
    assert Path(done.stdout).read_bytes() == CONTENT
    assert (tmp_path / "h" / "dpt" / "verified").is_dir()
