"""`dpt depth --range folder`: one range for all maps of a run, in one command."""

import json
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dpt_cli
from dpt_cli.formats.table import DEFAULT_OPTIONS
from dpt_cli.pipeline.events import Done, Event, Failed, Mapped, Skipped
from dpt_cli.pipeline.plan import Job
from dpt_cli.pipeline.settings import EngineSettings, RunSettings
from dpt_cli.pipeline.shared_range import SharedRange, second_pass
from front_door import FrontDoor, invoke, paths, pixels, written_in

FORMATS = "color,png16,side,npy"
SHARED = ("--range", "folder")
# Photographs differ with the length of their names.
NAMES = ("a.png", "bbbb.png")
LATER = "later.png"


@pytest.fixture
def photos(dpt: FrontDoor) -> Path:
    """Return a folder with two photographs."""
    for name in NAMES:
        dpt.photograph(f"photos/{name}", 66, 50)
    return Path("photos")


def range_of(folder: Path) -> tuple[float, float]:
    """Return the range of the arrays in a folder."""
    arrays = [np.load(path) for path in folder.glob("*.npy")]
    return float(min(it.min() for it in arrays)), float(max(it.max() for it in arrays))


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder by name."""
    return {name: (folder / name).read_bytes() for name in written_in(folder)}


def test_the_files_are_those_of_two_commands_and_of_the_range_by_hand(
    dpt: FrontDoor, photos: Path
) -> None:
    dpt("depth", photos, "-o", "out", "--format", FORMATS, *SHARED)
    invoke("convert", "out", "-o", "two", "--format", "color,png16", *SHARED)
    for name, data in contents(Path("two")).items():
        assert data == Path("out", name).read_bytes(), name
    low, high = range_of(Path("out"))
    by_hand = ("--range", f"{low!r},{high!r}")
    dpt("depth", photos, "-o", "hand", "--format", f"{FORMATS},npz", *by_hand)
    assert contents(Path("out")) == contents(Path("hand"))
    for name in ("a", "bbbb"):
        share = (np.load(f"out/{name}_depth.npy").astype(np.float64) - low) / (high - low)
        levels = pixels(Path(f"out/{name}_depth16.png"))
        np.testing.assert_array_equal(levels, np.rint(share * 65535))


def test_a_photograph_is_reported_once_with_all_its_files(dpt: FrontDoor, photos: Path) -> None:
    result = dpt("depth", photos, "-o", "out", "--format", FORMATS, *SHARED, "--json")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [Path(line["input"]).name for line in lines] == list(NAMES)
    assert {line["status"] for line in lines} == {"done"}
    files = {Path(path).name for line in lines for path in line["outputs"].values()}
    assert files == written_in(Path("out"))
    assert len(files) == 10
    assert "2 of 2 done, 10 files" in result.stderr


def test_it_continues_and_a_later_photograph_rewrites_what_shows_the_range(
    dpt: FrontDoor, photos: Path
) -> None:
    for name, grey in zip(NAMES, (100, 140), strict=True):
        Image.new("RGB", (66, 50), (grey, grey, grey)).save(photos / name)  # of little range
    words = ("depth", photos, "-o", "out", "--format", "color,npy", *SHARED)
    dpt(*words)
    before, first = contents(Path("out")), range_of(Path("out"))
    times = {name: Path("out", name).stat().st_mtime_ns for name in before}
    again = dpt(*words)
    assert paths(again) == []
    assert "2 already done" in again.stderr
    dpt.photograph(f"photos/{LATER}", 66, 50)
    planned = dpt(*words, "--dry-run")
    assert f"out/{Path(LATER).stem}_depth.png" in paths(planned)
    assert contents(Path("out")) == before
    written = paths(dpt(*words))
    assert range_of(Path("out")) != first
    assert {f"out/{Path(name).stem}_depth.png" for name in (*NAMES, LATER)} <= set(written)
    for name in before:
        is_kept = Path("out", name).stat().st_mtime_ns == times[name]
        assert is_kept != name.endswith(".png"), name
    assert paths(dpt(*words)) == []


def test_a_photograph_without_a_map_costs_no_other(dpt: FrontDoor, photos: Path) -> None:
    (photos / "broken.png").write_bytes(b"no picture")
    result = dpt("depth", photos, "-o", "out", *SHARED, code=3)
    assert "2 of 3 done" in result.stderr
    assert {"a_depth.png", "bbbb_depth.png"} <= written_in(Path("out"))


def test_an_output_that_was_changed_is_left(dpt: FrontDoor, photos: Path) -> None:
    words = ("depth", photos, "-o", "out", *SHARED)
    dpt(*words)
    Image.new("RGB", (66, 50)).save("out/a_depth.png")
    edited = Path("out/a_depth.png").read_bytes()
    assert "use --force" in dpt(*words, code=3).stderr
    assert Path("out/a_depth.png").read_bytes() == edited
    dpt(*words, "--force")
    assert Path("out/a_depth.png").read_bytes() != edited


def test_a_run_that_stops_between_the_passes_is_continued(dpt: FrontDoor, photos: Path) -> None:
    def run() -> Generator[Event, None, None]:
        return dpt_cli.run("depth", photos, output="out", registry=dpt.registry, range="folder")

    with closing(run()) as events:
        assert isinstance(next(events), Mapped)
        assert isinstance(next(events), Mapped)
    assert written_in(Path("out")) == {"a_depth.npz", "bbbb_depth.npz"}
    with closing(run()) as events:
        assert [sorted(one.job.outputs) for one in events] == [["color"], ["color"]]
    with closing(run()) as events:
        assert all(isinstance(one, Skipped) for one in events)


@pytest.mark.parametrize("num_photographs", [1, 2])
def test_3dgs_shares_a_range_where_there_are_several(dpt: FrontDoor, num_photographs: int) -> None:
    names = [dpt.photograph(name, 66, 50) for name in NAMES[:num_photographs]]
    dpt("depth", *names, "-o", "out", "--for", "3dgs")
    assert pixels(Path("out/a.png")).dtype == np.uint16
    assert len(list(Path("out").glob("*.npz"))) == (2 if num_photographs == 2 else 0)
    lows = {Image.open(path).text["dpt:low"] for path in Path("out").glob("*.png")}  # type: ignore[attr-defined]
    assert len(lows) == 1


def test_a_named_file_has_no_folder(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    dpt("depth", "a.png", "-o", "b.png", *SHARED, code=2)
    assert not Path("b.png").exists()


def test_maps_without_a_finite_value_have_no_range() -> None:
    options = {**DEFAULT_OPTIONS["depth"], "range": "folder"}
    settings = RunSettings(("color", "npz"), Path("out"), options, EngineSettings())
    job = Job(Path("a.png"), {"color": Path("out/a.png"), "npz": Path("out/a.npz")})
    events = list(second_pass([(job, Done(job, {}))], None, SharedRange(settings, ("color",))))
    assert [type(event) for event in events] == [Failed]
