"""What a hostile registry, mirror or release server can not do to this disk."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from dpt_cli.checkpoint.fetch import fetch
from dpt_cli.checkpoint.integrity import expected_path
from dpt_cli.checkpoint.registry import load_registry
from dpt_cli.checkpoint.specs import CheckpointSpec, InputSpec, OutputSpec, Source
from dpt_cli.errors import FetchError, RegistryError
from front_door import FrontDoor
from loopback_hub import LoopbackHub
from small_models import row, to_toml

REPO = "Somebody/dpt"
COMMIT = "11eaf7a1cf4bd70740697dbc216f98980c0aeb03"
CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()
EVIL = bytes(reversed(CONTENT))
EVIL_SHA256 = hashlib.sha256(EVIL).hexdigest()
FILE = "model.safetensors"


def hub_source(**fields: Any) -> Source:
    return Source(
        **{"kind": "hub", "layout": "dpt", "repo": REPO, "revision": COMMIT, "file": FILE} | fields
    )


def release_source(url: str, **fields: Any) -> Source:
    file = url.rpartition("/")[2]
    given = {"kind": "release", "layout": "dpt", "file": file, "url": url, "sha256": SHA256}
    return Source(**given | fields)


def spec_of(*sources: Source) -> CheckpointSpec:
    spec = load_registry().find("depth", "tiny")
    return CheckpointSpec(
        **{**vars(spec), "sources": sources, "name": "mine"}
        | {"input": InputSpec((96, 96), (0.5,) * 3, (0.5,) * 3)}
        | {"output": OutputSpec("inverse_depth")}
    )


def refusal(*sources: Source) -> str:
    with pytest.raises(FetchError) as caught:
        fetch(spec_of(*sources), notify=lambda _line: None)
    return str(caught.value)


def everything_in(folder: Path) -> dict[str, int]:
    found = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {str(path.relative_to(folder)): path.stat().st_size for path in found}


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Wait for nothing; return how long was to be waited."""
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    return slept


# Registries

HOSTILE_FIELDS: dict[str, dict[str, Any]] = {
    "a folder above": {"file": "../../../.bashrc"},
    "a folder above in between": {"file": "a/../../b.pt"},
    "an absolute file": {"file": "/etc/passwd"},
    "a Windows folder above": {"file": "..\\..\\b.pt"},
    "a Windows drive": {"file": "C:b.pt"},
    "a Windows share": {"file": "\\\\server\\share"},
    "a Windows device": {"file": "NUL.pt"},
    "a hidden file": {"file": ".netrc"},
    "an end Windows drops": {"file": "b.pt."},
    "a zero byte": {"file": "b\0.pt"},
    "a line": {"file": "b\n.pt"},
    "nothing": {"file": ""},
    "a double separator": {"file": "a//b.pt"},
    "a repository above": {"repo": "../.."},
    "an absolute repository": {"repo": "/tmp/x"},
    "a repository too deep": {"repo": "a/b/c"},
    "a revision above": {"revision": "../../../../etc"},
    "an absolute revision": {"revision": "/etc"},
    "a Windows revision": {"revision": "..\\..\\x"},
    "a kind of repository": {"repo_type": "../x"},
    "a short hash": {"sha256": "abc"},
    "a hash of no digits": {"sha256": "g" * 64},
    "a short prefix": {"sha256_prefix": "ab"},
    "a size below zero": {"size": -1},
    "a size of words": {"size": "1"},
}


@pytest.mark.parametrize("case", HOSTILE_FIELDS)
def test_a_row_that_names_more_than_a_file_is_refused(tmp_path: Path, case: str) -> None:
    source = {"kind": "hub", "layout": "dpt", "repo": REPO, "revision": COMMIT, "file": "a/b.pt"}
    registry = tmp_path / "weights.toml"
    hostile = row("depth", [source | HOSTILE_FIELDS[case]])
    registry.write_text(to_toml({"depth": {"mine": hostile}}), encoding="utf-8")
    with pytest.raises(RegistryError, match="mine"):
        load_registry(registry)


@pytest.mark.parametrize(
    "fields",
    [
        {"file": "a/b.pt"},
        {"file": "../b.pt"},
        {"url": "ftp://example.org/b.pt"},
        {"url": "file:///etc/passwd"},
        {"url": "//example.org/b.pt"},
    ],
    ids=str,
)
def test_a_release_is_one_file_at_a_web_address(tmp_path: Path, fields: dict[str, str]) -> None:
    source = {"kind": "release", "layout": "dpt", "file": "b.pt", "url": "https://example.org/b.pt"}
    registry = tmp_path / "weights.toml"
    hostile = row("depth", [source | fields])
    registry.write_text(to_toml({"depth": {"mine": hostile}}), encoding="utf-8")
    with pytest.raises(RegistryError, match="mine"):
        load_registry(registry)


def test_a_registry_nobody_named_has_only_https(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "http://example.org/b.pt"
    source = {"kind": "release", "layout": "dpt", "file": "b.pt", "url": url}
    registry = tmp_path / "weights.toml"
    registry.write_text(to_toml({"depth": {"mine": row("depth", [source])}}), encoding="utf-8")
    assert load_registry(registry).rows
    monkeypatch.setattr("dpt_cli.checkpoint.registry.default_registry_path", lambda: registry)
    with pytest.raises(RegistryError, match="https"):
        load_registry()


def test_a_row_with_another_hash_leaves_a_sound_file_alone(home: Path, hub: LoopbackHub) -> None:
    hub.add(REPO, COMMIT, FILE, CONTENT)
    url = hub.add_release("a.pt", CONTENT)
    honest = hub_source(sha256=SHA256), release_source(url)
    paths = [fetch(spec_of(it), notify=lambda _line: None).path for it in honest]
    hub.add(REPO, COMMIT, FILE, EVIL)
    evil_url = hub.add_release("evil/a.pt", EVIL)
    for source in (
        hub_source(sha256=EVIL_SHA256),
        release_source(evil_url, sha256=EVIL_SHA256),
        hub_source(sha256="0" * 64),
        release_source(url, sha256="0" * 64),
    ):
        message = refusal(source)
        assert "removed" not in message.replace("remove it by hand", "")
        assert str(expected_path(source)) in message
    assert [path.read_bytes() for path in paths] == [CONTENT, CONTENT]
    assert [fetch(spec_of(it), notify=lambda _line: None).sha256 for it in honest] == [SHA256] * 2


@pytest.mark.parametrize("fault", [{"endless": True}, {}], ids=["no length", "a length"])
def test_a_download_stops_at_the_size_of_its_row(
    home: Path, hub: LoopbackHub, fault: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1000)
    url = hub.add_release("a.pt", CONTENT, **fault)
    assert "longer than 5000 bytes" in refusal(release_source(url, size=5000))
    assert max(everything_in(home).values(), default=0) <= 5000


def test_a_download_of_no_size_stops_somewhere(
    home: Path, hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dpt_cli.checkpoint.download.MAX_BYTES", 100_000)
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1000)
    url = hub.add_release("a.pt", CONTENT, endless=True)
    assert "longer than 100000 bytes" in refusal(release_source(url))
    assert max(everything_in(home).values(), default=0) <= 100_000


def test_a_source_without_any_hash_is_refused_before_the_download(
    home: Path, hub: LoopbackHub
) -> None:
    hub.add(REPO, COMMIT, FILE, CONTENT, etag="a" * 40)
    url = hub.add_release("a.pt", CONTENT)
    message = refusal(hub_source(), release_source(url, sha256=None))
    assert message.count("sha256") == 2
    assert hub.gets() == []
    assert everything_in(home) == {}


# Where an address may lead

AWAY = [
    ("https://example.org/a", "http://example.org/a"),
    ("https://example.org/a", "https://127.0.0.1/a"),
    ("https://example.org/a", "https://localhost/a"),
    ("https://example.org/a", "https://[::1]/a"),
    ("https://example.org/a", "https://[::ffff:127.0.0.1]/a"),
    ("https://example.org/a", "https://169.254.169.254/latest/meta-data"),
    ("https://example.org/a", "https://[fe80::1]/a"),
    ("https://example.org/a", "https://0.0.0.0/a"),
    ("https://example.org/a", "https://2130706433/a"),
    ("https://example.org/a", "https://0x7f.1/a"),
    ("https://example.org/a", "https://LOCALHOST./a"),
    ("https://example.org/a", "file:///etc/passwd"),
    ("http://example.org/a", "http://127.0.0.1/a"),
    ("http://example.org/a", "ftp://example.org/a"),
]


@pytest.mark.parametrize(("first", "then"), AWAY)
def test_a_redirect_leads_neither_to_plain_http_nor_to_this_machine(first: str, then: str) -> None:
    from dpt_cli.checkpoint.download import require_https

    require_https(first)
    with pytest.raises(FetchError):
        require_https(then, first)


@pytest.mark.parametrize(
    "location",
    ["http://169.254.169.254/x", "ftp://localhost/x", "//169.254.1.1/x", "file:///etc/passwd"],
)
def test_no_redirect_is_followed_unseen(
    home: Path, hub: LoopbackHub, location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The loopback server passes for one of the wide world.
    monkeypatch.setattr("dpt_cli.checkpoint.download._is_local", lambda host: "169" in host)
    hub.add(REPO, COMMIT, FILE, CONTENT, location=location)
    url = hub.add_release("a.pt", CONTENT, location=location)
    for source in (hub_source(sha256=SHA256), release_source(url)):
        hub.requests.clear()
        assert "leads to" in refusal(source) or "no https address" in refusal(source)
    assert max(everything_in(home).values(), default=0) == 0


def test_a_circle_of_redirects_ends(home: Path, hub: LoopbackHub) -> None:
    url = f"{hub.url}/releases/a.pt"
    hub.add_release("a.pt", CONTENT, location=url)
    assert "redirected more than" in refusal(release_source(url))


# Mirrors

NO_NAMES = {
    "a folder above": "../../../../.bash_profile",
    "a folder": "a/b",
    "an absolute path": "/tmp/evil",
    "a Windows folder": "..\\..\\evil",
    "a drive": "C:evilevil",
    "hidden": ".bash_profile",
    "only dots": "........",
    "long": "a" * 300,
    "empty": '""',
    "an end": "abcdefgh.",
}


@pytest.mark.parametrize("case", NO_NAMES)
def test_an_etag_that_is_no_hash_names_nothing(
    home: Path, hub: LoopbackHub, tmp_path: Path, case: str
) -> None:
    hub.add(REPO, COMMIT, FILE, CONTENT, etag=NO_NAMES[case])
    before = everything_in(tmp_path)
    assert "which cannot be one" in refusal(hub_source(sha256=SHA256))
    assert everything_in(tmp_path) == before
    assert hub.gets() == []


@pytest.mark.parametrize(
    "commit", ["../../../../evil", "/tmp/evil", "evil", "f" * 40, "F" * 40, ".", "..", ""]
)
def test_a_commit_that_is_none_or_another_names_nothing(
    home: Path, hub: LoopbackHub, tmp_path: Path, commit: str
) -> None:
    hub.add(REPO, COMMIT, FILE, CONTENT, commit=commit)
    before = everything_in(tmp_path)
    assert "commit" in refusal(hub_source(sha256=SHA256))
    assert everything_in(tmp_path) == before


def test_a_missing_file_of_a_lying_commit_leaves_no_trace(
    home: Path, hub: LoopbackHub, tmp_path: Path
) -> None:
    hub.add(REPO, COMMIT, FILE, CONTENT, commit="../../../evil", status=404)
    before = everything_in(tmp_path)
    refusal(hub_source(sha256=SHA256))
    assert everything_in(tmp_path) == before


def test_a_poisoned_reference_leads_nowhere(home: Path) -> None:
    refs = home / "hub" / "models--Somebody--dpt" / "refs" / "refs" / "pr"
    refs.mkdir(parents=True)
    (refs / "5").write_text("../../../../evil")
    assert ".." not in str(expected_path(hub_source(revision="refs/pr/5")))


def test_a_mirror_with_another_file_is_found_out_before_the_download(
    home: Path, hub: LoopbackHub
) -> None:
    hub.add(REPO, COMMIT, FILE, EVIL)
    message = refusal(hub_source(sha256=SHA256))
    assert SHA256 in message
    assert EVIL_SHA256 in message
    assert hub.gets() == []


@pytest.mark.parametrize("kind", ["hub", "release"])
def test_a_wrong_download_never_has_its_name_in_the_cache(
    home: Path, hub: LoopbackHub, kind: str
) -> None:
    hub.add(REPO, COMMIT, FILE, CONTENT, corrupt=True)
    url = hub.add_release("a.pt", CONTENT, corrupt=True)
    source = hub_source(sha256=SHA256) if kind == "hub" else release_source(url)
    assert "that file is removed" in refusal(source)
    assert max(everything_in(home).values(), default=0) == 0


# Patience


@pytest.mark.parametrize("kind", ["hub", "release"])
def test_a_server_that_is_busy_once_is_asked_again(
    home: Path, hub: LoopbackHub, waits: list[float], kind: str
) -> None:
    hub.add(REPO, COMMIT, FILE, CONTENT, busy=1, retry_after="2")
    url = hub.add_release("a.pt", CONTENT, busy=1, retry_after="2")
    source = hub_source(sha256=SHA256) if kind == "hub" else release_source(url)
    assert fetch(spec_of(source), notify=lambda _line: None).sha256 == SHA256
    assert waits == [2]


@pytest.mark.parametrize("told", ["86400", "Wed, 21 Oct 2099 07:28:00 GMT", "-1", "1e9"])
@pytest.mark.parametrize("kind", ["hub", "release"])
def test_a_server_that_wants_a_day_is_left_for_the_next(
    home: Path, hub: LoopbackHub, waits: list[float], kind: str, told: str
) -> None:
    hub.add(REPO, COMMIT, FILE, CONTENT, status=429, retry_after=told)
    url = hub.add_release("a.pt", CONTENT, status=429, retry_after=told)
    source = hub_source(sha256=SHA256) if kind == "hub" else release_source(url)
    assert told in refusal(source)
    assert waits == []


# Through the command line


def test_a_hostile_registry_is_one_line_and_exit_2(dpt: FrontDoor) -> None:
    source = dpt.hub_source("depth/model.safetensors") | {"file": "../../../.bashrc"}
    dpt.rows(depth={"small": row("depth", [source], default=True)})
    dpt.photograph("a.png")
    for words in (("models", "list"), ("models", "pull", "small"), ("depth", "a.png")):
        *_, error = dpt(*words, code=2).stderr.splitlines()
        assert ".bashrc" in error
    assert dpt.hub.requests == []


def test_a_weak_check_is_called_so_everywhere(dpt: FrontDoor) -> None:
    rows = json.loads(dpt("models", "list", "--json").stdout)
    assert [row["check"] for row in rows] == ["sha256", "weak", None, "sha256"]
    assert "weak" in dpt("models", "list").stdout
    assert "weak" in dpt("models", "pull", "metric").stderr
    assert "weak" in dpt("models", "verify", "metric").stdout
    dpt.photograph("a.png")
    assert "weak" in dpt("depth", "a.png", "--model", "metric").stderr
    assert "weak" not in dpt("depth", "a.png", "--model", "small").stderr
