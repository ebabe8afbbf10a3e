"""The same command again: what is done stays, what is missing, changed or other is done."""

import errno
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result

from dpt_cli.engine.torch.engine import TorchEngine
from dpt_cli.errors import NetworkOutputError
from dpt_cli.formats.files import is_temporary
from dpt_cli.pipeline.manifest import MANIFEST_NAME, Manifest
from dpt_cli.version import __version__
from front_door import FrontDoor, paths
from small_models import SCALE, SHIFT, SIDE_PX

A, B = "out/a_depth.png", "out/b_depth.png"


def run(dpt: FrontDoor, *options: str | Path, code: int = 0) -> list[str]:
    """Run on the folder of photographs and return the lines of stdout."""
    return paths(again(dpt, *options, code=code))


def again(dpt: FrontDoor, *options: str | Path, code: int = 0) -> Result:
    return dpt("depth", "photos", "-o", "out", *options, code=code)


def records() -> list[dict[str, Any]]:
    lines = Path("out", MANIFEST_NAME).read_text(encoding="ascii").splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture
def first(dpt: FrontDoor) -> FrontDoor:
    """Return a front door behind which a.png and b.png are done."""
    dpt.photograph("photos/a.png")
    dpt.photograph("photos/b.png")
    assert run(dpt) == [A, B]
    return dpt


# What stays


def test_a_second_run_skips_what_is_done_and_says_so(first: FrontDoor) -> None:
    before = {path: Path(path).stat().st_mtime_ns for path in (A, B)}
    result = again(first)
    assert result.stdout == ""
    assert "0 of 2 done, 2 already done in out\n" in result.stderr
    assert "Loading" not in result.stderr
    assert {path: Path(path).stat().st_mtime_ns for path in (A, B)} == before


def test_a_second_run_asks_nothing_of_the_hub(first: FrontDoor) -> None:
    first.hub.requests.clear()
    run(first)
    assert first.hub.requests == []


def test_a_photograph_added_is_done_alone(first: FrontDoor) -> None:
    first.photograph("photos/c.png")
    assert run(first) == ["out/c_depth.png"]


def test_touched_but_unchanged_is_done(first: FrontDoor) -> None:
    os.utime("photos/a.png", ns=(1, 1))
    os.utime(B, ns=(1, 1))
    assert run(first) == []


@pytest.mark.parametrize(
    "options",
    [("--batch-size", "2"), ("--device", "cpu"), ("-q",), ("-v",), ("--max-errors", "1")],
    ids=" ".join,
)
def test_what_does_not_decide_the_bytes_does_nothing_again(
    first: FrontDoor, options: tuple[str, ...]
) -> None:
    assert run(first, *options) == []


def test_a_name_stays_when_a_twin_comes_or_goes(dpt: FrontDoor) -> None:
    dpt.photograph("photos/a.png")
    assert run(dpt) == [A]
    dpt.photograph("photos/a.bmp", 130, 97)
    assert run(dpt) == ["out/a.bmp_depth.png"]
    assert run(dpt) == []
    assert set(run(dpt, "--format", "npy")) == {"out/a_depth.npy", "out/a.bmp_depth.npy"}
    made = paths(dpt("segment", "photos", "-o", "out"))
    assert set(made) == {"out/a_segment.png", "out/a.bmp_segment.png"}
    Path("photos/a.png").unlink()
    assert run(dpt) == paths(dpt("depth", "photos/a.bmp", "-o", "out")) == []


def test_a_name_stays_when_photographs_move_and_a_twin_comes(dpt: FrontDoor) -> None:
    dpt.photograph("photos/a.png")
    run(dpt)
    Path("photos").rename("moved")
    dpt.photograph("moved/a.bmp", 130, 97)
    made = dpt("depth", "moved", "-o", "out")
    assert paths(made) == ["out/a.bmp_depth.png"]


def test_twins_that_come_together_both_keep_their_extension(dpt: FrontDoor) -> None:
    dpt.photograph("photos/a.png")
    dpt.photograph("photos/A.bmp")
    expected = {"out/a.png_depth.png", "out/A.bmp_depth.png"}
    assert set(run(dpt)) == expected
    dpt.photograph("photos/a.tif")
    assert run(dpt) == ["out/a.tif_depth.png"]


# What is done again


def change_input() -> None:
    Path("photos/a.png").write_bytes(Path("photos/b.png").read_bytes())
    with Path("photos/a.png").open("ab") as file:
        file.write(b"more")


def remove_output() -> None:
    Path(A).unlink()


def change_output() -> None:
    data = bytearray(Path(A).read_bytes())
    data[-20] ^= 1
    Path(A).write_bytes(data)


def test_options_of_a_format_that_is_not_asked_for_do_nothing_again(dpt: FrontDoor) -> None:
    dpt.photograph("photos/a.png")
    assert run(dpt, "--format", "npy") == ["out/a_depth.npy"]
    assert run(dpt, "--format", "npy", "--colormap", "magma", "--invert") == []
    assert run(dpt, "--precision", "fp32", "--format", "npy", "--engine", "torch") == []


@pytest.mark.parametrize("change", [change_input, remove_output])
def test_a_photograph_that_changed_is_done_again_alone(
    first: FrontDoor, change: Callable[[], None]
) -> None:
    change()
    assert run(first) == [A]
    assert run(first) == []


@pytest.mark.parametrize("options", [(), ("--colormap", "gray"), ("--format", "color,npy")])
def test_an_output_that_was_edited_is_left_and_named(
    first: FrontDoor, options: tuple[str, ...]
) -> None:
    change_output()
    mine = Path(A).read_bytes()
    result = again(first, *options, code=3)
    assert "Failed: photos/a.png: output was changed since dpt made it" in result.stderr
    assert A not in paths(result)
    assert Path(A).read_bytes() == mine
    assert A in run(first, *options, "--force")
    assert Path(A).read_bytes() != mine


@pytest.mark.parametrize("is_new", [True, False])
def test_a_file_that_appears_or_changes_during_the_run_is_left(
    dpt: FrontDoor, monkeypatch: pytest.MonkeyPatch, is_new: bool
) -> None:
    dpt.photograph("photos/a.png")
    if not is_new:
        run(dpt)
    plain = TorchEngine._infer

    def infer(self: TorchEngine, *arguments: Any) -> Any:
        Path(A).write_bytes(b"mine")
        return plain(self, *arguments)

    monkeypatch.setattr(TorchEngine, "_infer", infer)
    result = again(dpt, "--format", "color,npy", "--invert", code=3)
    assert "out/a_depth.png was created or changed while dpt was running" in result.stderr
    assert Path(A).read_bytes() == b"mine"
    assert not Path("out/a_depth.npy").exists()
    assert not [path for path in Path("out").iterdir() if is_temporary(path)]


def test_two_runs_into_nested_folders_do_not_overwrite_each_other(
    dpt: FrontDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    dpt.photograph("photos/b/a.png")
    dpt.photograph("other/a.png", width=128)
    plain, output = TorchEngine._infer, Path("al/b/a_depth.png")
    made: list[bytes] = []

    def infer(self: TorchEngine, *arguments: Any) -> Any:
        if not made:
            made.append(b"")
            assert paths(dpt("depth", "other", "-o", "al/b")) == [str(output)]
            made.append(output.read_bytes())
        return plain(self, *arguments)

    monkeypatch.setattr(TorchEngine, "_infer", infer)
    result = dpt("depth", "photos", "-o", "al", code=3)
    assert "was created or changed while dpt was running" in result.stderr
    assert output.read_bytes() == made[1]


def test_nothing_is_written_through_a_link_out_of_the_output_folder(first: FrontDoor) -> None:
    first.photograph("photos/sub/c.png")
    outside = Path("outside")
    outside.mkdir()
    Path("out/sub").symlink_to(outside.resolve())
    result = again(first, code=3)
    assert "a link leads out of out" in result.stderr
    assert not list(outside.iterdir())


@pytest.mark.parametrize("name", [MANIFEST_NAME, ".dpt.lock"])
def test_a_link_in_place_of_what_a_run_remembers_is_not_followed(dpt: FrontDoor, name: str) -> None:
    dpt.photograph("photos/x$(touch pwned).png")
    Path("out").mkdir()
    profile = Path("profile")
    profile.write_text("alias ls=ls\n")
    Path("out", name).symlink_to(profile.resolve())
    assert "is a link" in again(dpt, code=1).stderr
    assert profile.read_text() == "alias ls=ls\n"


def test_a_file_system_without_locks_is_named(
    dpt: FrontDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    dpt.photograph("photos/a.png")
    dpt("models", "pull", "depth/small")  # the cache wants locks of its own
    monkeypatch.setattr("fcntl.flock", flock)
    result = again(dpt)
    assert paths(result) == [A]
    assert "out is on a file system without locks" in result.stderr


# What a run died of


def test_what_killed_a_run_is_done_last_and_alone(dpt: FrontDoor) -> None:
    names = [f"photos/{number}.png" for number in range(4)]
    for name in names:
        dpt.photograph(name)
    killed = dpt.desk / names[1]
    with Manifest(Path("out")) as manifest:
        manifest.reading(killed)
        left = Path("out", MANIFEST_NAME).read_bytes()
    Path("out", MANIFEST_NAME).write_bytes(left)
    made = run(dpt, "--batch-size", "4")
    assert made[-1] == "out/1_depth.png"
    assert len(made) == 4
    order = [record["input"]["path"] for record in records() if record["state"] == "reading"]
    assert order[-1] == str(killed)
    assert records()[-3:] == [
        record for record in records()[1:] if record["input"]["path"] == str(killed)
    ]
    assert run(dpt) == []


@pytest.mark.parametrize(
    "options",
    [
        ("--colormap", "gray"),
        ("--invert",),
        ("--resolution", "64"),
        ("--multiple-of", "32"),
        ("--precision", "bf16"),
        ("--model", "metric"),
        ("--force",),
    ],
    ids=" ".join,
)
def test_other_settings_do_all_again(first: FrontDoor, options: tuple[str, ...]) -> None:
    assert run(first, *options) == [A, B]


def test_other_weights_do_all_again(first: FrontDoor) -> None:
    weights = first.weights()
    assert run(first, "--weights", weights) == [A, B]
    assert run(first, "--weights", weights) == []


def test_the_same_weights_as_another_model_do_all_again(first: FrontDoor) -> None:
    weights = first.weights()
    assert run(first, "--weights", weights, "--model", "small") == [A, B]
    assert run(first, "--weights", weights, "--model", "metric") == [A, B]
    assert run(first, "--weights", weights, "--model", "metric") == []


def test_the_same_weights_under_another_name_do_nothing_again(first: FrontDoor) -> None:
    assert run(first, "--weights", first.weights("model.safetensors")) == []


def test_a_format_added_is_made(first: FrontDoor) -> None:
    run(first, "--format", "color,npy")
    assert np.load("out/a_depth.npy").shape == (SIDE_PX, SIDE_PX)
    assert run(first, "--format", "npy") == []


def test_a_failed_photograph_is_tried_again(dpt: FrontDoor) -> None:
    whole = dpt.photograph("photos/a.png").read_bytes()
    dpt.photograph("photos/b.png")
    Path("photos/a.png").write_text("no picture")
    assert run(dpt, code=3) == [B]
    assert run(dpt, code=3) == []
    Path("photos/a.png").write_bytes(whole)
    assert run(dpt) == [A]


def test_where_nothing_decodes_a_second_run_downloads_nothing_either(dpt: FrontDoor) -> None:
    dpt.photograph("photos/a.png").write_text("no picture")
    for _ in range(2):
        run(dpt, code=3)
    assert dpt.hub.requests == []


# Files of others


def test_a_file_of_somebody_else_is_not_touched(dpt: FrontDoor) -> None:
    dpt.photograph("photos/a.png")
    dpt.photograph("photos/b.png")
    Path("out").mkdir()
    Path(A).write_bytes(b"mine")
    for done in ([B], []):
        result = again(dpt, code=3)
        assert paths(result) == done
        assert "Failed: photos/a.png: output already exists" in result.stderr
        assert "--force" in result.stderr
        assert Path(A).read_bytes() == b"mine"


def test_force_overwrites_a_file_of_somebody_else(dpt: FrontDoor) -> None:
    dpt.photograph("photos/a.png")
    Path("out").mkdir()
    Path(A).write_bytes(b"mine")
    assert run(dpt, "--force") == [A]
    assert Path(A).read_bytes().startswith(b"\x89PNG")
    assert run(dpt) == []


def test_a_folder_another_run_writes_into_is_refused(first: FrontDoor) -> None:
    first.photograph("photos/c.png")
    with Manifest(Path("out")):
        result = again(first, code=1)
    assert result.stdout == ""
    assert "another dpt is writing into out" in result.stderr
    assert run(first) == ["out/c_depth.png"]


# After a kill


def test_a_torn_last_line_costs_its_photograph_alone(first: FrontDoor) -> None:
    manifest = Path("out", MANIFEST_NAME)
    last = records()[-1]
    assert last["state"] == "done"
    manifest.write_bytes(manifest.read_bytes()[:-40])
    (made,) = last["outputs"].values()
    assert run(first) == [f"out/{made}"]
    assert run(first) == []


def test_temporary_files_of_a_killed_run_are_swept(first: FrontDoor) -> None:
    left = Path("out/.a_depth.png.123-0123abcd.dpt-part")
    kept = Path("out/.a_depth.png.part")
    assert is_temporary(left)
    assert not is_temporary(kept)
    left.write_bytes(b"half")
    kept.write_bytes(b"mine")
    run(first)
    assert not left.exists()
    assert kept.exists()


def test_an_interrupted_run_continues(dpt: FrontDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["photos/a.png", "photos/b.png", "photos/c.png"]
    for name in names:
        dpt.photograph(name)
    plain, calls = TorchEngine._infer, []

    def infer(self: TorchEngine, *arguments: Any) -> Any:
        calls.append(1)
        if len(calls) > 2:
            deadline = time.monotonic() + 10
            while not Path(A).exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            raise KeyboardInterrupt
        return plain(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(TorchEngine, "_infer", infer)
        assert "Interrupted: " in again(dpt, code=130).stderr
    made = {f"out/{Path(name).stem}_depth.png" for name in names}
    before = {path for path in made if Path(path).exists()}
    # The second may have waited for its turn to be written.
    assert A in before
    assert len(before) < 3
    assert set(run(dpt)) == made - before


# What is remembered


def test_a_record_says_what_was_made_of_what_and_how(dpt: FrontDoor) -> None:
    photograph = dpt.photograph("photos/a.png", 130, 97)
    run(dpt, "--format", "color,npy", "--colormap", "gray", "--model", "metric")
    reading, begun, record = records()
    states = [line["state"] for line in (reading, begun, record)]
    assert (states, record["schema"]) == (["reading", "begun", "done"], 1)
    assert begun["files"] == record["files"]
    assert record["input"] == {
        "path": str(photograph),
        "size": photograph.stat().st_size,
        "mtime_ns": photograph.stat().st_mtime_ns,
        "sha256": sha256(photograph),
    }
    assert record["outputs"] == {"color": "a_depth.png", "npy": "a_depth.npy"}
    assert {kind: made["sha256"] for kind, made in record["files"].items()} == {
        kind: sha256(Path("out", name)) for kind, name in record["outputs"].items()
    }
    settings = {
        "input": {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "cubic"},
        "output": {"quantity": "depth", "scale": SCALE, "shift": SHIFT},
        "task": "depth",
        "target_hw": [SIDE_PX, SIDE_PX],
        "multiple_of": 16,
        "precision": "fp32",
        "engine": "torch",
        "colormap": "gray",
        "invert": False,
    }
    assert {key: record["settings"][key] for key in settings} == settings
    assert record["weights_sha256"] == sha256(dpt.weights())
    assert record["weights_sha256"] in record["weights"]
    metres, facts = np.load("out/a_depth.npy"), record["facts"]
    seconds = facts.pop("seconds")
    assert 0 < seconds < 60
    expected = {
        "kind": "metric depth",
        "quantity": "depth",
        "unit": "m",
        "near": "small",
        "min": metres.min(),
        "max": metres.max(),
        "map_hw": [97, 130],
        "calibration": None,
        "camera": None,
        "model": "depth/metric",
        "weights": record["weights"],
        "weights_sha256": record["weights_sha256"],
        "engine": "torch",
        "precision": "fp32",
        "network_hw": [96, 128],
        "photograph": "a.png",
        "photo_hw": [97, 130],
        "dpt": __version__,
        "device": "cpu",
    }
    assert {key: facts[key] for key in expected} == expected


def test_a_record_of_a_failure_says_why(dpt: FrontDoor) -> None:
    dpt.photograph("photos/a.png").write_text("no picture")
    run(dpt, code=3)
    record = records()[-1]
    assert record["state"] == "failed"
    assert record["input"] == {"path": str(dpt.desk / "photos/a.png")}
    assert "not an image" in record["error"]


def test_labels_are_remembered_as_labels(dpt: FrontDoor) -> None:
    dpt.photograph("photos/a.png")
    dpt("segment", "photos", "-o", "out")
    facts = records()[-1]["facts"]
    assert (facts["quantity"], facts["unit"], facts["min"]) == ("labels", None, None)


def test_depth_and_segment_share_a_folder(first: FrontDoor) -> None:
    assert len(paths(first("segment", "photos", "-o", "out"))) == 2
    assert run(first) == []
    assert paths(first("segment", "photos", "-o", "out")) == []


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# --max-errors


def test_max_errors_stops_and_the_next_run_continues(dpt: FrontDoor) -> None:
    names = [f"photos/{number:02}.png" for number in range(20)]
    whole = {name: dpt.photograph(name).read_bytes() for name in names}
    for name in names[1:3]:
        Path(name).write_text("no picture")
    result = again(dpt, "--max-errors", "2", code=1)
    assert "2 of 20 failed:" in result.stderr
    *_, error = result.stderr.splitlines()
    assert error.startswith("Error: stopped after 2 errors")
    undone = {name for name in names if not Path(f"out/{Path(name).stem}_depth.png").exists()}
    assert len(undone) > 10
    for name in names:
        Path(name).write_bytes(whole[name])
    assert set(run(dpt)) == {f"out/{Path(name).stem}_depth.png" for name in undone}


def test_fewer_errors_than_max_errors_stop_nothing(dpt: FrontDoor) -> None:
    dpt.photograph("photos/a.png").write_text("no picture")
    dpt.photograph("photos/b.png")
    assert run(dpt, "--max-errors", "2", code=3) == [B]


def test_files_in_the_making_when_max_errors_stops_are_recorded(
    dpt: FrontDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "bb", "ccc"):
        dpt.photograph(f"photos/{name}.png")
    plain, calls = TorchEngine._infer, []

    def infer(self: TorchEngine, *arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise NetworkOutputError("no")
        return plain(self, *arguments)

    monkeypatch.setattr(TorchEngine, "_infer", infer)
    again(dpt, "--max-errors", "1", code=1)
    done = [line for line in records() if line["state"] == "done"]
    written = {str(path.relative_to("out")) for path in Path("out").rglob("*_depth.png")}
    assert {made for line in done for made in line["outputs"].values()} == written


# An output folder that cannot be


@pytest.mark.parametrize("output", ["taken/out", "taken/deep/er"])
def test_a_folder_that_cannot_be_made_is_told_before_any_download(
    dpt: FrontDoor, output: str
) -> None:
    dpt.photograph("a.png")
    Path("taken").touch()
    result = dpt("depth", "a.png", "-o", output, code=1)
    assert result.stderr == f"Error: cannot write into {output}: {dpt.desk}/taken is not a folder\n"
    assert dpt.hub.requests == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_without_permission_is_told_before_any_download(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    Path("out").mkdir(mode=0o555)
    assert "no permission in" in dpt("depth", "a.png", "-o", "out", code=1).stderr
    assert dpt.hub.requests == []


def test_another_photographs_output_is_not_overwritten(dpt: FrontDoor) -> None:
    dpt.photograph("x/a.png")
    dpt.photograph("y/a.png", width=64)
    dpt("depth", "x/a.png", "-o", "out")
    made = Path("out/a_depth.png").read_bytes()
    assert "use --force" in dpt("depth", "y/a.png", "-o", "out", code=3).stderr
    assert Path("out/a_depth.png").read_bytes() == made


@pytest.mark.parametrize("move", [Path.rename, shutil.copytree])
def test_photographs_that_moved_or_were_copied_are_known_by_their_content(
    first: FrontDoor, move: Callable[[Path, str], object]
) -> None:
    move(Path("photos"), "elsewhere")
    assert paths(first("depth", "elsewhere", "-o", "out")) == []
