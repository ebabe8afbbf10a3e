"""What goes wrong with photographs and output folders, and what is left behind: nothing."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dpt_cli.engine.torch_engine import TorchEngine
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
        ("nowhere.jpg", "nowhere.jpg: No such file or directory"),
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


def test_a_missing_path_among_good_ones_ends_it_before_any_work(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    dpt("depth", "a.png", "nowhere.png", "-o", "out", code=1)
    assert not Path("out").exists()


def test_a_device_this_machine_lacks(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    stderr = dpt("depth", "a.png", "-o", "out", "--device", "cuda:99", code=1).stderr
    assert "Error: no device cuda:99: this machine has" in stderr


# Outputs and inputs in each other's way


def test_an_input_is_never_overwritten(dpt: FrontDoor) -> None:
    before = {path: path.read_bytes() for path in map(dpt.photograph, ("x.png", "x_depth.png"))}
    result = dpt("depth", "x.png", "x_depth.png", "-o", ".", code=1)
    assert "x_depth.png would overwrite an input; choose another folder" in result.stderr
    assert {path: path.read_bytes() for path in dpt.desk.iterdir()} == before
    assert dpt.hub.requests == []


def test_an_input_behind_a_link_is_never_overwritten(dpt: FrontDoor) -> None:
    dpt.photograph("x.png")
    dpt.photograph("real/x_depth.png")
    Path("linked").symlink_to("real")
    dpt("depth", "x.png", "real/x_depth.png", "-o", "linked", code=1)
    assert dpt.written() == {"x.png", "real/x_depth.png"}


@pytest.mark.parametrize(
    ("names", "outputs"),
    [
        (("p/a.jpg", "p/a.png"), ["a.jpg_depth.png", "a.png_depth.png"]),
        (("p/a.png", "p/A.jpg"), ["A.jpg_depth.png", "a.png_depth.png"]),
        (("p/x/a.png", "p/y/a.png"), ["x/a_depth.png", "y/a_depth.png"]),
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
    assert "0 of 1 done, 1 done before" in dpt("depth", ".").stderr


def test_outputs_can_be_inputs_of_another_run(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    (path,) = paths(dpt("depth", "a.png"))
    assert paths(dpt("segment", path)) == ["dpt-out/a_depth_segment.png"]
    assert len(paths(dpt("segment", "dpt-out", "-o", "again"))) == 2


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
    assert result.stderr.endswith("Interrupted: 0 of 2 done; the same command continues.\n")
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
    result = dpt("depth", "a.png", "--compile", "--device", "cpu", *engine, code=1)
    assert "--compile records CUDA graphs, and this runs on cpu" in result.stderr
    assert not list(Path().rglob("*_depth*"))
    bench = dpt("bench", "--compile", "--device", "cpu", "--no-drift", code=1)
    assert "--compile records CUDA graphs, and this runs on cpu" in bench.stderr
