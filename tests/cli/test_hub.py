"""Weights on their way from a Hub to a map, and every way that can fail."""

from pathlib import Path
from typing import Any, Protocol

import pytest

from front_door import FrontDoor, paths, written_in
from loopback_hub import refused_url
from small_models import COMMIT, REPO, files, hub_source, row

FILE = "depth/model.safetensors"


class Environment(Protocol):
    def set(self, **variables: str) -> None: ...


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the second http_get sleeps between retries."""
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _seconds: None)


def serve(dpt: FrontDoor, **faults: Any) -> None:
    dpt.hub.add(REPO, COMMIT, FILE, files("depth")["model.safetensors"], **faults)


def run(dpt: FrontDoor, *options: str, code: int = 0) -> str:
    """Run on one photograph and return stderr."""
    dpt.photograph("a.png")
    # Forced, so that weights are needed whatever was done before.
    result = dpt("depth", "a.png", "-o", "out", "--force", *options, code=code)
    assert paths(result) == ([] if code else ["out/a_depth.png"])
    return result.stderr


def test_weights_are_downloaded_once(dpt: FrontDoor) -> None:
    run(dpt)
    assert len(dpt.hub.gets(FILE)) == 1
    dpt.hub.requests.clear()
    run(dpt)
    assert dpt.hub.requests == []


def test_a_release_is_downloaded_once(dpt: FrontDoor) -> None:
    assert "(checked against: first 8 digits of sha256, weak)" in run(dpt, "--model", "metric")
    run(dpt, "--model", "metric")
    assert len(dpt.hub.gets("small.pt")) == 1


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "corrupted": ({"corrupt": True}, "wrong content: expected sha256 "),
    "truncated": ({"truncate": 5000}, "the connection broke off"),
    "not found": ({"status": 404, "error_code": "EntryNotFound"}, "no such file in the repository"),
    "forbidden": ({"status": 403}, "the server answered 403 Forbidden"),
    "ailing": ({"status": 500}, "the server answered 500 Internal Server Error"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failed_download_is_told_and_mended_by_the_next(
    dpt: FrontDoor, home: Path, fault: str
) -> None:
    faults, words = FAULTS[fault]
    serve(dpt, **faults)
    stderr = run(dpt, code=4)
    _photographs, _downloading, error, reason, way_out, hint = stderr.splitlines()
    assert error == "Error: no usable weights of depth/small from any source:"
    assert reason.startswith(f"  {REPO}@{COMMIT[:12]}/{FILE}: {words}")
    assert "--weights FILE" in way_out
    assert "--model tiny" in hint
    assert written_in(Path("out")) == set()
    if fault == "corrupted":
        assert dpt.weights_in(home) == []
    serve(dpt)
    assert "1 of 1 done" in run(dpt)


def test_another_file_than_the_registry_knows_shows_both_hashes(dpt: FrontDoor, home: Path) -> None:
    dpt.rows(
        depth={"small": row("depth", [hub_source(FILE, sha256="0" * 64)], default=True)},
    )
    stderr = run(dpt, code=4)
    assert f"expected sha256 {'0' * 64}" in stderr
    assert f"found {dpt.hub_source(FILE)['sha256']}" in stderr
    assert dpt.weights_in(home) == []


def test_the_next_source_is_tried_and_one_line_says_so(dpt: FrontDoor) -> None:
    serve(dpt, status=503)
    sources = [dpt.hub_source(FILE), dpt.release_source()]
    dpt.rows(depth={"small": row("depth", sources, default=True)})
    stderr = run(dpt)
    (line,) = [line for line in stderr.splitlines() if "trying" in line]
    assert line == (
        f"{REPO}@{COMMIT[:12]}/{FILE}: the server answered 503 Service Unavailable; "
        f"trying {dpt.release_url}"
    )
    assert f"depth/small from {dpt.release_url}" in stderr


def test_a_damaged_cache_is_fetched_anew_and_said(dpt: FrontDoor) -> None:
    run(dpt)
    path = Path(dpt("models", "path", "depth/small").stdout.strip())
    path.resolve().write_bytes(b"damaged")
    stderr = run(dpt)
    assert "wrong content" in stderr
    assert "1 of 1 done" in stderr


def test_no_connection_is_told(dpt: FrontDoor, environment: Environment) -> None:
    with refused_url() as nobody:
        environment.set(HF_ENDPOINT=nobody)
        assert "no connection: " in run(dpt, code=4)


# Offline


@pytest.mark.parametrize("how", ["--offline", "HF_HUB_OFFLINE"])
def test_offline_nothing_is_asked_and_the_places_are_told(
    dpt: FrontDoor, environment: Environment, home: Path, how: str
) -> None:
    if how == "HF_HUB_OFFLINE":
        environment.set(HF_HUB_OFFLINE="1")
    stderr = run(dpt, *([how] if how == "--offline" else []), code=4)
    assert "no usable weights of depth/small on this disk; looked for:" in stderr
    assert f"  {home}/hub/models--Somebody--small-dpt/snapshots/{COMMIT}/{FILE}  (from " in stderr
    assert "--weights FILE" in stderr
    assert dpt.hub.requests == []


def test_offline_the_cache_is_enough(dpt: FrontDoor) -> None:
    run(dpt)
    dpt.hub.requests.clear()
    run(dpt, "--offline")
    assert dpt.hub.requests == []


@pytest.mark.parametrize(
    ("model", "file"), [("small", "model.safetensors"), ("metric", "authors.pt")]
)
def test_a_file_put_where_models_path_says_is_used(dpt: FrontDoor, model: str, file: str) -> None:
    told = dpt("models", "path", f"depth/{model}", code=4).stderr
    place = Path(told.partition("would lie in ")[2].partition("  (from")[0])
    place.parent.mkdir(parents=True)
    place.write_bytes(files("depth")[file])
    run(dpt, "--offline", "--model", model)
    assert dpt.hub.requests == []


def test_a_wrong_file_put_there_is_not_used(dpt: FrontDoor) -> None:
    told = dpt("models", "path", "depth/small", code=4).stderr
    place = Path(told.partition("would lie in ")[2].partition("  (from")[0])
    place.parent.mkdir(parents=True)
    place.write_bytes(b"something else")
    assert "wrong content" in run(dpt, "--offline", code=4)
