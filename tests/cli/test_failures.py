"""What goes wrong with photographs and output folders, and what is left behind: nothing."""

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

import bad_files
from dpt_cli.engine.torch.engine import TorchEngine
from dpt_cli.photos.decode import Photo
from dpt_cli.pipeline.manifest import MANIFEST_NAME
from dpt_cli.predict import predictor
from dpt_cli.predict.predictor import Prepared
from front_door import FrontDoor, invoke, paths, written_in


def text(path: Path) -> None:
    path.write_text("no picture")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


def raise_interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


# One bad among good


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [(text, "not an image"), (empty, "the file is empty"), (cut, "the file is truncated")],
)
@pytest.mark.parametrize("options", [(), ("-q",), ("--batch-size", "2")], ids=" ".join)
def test_one_bad_photograph_does_not_stop_the_others(
    dpt: FrontDoor, spoil: Callable[[Path], None], reason: str, options: tuple[str, ...]
) -> None:
    for name in ("a.png", "bad.png", "c.png"):
        dpt.photograph(name)
    spoil(dpt.desk / "bad.png")
    result = dpt("depth", ".", "-o", "../out", *options, code=3)
    assert paths(result) == ["../out/a_depth.png", "../out/c_depth.png"]
    assert f"Failed: bad.png: {reason}" in result.stderr
    *_, failed, group = result.stderr.splitlines()
    assert failed == "1 of 3 failed:"
    assert group.startswith(f"  1 file: {reason}")
    assert written_in(Path("../out")) == {"a_depth.png", "c_depth.png"}


def test_a_strip_that_would_never_end_is_refused(dpt: FrontDoor) -> None:
    # The shorter side meets its target, so that the network would see 10,000 px and more.
    dpt.photograph("strip.png", width=90, height=10_000)
    dpt.photograph("a.png")
    result = dpt("depth", ".", "-o", "../out", code=3)
    assert paths(result) == ["../out/a_depth.png"]
    assert "strip.png: its 90x10000 px are too long a strip" in result.stderr


def test_reasons_are_grouped_the_most_frequent_first(dpt: FrontDoor) -> None:
    for name in ("a.png", "b.png", "c.png"):
        dpt.photograph(name)
    empty(dpt.desk / "a.png")
    text(dpt.desk / "b.png")
    text(dpt.desk / "c.png")
    stderr = dpt("depth", ".", "-o", "../out", code=3).stderr
    assert stderr.splitlines()[-3:] == [
        "3 of 3 failed:",
        "  2 files: not an image",
        "  1 file: the file is empty",
    ]


def test_where_no_photograph_decodes_nothing_is_downloaded(dpt: FrontDoor) -> None:
    text(dpt.desk / "bad.png")
    result = dpt("depth", "bad.png", "-o", "out", code=3)
    assert result.stdout == ""
    assert dpt.hub.requests == []
    assert written_in(Path("out")) == set()


def test_an_output_that_cannot_be_written_fails_its_photograph_alone(dpt: FrontDoor) -> None:
    dpt.photograph("photos/a.png")
    dpt.photograph("photos/sub/b.png")
    Path("out").mkdir()
    Path("out/sub").touch()
    result = dpt("depth", "photos", "-o", "out", code=3)
    assert paths(result) == ["out/a_depth.png"]
    assert "Failed: photos/sub/b.png: cannot write out/sub/b_depth.png" in result.stderr


def test_where_no_map_is_made_nothing_says_what_made_it(dpt: FrontDoor) -> None:
    dpt.photograph("photos/sub/b.png")
    Path("out").mkdir()
    Path("out/sub").touch()  # found only when the map is written
    stderr = dpt("depth", "photos", "-o", "out", code=3).stderr
    assert stderr.count("cannot write") == 1
    assert "0 of 1 done" in stderr
    assert "numbers:" not in stderr
    assert "weights:" not in stderr


def test_names_that_are_no_utf8_are_done_and_told(dpt: FrontDoor) -> None:
    name = os.fsdecode(b"gr\xfcn.png")
    dpt.photograph(name)
    text(dpt.desk / os.fsdecode(b"bad\xff.png"))
    result = dpt("depth", ".", "-o", "../out", "-v", code=3)
    assert paths(result) == ["../out/gr\N{REPLACEMENT CHARACTER}n_depth.png"]
    assert Path("../out", os.fsdecode(b"gr\xfcn_depth.png")).exists()
    assert "bad" in result.stderr


def test_names_that_stdout_cannot_spell_do_not_end_the_run(dpt: FrontDoor) -> None:
    dpt.photograph("東京.png")
    dpt.photograph("b.png")
    result = dpt("depth", ".", "-o", "../out", charset="ascii")
    assert sorted(paths(result)) == ["../out/??_depth.png", "../out/b_depth.png"]


# Nothing to do


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("empty", "no images in empty (0 other files)"),
        ("notes", "no images in notes (1 other file)"),
    ],
)
def test_without_photographs_it_ends_at_once(dpt: FrontDoor, argument: str, words: str) -> None:
    Path("empty").mkdir()
    Path("notes").mkdir()
    text(Path("notes/a.txt"))
    result = dpt("depth", argument, "-o", "out", code=1)
    assert (result.stdout, result.stderr) == ("", f"Error: {words}\n")
    assert dpt.hub.requests == []
    assert not Path("out").exists()


def place_nothing(path: Path) -> None:
    pass


def place_dangling_link(path: Path) -> None:
    path.symlink_to("nowhere")


def place_loop(path: Path) -> None:
    path.symlink_to(path.name)


BAD_PLACES = pytest.mark.parametrize(
    "place", [place_nothing, place_dangling_link, place_loop, os.mkfifo]
)


@BAD_PLACES
def test_a_bad_path_fails_alone(dpt: FrontDoor, place: Callable[[Path], None]) -> None:
    dpt.photograph("a.png")
    dpt.photograph("z.png")
    place(Path("bad.png"))
    result = dpt("depth", "a.png", "bad.png", "z.png", "-o", "out", code=3)
    assert sorted(paths(result)) == ["out/a_depth.png", "out/z_depth.png"]
    assert "Failed: bad.png: " in result.stderr
    assert "2 of 3 done" in result.stderr


@BAD_PLACES
def test_a_bad_path_in_a_list_fails_alone(dpt: FrontDoor, place: Callable[[Path], None]) -> None:
    dpt.photograph("a.png")
    place(Path("bad.png"))
    listed = b"bad.png\na.png\nnul\0byte.png\n"
    result = dpt("depth", "--from", "-", "-o", "out", "--json", code=3, stdin=listed)
    lines = [json.loads(line) for line in paths(result)]
    states = {line["input"]: (line["status"], bool(line["error"])) for line in lines}
    assert states == {
        "bad.png": ("failed", True),
        "nul\0byte.png": ("failed", True),
        "a.png": ("done", False),
    }


@BAD_PLACES
def test_a_bad_path_in_a_folder_is_named(dpt: FrontDoor, place: Callable[[Path], None]) -> None:
    dpt.photograph("photos/a.png")
    place(Path("photos/bad.png"))
    place(Path("photos/notes"))
    is_there = place is not place_nothing
    result = dpt("depth", "photos", "-o", "out", code=3 if is_there else 0)
    assert paths(result) == ["out/a_depth.png"]
    assert ("Failed: photos/bad.png: " in result.stderr) == is_there
    assert "notes" not in result.stderr


@pytest.mark.parametrize(
    "listed",
    [
        b"\xef\xbb\xbfa.png\r\nb.png\r\n",
        "\ufeffa.png\r\nb.png\r\n".encode("utf-16-le"),
        "\ufeffa.png\nb.png".encode("utf-16-be"),
    ],
    ids=["utf-8", "utf-16-le", "utf-16-be"],
)
def test_a_list_may_begin_with_a_byte_order_mark(dpt: FrontDoor, listed: bytes) -> None:
    dpt.photograph("a.png")
    dpt.photograph("b.png")
    result = dpt("depth", "--from", "-", "-o", "out", stdin=listed)
    assert sorted(paths(result)) == ["out/a_depth.png", "out/b_depth.png"]


def test_a_photograph_too_large_for_the_memory_fails_alone(
    dpt: FrontDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dpt_cli.pipeline.budget.free_memory", lambda: 4_000_000_000)
    dpt.photograph("z.png")
    header = struct.pack(">I4s2I5B", 13, b"IHDR", 30_000, 30_000, 8, 2, 0, 0, 0)
    Path("a.png").write_bytes(bad_files._bomb(30_000, 30_000))
    assert header in Path("a.png").read_bytes()
    result = dpt("depth", ".", "-o", "out", code=3)
    assert paths(result) == ["out/z_depth.png"]
    assert "Failed: a.png: needs about 9.0 GB of memory" in result.stderr


def test_where_there_is_no_photograph_at_all_nothing_is_made(dpt: FrontDoor) -> None:
    result = dpt("depth", "nowhere.png", "-o", "out", code=3)
    assert "Failed: nowhere.png: No such file or directory" in result.stderr
    assert not Path("out").exists()
    assert dpt.hub.requests == []


def test_an_unforeseen_error_costs_its_photograph_and_is_recorded(
    dpt: FrontDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "bb", "ccc"):
        dpt.photograph(f"{name}.png", width=96 + len(name))

    def prepare(photo: Photo, *_: object) -> Prepared:
        if photo.rgb.shape[1] == 98:
            raise KeyError("a defect")
        return predictor.prepare(photo, *_)  # type: ignore[arg-type]

    monkeypatch.setattr("dpt_cli.pipeline.stages.prepare", prepare)
    result = dpt("depth", ".", "-o", "out", code=3)
    assert sorted(paths(result)) == ["out/a_depth.png", "out/ccc_depth.png"]
    assert "Failed: bb.png: unexpected KeyError: 'a defect'" in result.stderr
    lines = Path("out", MANIFEST_NAME).read_text().splitlines()
    (failed,) = (record for line in lines if (record := json.loads(line))["state"] == "failed")
    assert 'raise KeyError("a defect")' in failed["traceback"]


def test_the_same_unforeseen_error_again_and_again_ends_the_run(
    dpt: FrontDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        dpt.photograph(f"{number:02}.png")

    def prepare(*_: object) -> Prepared:
        raise KeyError("a defect")

    monkeypatch.setattr("dpt_cli.pipeline.stages.prepare", prepare)
    result = dpt("depth", ".", "-o", "out", code=1)
    assert result.stderr.count("\nFailed: ") == 5
    assert "the last 5 photographs failed in the same unexpected way" in result.stderr


def test_a_device_this_machine_lacks(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    stderr = dpt("depth", "a.png", "-o", "out", "--device", "cuda:99", code=1).stderr
    assert "Error: no device cuda:99: this machine has" in stderr


# Outputs and inputs in each other's way


def test_an_input_is_never_overwritten(dpt: FrontDoor) -> None:
    before = {path: path.read_bytes() for path in map(dpt.photograph, ("x.png", "x_depth.png"))}
    result = dpt("depth", "x.png", "x_depth.png", "-o", ".", "--force", code=3)
    assert "Failed: x.png: its output x_depth.png would overwrite an input" in result.stderr
    assert paths(result) == ["x_depth_depth.png"]
    assert {path: path.read_bytes() for path in before} == before


def test_an_input_behind_a_link_is_never_overwritten(dpt: FrontDoor) -> None:
    dpt.photograph("x.png")
    dpt.photograph("real/x_depth.png")
    Path("linked").symlink_to("real")
    dpt("depth", "x.png", "real/x_depth.png", "-o", "linked", code=3)
    assert dpt.written() == {"x.png", "real/x_depth.png", "real/x_depth_depth.png"}


@pytest.mark.parametrize(
    ("names", "outputs"),
    # The digits are those of `printf A.jpg | sha256sum`.
    [
        (("p/a.jpg", "p/a.png"), ["a.jpg_depth.png", "a.png_depth.png"]),
        (("p/a.png", "p/A.jpg"), ["A.jpg_depth.png", "a.png_depth.png"]),
        (("p/x/a.png", "p/y/a.png"), ["x/a_depth.png", "y/a_depth.png"]),
        (("p/A.jpg", "p/a.JPG"), ["A.jpg~c88c8f_depth.png", "a.JPG~13c3fb_depth.png"]),
        (("p/aß.jpg", "p/ass.jpg"), ["ass.jpg~fdd1a0_depth.png", "aß.jpg~ae987f_depth.png"]),
    ],
)
def test_every_photograph_gets_its_own_output(
    dpt: FrontDoor, names: tuple[str, ...], outputs: list[str]
) -> None:
    for name in names:
        dpt.photograph(name)
    assert paths(dpt("depth", "p", "-o", "out")) == [f"out/{name}" for name in outputs]


def test_the_same_name_in_two_given_folders_keeps_the_folders(dpt: FrontDoor) -> None:
    dpt.photograph("x/a.png")
    dpt.photograph("y/a.png")
    result = dpt("depth", "x", "y", "-o", "out")
    assert paths(result) == ["out/x/a_depth.png", "out/y/a_depth.png"]


def test_a_run_can_be_repeated_with_its_output_below_its_input(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    first = paths(dpt("depth", "."))
    dpt("segment", ".")
    assert paths(dpt("depth", ".", "--force")) == first == ["dpt-out/a_depth.png"]
    assert "0 of 1 done, 1 already done" in dpt("depth", ".").stderr


def test_outputs_can_be_inputs_of_another_run(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    (path,) = paths(dpt("depth", "a.png"))
    assert paths(dpt("segment", path)) == ["dpt-out/a_depth_segment.png"]


@pytest.mark.parametrize("commands", [("depth",), ("segment", "depth")])
@pytest.mark.parametrize("output", [".", "photos", "photos/out"])
def test_maps_are_not_taken_for_photographs(
    dpt: FrontDoor, commands: tuple[str, ...], output: str
) -> None:
    dpt.photograph("photos/dog.png")
    for command in commands:
        dpt(command, "photos", "-o", output, "--format", "color")
    result = dpt("depth", "photos", "-o", output, "--format", "color")
    assert "1 photograph" in result.stderr
    assert paths(result) == []
    assert len(list(Path().rglob("*_depth.png"))) == 1
    moved = Path("elsewhere/renamed.png")
    moved.parent.mkdir()
    next(Path().rglob("*_depth.png")).rename(moved)
    assert "1 map made by dpt" in dpt("depth", "elsewhere", code=1).stderr


@pytest.mark.parametrize(
    ("options", "suffix"),
    [(("--format", "tiff"), "_depth.tiff"), (("--for", "controlnet"), ".png")],
)
def test_maps_in_other_formats_are_not_taken_for_photographs(
    dpt: FrontDoor, options: tuple[str, ...], suffix: str
) -> None:
    dpt.photograph("photos/dog.bmp")
    for made in ([f"photos/dog{suffix}"], []):
        result = dpt("depth", "photos", "-o", "photos", *options)
        assert paths(result) == made
        assert "1 photograph" in result.stderr
    Path("photos/manifest.jsonl").unlink()
    dpt("depth", "photos", "-o", "out")
    assert written_in(Path("out")) == {"dog_depth.png"}


def test_a_map_without_its_text_is_known_by_the_manifest_above_it(dpt: FrontDoor) -> None:
    photograph = dpt.photograph("photos/sub/dog.png")
    dpt("depth", "photos", "-o", "photos")
    Path("photos/sub/dog_depth.png").write_bytes(photograph.read_bytes())
    result = dpt("depth", "photos", "-o", "photos", "--force")
    assert paths(result) == ["photos/sub/dog_depth.png"]
    assert "1 photograph" in result.stderr


# Interruption


@pytest.mark.parametrize("where", ["os.fsync", "TorchEngine._infer"])
def test_an_interrupted_run_exits_130_and_leaves_no_half_file(
    dpt: FrontDoor, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    dpt.photograph("a.png")
    dpt.photograph("b.png")
    dpt("models", "pull", "depth/small")
    given = dpt.written()
    if where == "os.fsync":
        plain = os.fsync

        def fsync(file: int) -> None:
            # An output's, not the manifest's.
            if os.fstat(file).st_ino != Path("out/manifest.jsonl").stat().st_ino:
                raise KeyboardInterrupt
            plain(file)

        monkeypatch.setattr(os, "fsync", fsync)
    else:
        monkeypatch.setattr(TorchEngine, "_infer", raise_interrupt)
    result = dpt("depth", ".", "-o", "out", code=130)
    assert result.stdout == ""
    assert "Interrupted: 0 of 2 done" in result.stderr
    assert dpt.written() == given


# How much is said


def test_quiet_says_nothing(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    result = dpt("depth", "a.png", "-o", "out", "-q")
    assert (paths(result), result.stderr) == (["out/a_depth.png"], "")


def test_debug_shows_the_traceback_and_keeps_the_exit_code(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    stderr = dpt("depth", "a.png", "--offline", "--debug", code=4).stderr
    assert "Traceback (most recent call last):" in stderr
    assert "\nError: no usable weights of depth/small" in stderr


def test_without_debug_there_is_no_traceback(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    assert "Traceback" not in dpt("depth", "a.png", "--offline", code=4).stderr


def test_files_that_are_no_images_are_counted(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    text(dpt.desk / "notes.txt")
    assert "(1 other file skipped)" in dpt("depth", ".", "-o", "../out").stderr


def test_every_file_that_is_no_photograph_is_named_where_all_is_to_be_said(
    dpt: FrontDoor,
) -> None:
    dpt.photograph("photos/a.png")
    for name in ("notes.txt", "clip.mp4"):
        text(dpt.desk / "photos" / name)
    result = dpt("depth", "photos", "-o", "out", "-v", "--json")
    lines = [json.loads(line) for line in paths(result)]
    states = {line["input"]: (line["status"], line["outputs"] != {}) for line in lines}
    assert states == {
        "photos/a.png": ("done", True),
        "photos/clip.mp4": ("ignored", False),
        "photos/notes.txt": ("ignored", False),
    }
    assert "(1 other file, 1 video skipped)" in result.stderr
    assert "Ignored: photos/clip.mp4" in result.stderr
    assert "Ignored" not in dpt("depth", "photos", "-o", "out", "--force").stderr


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot read the registry"),
        ("[depth", "is not valid TOML"),
        ("[depth.a]\ntitle = 1\n", "[depth.a] is not a valid row"),
        ("[flow.a]\n", "unknown task 'flow'; there are depth, segment"),
    ],
)
def test_a_registry_that_does_not_parse(dpt: FrontDoor, content: str | None, words: str) -> None:
    dpt.photograph("a.png")
    registry = dpt.desk.parent / "other.toml"
    if content is not None:
        registry.write_text(content)
    assert words in invoke("depth", "a.png", "--registry", registry, code=2).stderr


@pytest.mark.parametrize("engine", [(), ("--engine", "torch")], ids=str)
def test_cuda_graphs_where_there_is_no_cuda_are_refused(
    dpt: FrontDoor, engine: tuple[str, ...]
) -> None:
    dpt.photograph("a.png")
    result = dpt("depth", "a.png", "--cuda-graphs", "--device", "cpu", *engine, code=1)
    assert "--cuda-graphs records CUDA graphs, and this runs on cpu" in result.stderr
    assert not list(Path().rglob("*_depth*"))
    bench = dpt("bench", "--cuda-graphs", "--device", "cpu", "--no-drift", code=1)
    assert "--cuda-graphs records CUDA graphs, and this runs on cpu" in bench.stderr
