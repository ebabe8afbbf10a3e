"""`-`, `--json`, `--from`, globs: dpt between other programs."""

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from PIL import Image

from dpt_cli.version import __version__
from front_door import FrontDoor, paths, written_in


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Make one stream a terminal."""
    monkeypatch.setattr(
        "click.testing._NamedTextIOWrapper.isatty",
        lambda stream: stream.name == f"<{request.param}>",
    )


def objects(result: Result) -> list[dict[str, Any]]:
    """Return what stdout holds, which is one object a line and nothing else."""
    return [json.loads(line) for line in result.stdout.splitlines()]


# One photograph through a pipe


def test_through_a_pipe_come_the_bytes_of_a_file(dpt: FrontDoor) -> None:
    photograph = dpt.photograph("a.png", 130, 97).read_bytes()
    (path,) = paths(dpt("depth", "a.png", "-o", "out"))
    given = dpt.written()
    result = dpt("depth", "-", "-o", "-", stdin=photograph)
    with Image.open(path) as file, Image.open(BytesIO(result.stdout_bytes)) as piped:
        np.testing.assert_array_equal(np.asarray(piped), np.asarray(file))
        # Only a file has a name.
        assert {"dpt:photograph": "a.png", **piped.info} == file.info
        assert "dpt:photograph" not in piped.info
    assert dpt.written() == given
    assert "weights: depth/small from " in result.stderr


@pytest.mark.parametrize("kind", ["npy", "pfm", "png16"])
def test_any_one_format_goes_through(dpt: FrontDoor, kind: str) -> None:
    dpt.photograph("a.png")
    (path,) = paths(dpt("depth", "a.png", "-o", "out", "--format", kind))
    piped = dpt("depth", "a.png", "-o", "-", "--format", kind).stdout_bytes
    assert piped == Path(path).read_bytes()


def test_segment_goes_through_too(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    (path,) = paths(dpt("segment", "a.png", "-o", "out", "--format", "labels"))
    piped = dpt("segment", "a.png", "-o", "-", "--format", "labels").stdout_bytes
    assert piped == Path(path).read_bytes()


def test_from_a_pipe_into_a_folder(dpt: FrontDoor) -> None:
    photograph = dpt.photograph("a.png").read_bytes()
    result = dpt("depth", "-", "-o", "out", "--format", "color,npy", stdin=photograph)
    assert paths(result) == ["out/stdin_depth.png", "out/stdin_depth.npy"]
    dpt("depth", "a.png", "-o", "out", "--format", "npy")
    np.testing.assert_array_equal(np.load("out/stdin_depth.npy"), np.load("out/a_depth.npy"))


def test_what_a_pipe_gave_before_is_not_overwritten(dpt: FrontDoor) -> None:
    photograph = dpt.photograph("a.png").read_bytes()
    Path("out").mkdir()
    Path("out/stdin_depth.png").write_bytes(b"mine")
    result = dpt("depth", "-", "-o", "out", stdin=photograph, code=1)
    assert result.stderr.startswith("Error: out/stdin_depth.png ")
    assert "--force" in result.stderr
    assert dpt.hub.requests == []
    dpt("depth", "-", "-o", "out", "--force", stdin=photograph)
    assert Path("out/stdin_depth.png").read_bytes() != b"mine"


def test_a_folder_that_cannot_be_made_is_told_before_stdin_is_read(dpt: FrontDoor) -> None:
    Path("taken").touch()
    result = dpt("depth", "-", "-o", "taken/out", stdin=b"no picture", code=1)
    assert result.stderr.startswith("Error: cannot write into taken/out: ")


@pytest.mark.parametrize(
    ("given", "reason"), [(b"no picture", "not an image"), (b"", "the file is empty")]
)
def test_a_pipe_of_something_else_is_told(dpt: FrontDoor, given: bytes, reason: str) -> None:
    result = dpt("depth", "-", "-o", "-", stdin=given, code=1)
    assert result.stdout_bytes == b""
    assert f"Error: {reason}" in result.stderr
    assert dpt.hub.requests == []


def test_quiet_a_pipe_says_nothing(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    result = dpt("depth", "a.png", "-o", "-", "-q")
    assert result.stderr == ""
    assert result.stdout_bytes.startswith(b"\x89PNG")


@pytest.mark.parametrize("terminal", ["stdout"], indirect=True)
@pytest.mark.usefixtures("terminal")
def test_bytes_never_go_to_a_terminal(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    result = dpt("depth", "a.png", "-o", "-", code=2)
    assert result.stdout_bytes == b""
    assert "standard output is a terminal" in result.stderr
    assert dpt.hub.requests == []


@pytest.mark.parametrize("terminal", ["stdin"], indirect=True)
@pytest.mark.usefixtures("terminal")
def test_a_terminal_is_not_waited_for(dpt: FrontDoor) -> None:
    assert "which is a terminal" in dpt("depth", "-", "-o", "-", code=2).stderr


@pytest.mark.parametrize(
    "words",
    [
        ("-", "a.png", "-o", "-"),
        ("-", "a.png", "-o", "out"),
        ("-", "-", "-o", "out"),
        ("a.png", "b.png", "-o", "-"),
        ("-o", "-"),
        ("a.png", "-o", "-", "--format", "color,npy"),
        ("a.png", "-o", "-", "--json"),
        ("--from", "list", "-o", "-"),
        ("-", "--from", "list", "-o", "out"),
        ("-", "-o", "out", "--dry-run"),
        ("a.png", "-o", "-", "-n"),
    ],
    ids=" ".join,
)
def test_what_cannot_go_through_a_pipe_is_usage(dpt: FrontDoor, words: tuple[str, ...]) -> None:
    photograph = dpt.photograph("a.png").read_bytes()
    dpt.photograph("b.png")
    Path("list").write_text("a.png\n")
    given = dpt.written()
    result = dpt("depth", *words, stdin=photograph, code=2)
    assert result.stdout_bytes == b""
    assert dpt.hub.requests == []
    assert dpt.written() == given


def test_a_folder_cannot_go_through_a_pipe(dpt: FrontDoor) -> None:
    dpt.photograph("photos/a.png")
    assert "photos" in dpt("depth", "photos", "-o", "-", code=1).stderr
    assert dpt.hub.requests == []


# JSON


def test_json_tells_of_what_is_done(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    (line,) = objects(dpt("depth", "a.png", "-o", "out", "--json", "--format", "color,npy"))
    values = np.load("out/a_depth.npy")
    sha256 = dpt.hub_source("depth/model.safetensors")["sha256"]
    assert 0 < line.pop("seconds") < 60
    assert line.pop("weights").startswith("depth/small from Somebody/small-dpt")
    expected = {
        "schema": 1,
        "input": "a.png",
        "status": "done",
        "outputs": {"color": "out/a_depth.png", "npy": "out/a_depth.npy"},
        "error": None,
        "kind": "relative inverse depth",
        "quantity": "inverse_depth",
        "unit": "relative",
        "near": "large",
        "min": values.min(),
        "max": values.max(),
        "map_hw": [96, 96],
        "calibration": None,
        "camera": None,
        "model": "depth/small",
        "weights_sha256": sha256,
        "engine": "torch",
        "precision": "fp32",
        "network_hw": [96, 96],
        "photograph": "a.png",
        "photo_hw": [96, 96],
        "dpt": __version__,
        "device": "cpu",
    }
    assert {key: line[key] for key in expected} == expected


def test_json_tells_of_what_was_done_before(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    dpt("depth", "a.png", "-o", "out")
    assert objects(dpt("depth", "a.png", "-o", "out", "--json")) == [
        {
            "schema": 1,
            "input": "a.png",
            "status": "skipped",
            "outputs": {"color": "out/a_depth.png"},
            "error": None,
        }
    ]


def test_json_tells_of_what_failed(dpt: FrontDoor) -> None:
    Path("bad.png").write_text("no picture")
    result = dpt("depth", "bad.png", "-o", "out", "--json", code=3)
    (line,) = objects(result)
    assert line.pop("error").startswith("not an image")
    assert line == {"schema": 1, "input": "bad.png", "status": "failed", "outputs": {}}
    assert "Failed: bad.png: not an image" in result.stderr


def test_json_tells_of_what_would_be_done(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    (line,) = objects(dpt("depth", "a.png", "-o", "out", "--json", "-n"))
    assert (line["status"], line["outputs"]) == ("planned", {"color": "out/a_depth.png"})


def test_json_holds_one_object_an_input_whatever_became_of_it(dpt: FrontDoor) -> None:
    for name in ("a.png", "b.png", "c.png"):
        dpt.photograph(name)
    dpt("depth", "b.png", "-o", "../out")
    Path("c.png").write_text("no picture")
    lines = objects(dpt("depth", ".", "-o", "../out", "--json", "-v", code=3))
    assert {line["input"]: line["status"] for line in lines} == {
        "a.png": "done",
        "b.png": "skipped",
        "c.png": "failed",
    }
    assert len(lines) == 3


def test_json_comes_out_in_ascii(dpt: FrontDoor) -> None:
    dpt.photograph("東京.png")
    result = dpt("depth", "東京.png", "-o", "out", "--json", charset="ascii")
    assert objects(result)[0]["input"] == "東京.png"


# Lists and globs


def test_a_list_in_a_file(dpt: FrontDoor) -> None:
    dpt.photograph("photos/a.png")
    dpt.photograph("b b.png")
    dpt.photograph("photos/c.png")
    Path("list").write_text("photos/a.png\r\n\nb b.png\n")
    result = dpt("depth", "--from", "list", "-o", "out")
    assert paths(result) == ["out/a_depth.png", "out/b b_depth.png"]


def test_a_list_on_standard_input(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    result = dpt("depth", "--from", "-", "-o", "out", stdin=b"a.png\n")
    assert paths(result) == ["out/a_depth.png"]


def test_a_list_separated_by_nul_holds_any_name(dpt: FrontDoor) -> None:
    dpt.photograph("a\nb.png")
    dpt.photograph("c.png")
    dpt("depth", "--from", "-", "-0", "-o", "out", stdin=b"a\nb.png\0c.png\0")
    assert written_in(Path("out")) == {"a\nb_depth.png", "c_depth.png"}


def test_a_list_beside_inputs(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    dpt.photograph("b.png")
    result = dpt("depth", "a.png", "--from", "-", "-o", "out", stdin=b"b.png\na.png")
    assert paths(result) == ["out/a_depth.png", "out/b_depth.png"]


def test_an_empty_list_is_told(dpt: FrontDoor) -> None:
    assert "no INPUT" in dpt("depth", "--from", "-", "-o", "out", code=2).stderr


def test_a_list_that_is_not_there_is_told(dpt: FrontDoor) -> None:
    stderr = dpt("depth", "--from", "nowhere", "-o", "out", code=1).stderr
    assert stderr == "Error: nowhere: No such file or directory\n"


def test_a_glob_the_shell_left_is_expanded(dpt: FrontDoor) -> None:
    for name in ("photos/b.png", "photos/a.png", "photos/c.jpg", "photos/deep/d.png"):
        dpt.photograph(name)
    assert paths(dpt("depth", "photos/*.png", "-o", "out")) == [
        "out/a_depth.png",
        "out/b_depth.png",
    ]
    (deep,) = set(paths(dpt("depth", "photos/**/*.png", "-o", "out")))
    assert deep == "out/d_depth.png"


def test_a_file_named_like_a_glob_is_itself(dpt: FrontDoor) -> None:
    dpt.photograph("[a].png")
    dpt.photograph("a.png")
    assert paths(dpt("depth", "[a].png", "-o", "out")) == ["out/[a]_depth.png"]


def test_a_glob_without_matches_is_told(dpt: FrontDoor) -> None:
    assert "*.png: No such file" in dpt("depth", "*.png", "-o", "out", code=3).stderr


def test_the_same_file_reached_twice_is_done_once(dpt: FrontDoor) -> None:
    dpt.photograph("photos/a.png")
    Path("link.png").symlink_to("photos/a.png")
    words = ("photos", "photos/*.png", "link.png", "--from", "-")
    result = dpt("depth", *words, "-o", "out", stdin=b"./photos/a.png\n")
    assert paths(result) == ["out/a_depth.png"]


def test_nul_without_a_list_is_refused(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    assert "--from" in dpt("depth", "a.png", "-0", code=2).stderr


# -o FILE


@pytest.mark.parametrize(
    ("command", "file", "options"),
    [
        ("depth", "made.png", ()),
        ("depth", "made.npy", ("--format", "npy")),
        ("depth", "new/made.PFM", ("--format", "pfm")),
        ("segment", "made.png", ("--format", "labels")),
    ],
)
def test_one_photograph_goes_into_the_file_that_is_named(
    dpt: FrontDoor, command: str, file: str, options: tuple[str, ...]
) -> None:
    dpt.photograph("a.png")
    assert paths(dpt(command, "a.png", "-o", file, *options)) == [file]
    (expected,) = paths(dpt(command, "a.png", "-o", "out", *options))
    assert Path(file).read_bytes() == Path(expected).read_bytes()
    assert not Path("manifest.jsonl").exists()
    assert "use --force" in dpt(command, "a.png", "-o", file, *options, code=1).stderr
    dpt(command, "a.png", "-o", file, *options, "--force")


@pytest.mark.parametrize(
    ("words", "file"),
    [
        (("a.png", "b.png"), "made.png"),
        (("photos",), "made.png"),
        (("a.png", "--format", "color,npy"), "made.png"),
        (("a.png", "--format", "npy"), "made.png"),
        (("a.png", "-n"), "made.png"),
        (("a.png", "--force"), "a.png"),
        (("a.png", "--force"), "photos/../a.png"),
        (("link.png", "--force"), "a.png"),
    ],
)
def test_a_file_is_no_place_for_more_than_one(
    dpt: FrontDoor, words: tuple[str, ...], file: str
) -> None:
    for name in ("a.png", "b.png", "photos/c.png"):
        dpt.photograph(name)
    Path("link.png").symlink_to("a.png")
    before = dpt.written()
    dpt("depth", *words, "-o", file, code=2)
    assert dpt.written() == before


def test_a_folder_with_a_files_name_is_a_folder(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    Path("maps.png").mkdir()
    assert paths(dpt("depth", "a.png", "-o", "maps.png")) == ["maps.png/a_depth.png"]
