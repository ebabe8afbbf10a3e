"""`--dry-run`: says what a run would do, and touches nothing."""

from pathlib import Path

import pytest

from front_door import FrontDoor, paths
from small_models import files


def test_it_touches_nothing_and_tells_the_plan(dpt: FrontDoor, home: Path) -> None:
    photographs = [dpt.photograph(name) for name in ("photos/a.png", "photos/b.png")]
    given = set(dpt.desk.rglob("*"))
    result = dpt("depth", "photos", "-o", "out", "--format", "color,npy", "-n")
    assert set(dpt.desk.rglob("*")) == given
    assert dpt.hub.requests == []
    assert dpt.weights_in(home) == []
    assert paths(result) == [
        f"out/{name}" for name in ("a_depth.png", "a_depth.npy", "b_depth.png", "b_depth.npy")
    ]
    megabytes = sum(path.stat().st_size for path in photographs) / 1e6
    said = result.stderr.splitlines()
    assert f"would do 2 of 2 photographs ({megabytes:,.1f} MB) as color, npy into out" in said
    assert "weights: depth/small, about 0.5 MB, to be downloaded" in said


def test_the_size_of_weights_on_this_disk_is_that_of_the_file(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    weights = dpt.weights()
    with weights.open("ab") as file:
        file.truncate(7_300_000)  # not what the number of parameters gives
    result = dpt("depth", "a.png", "-o", "out", "-n", "--weights", weights)
    assert ", 7.3 MB, on this disk" in result.stderr


def test_what_is_done_before_is_not_counted(dpt: FrontDoor) -> None:
    dpt.photograph("photos/a.png")
    dpt("depth", "photos", "-o", "out")
    dpt.photograph("photos/b.png")
    before = {path: path.read_bytes() for path in Path("out").iterdir()}
    result = dpt("depth", "photos", "-o", "out", "--dry-run")
    assert paths(result) == ["out/b_depth.png"]
    assert "would do 1 of 2 photographs (" in result.stderr
    assert "on this disk" in result.stderr
    assert {path: path.read_bytes() for path in Path("out").iterdir()} == before


def test_with_other_settings_all_would_be_done(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    dpt("depth", "a.png", "-o", "out")
    assert "would do 0 of 1 photograph (" in dpt("depth", "a.png", "-o", "out", "-n").stderr
    for option in (("--invert",), ("--force",), ("--weights", dpt.weights())):
        assert (
            "would do 1 of 1 photograph ("
            in dpt("depth", "a.png", "-o", "out", "-n", *option).stderr
        )


@pytest.mark.parametrize(("model", "num_left"), [("small", 0), ("metric", 1)])
def test_weights_that_are_gone_are_not_downloaded(
    dpt: FrontDoor, home: Path, model: str, num_left: int
) -> None:
    # Of the metric row the registry does not know the hash, so that what they made may be other's.
    dpt.photograph("a.png")
    dpt("depth", "a.png", "-o", "out", "--model", model)
    place = Path(dpt("models", "path", f"depth/{model}").stdout.strip())
    place.resolve().unlink()
    place.unlink(missing_ok=True)
    dpt.hub.requests.clear()
    result = dpt("depth", "a.png", "-o", "out", "--model", model, "-n")
    assert f"would do {num_left} of 1 photograph (" in result.stderr
    assert "to be downloaded" in result.stderr
    assert dpt.hub.requests == []
    assert dpt.weights_in(home) == []


def test_a_file_of_somebody_else_is_told(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    Path("out").mkdir()
    Path("out/a_depth.png").write_bytes(b"mine")
    stderr = dpt("depth", "a.png", "-o", "out", "-n").stderr
    assert "Failed: a.png: output already exists" in stderr
    assert "would do 0 of 1 photograph (" in stderr


def test_what_a_run_would_refuse_it_refuses(dpt: FrontDoor) -> None:
    dpt.photograph("x.png")
    dpt.photograph("x_depth.png")
    result = dpt("depth", ".", "-o", ".", "-n")
    assert paths(result) == ["x_depth_depth.png"]
    assert "Failed: x.png: its output x_depth.png would overwrite an input" in result.stderr


def test_a_file_of_weights_is_not_loaded(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    weights = dpt.weights("mine.pt", files("depth")["authors.pt"][:100])
    assert "on this disk" in dpt("depth", "a.png", "-n", "--weights", weights).stderr
