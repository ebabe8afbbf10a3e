"""What a user types: help, examples, typos, values that cannot be."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from dpt_cli import __version__
from dpt_cli.cli import dpt as root
from front_door import FrontDoor, invoke, paths
from small_models import row


def commands(
    command: click.Command = root, words: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield words, command
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from commands(below, (*words, name))


ALL = dict(commands())
LEAVES = {words: command for words, command in ALL.items() if not isinstance(command, click.Group)}


def examples(command: click.Command) -> list[str]:
    """Return the line after `Example:`, or the lines of a group's help that begin with `dpt`."""
    lines = [line.strip() for line in (command.help or "").splitlines()]
    found = [line.removeprefix("Example: ") for line in lines if line.startswith("Example: ")]
    return found + [line.split("  ")[0] for line in lines if line.startswith("dpt ")]


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_has_help(words: tuple[str, ...], flag: str) -> None:
    result = invoke(*words, flag)
    assert result.stdout.startswith(f"Usage: {' '.join(('dpt', *words))} ")
    assert result.stderr == ""


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_every_option_has_help(words: tuple[str, ...]) -> None:
    options = [item for item in LEAVES[words].params if isinstance(item, click.Option)]
    assert [option.name for option in options if not option.help] == []


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_every_command_ends_in_one_example(words: tuple[str, ...]) -> None:
    assert len(examples(LEAVES[words])) == 1
    assert examples(LEAVES[words])[0].startswith(" ".join(("dpt", *words)))


_NEEDS_A_DATA_SET = "dpt eval "


@pytest.mark.parametrize(
    "example",
    [
        line
        for item in ALL.values()
        for line in examples(item)
        if not line.startswith(_NEEDS_A_DATA_SET)
    ],
)
def test_every_example_runs(dpt: FrontDoor, example: str) -> None:
    hybrid = row("depth", [dpt.hub_source("depth/model.safetensors")], default=True)
    segment = row("segment", [dpt.hub_source("segment/authors.pt")], default=True)
    dpt.rows(
        depth={"hybrid": hybrid, "large": {**hybrid, "default": False}}, segment={"hybrid": segment}
    )
    dpt("models", "pull", "depth/hybrid")
    dpt.photograph("photo.jpg")
    dpt.photograph("photos/b.jpg")
    program, command, *arguments = shlex.split(example.partition(" > ")[0])
    assert program == "dpt"
    if command in ("gallery", "convert", "info", "formats"):
        dpt("depth", "photo.jpg", "--format", "color,npy")
        assert invoke(command, *arguments).stdout
    else:
        assert dpt(command, *arguments).stdout


def test_the_version() -> None:
    assert invoke("--version").stdout == f"dpt {__version__}\n"


@pytest.mark.parametrize("words", [(), ("models",)], ids=["dpt", "dpt models"])
def test_without_a_command_help_is_shown(words: tuple[str, ...]) -> None:
    assert "Commands:" in invoke(*words, code=2).stderr


@pytest.mark.parametrize(
    ("words", "suggestion"),
    [
        (("depht", "a.png"), "Did you mean 'depth'?"),
        (("models", "lst"), "Did you mean 'list'?"),
        (("depth", "a.png", "--modle", "small"), "Did you mean one of: '--model'"),
        (("depth", "a.png", "--model", "smal"), "Did you mean 'small'?"),
        (("segment", "a.png", "--model", "smal"), "Did you mean 'small'?"),
        (("depth", "a.png", "--format", "colour"), "did you mean 'color'?"),
        (("depth", "a.png", "--format", "npy,pmf"), "did you mean 'pfm'?"),
        (("depth", "a.png", "--colormap", "infernal"), "did you mean 'inferno'?"),
        (("segment", "a.png", "--format", "label"), "did you mean 'labels'?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_typo_is_usage_and_gets_a_suggestion(
    dpt: FrontDoor, words: tuple[str, ...], suggestion: str
) -> None:
    dpt.photograph("a.png")
    result = dpt(*words, code=2)
    assert suggestion.lower() in result.stderr.lower()
    assert result.stdout == ""


NEARLY = {
    ("photo.jpg",): "dpt depth photo.jpg",
    ("photos/", "-o", "out"): "dpt depth photos/ -o out",
    ("https://example.org/a.jpg",): "dpt depth https://example.org/a.jpg",
    ("dpeth", "my photo.jpg"): "dpt depth 'my photo.jpg'",
    ("--model", "tiny", "a.jpg"): "dpt depth --model tiny a.jpg",
    ("--quiet", "segment", "a.jpg"): "dpt segment --quiet a.jpg",
    ("depth", "https://example.org/a%20b.jpg?c&d"): (
        "curl -fsSL 'https://example.org/a%20b.jpg?c&d' | dpt depth -"
    ),
    ("segment", "a.jpg", "s3://bucket/b.jpg"): "curl -fsSL s3://bucket/b.jpg | dpt segment -",
    ("depth", "my clip.MP4"): (
        "mkdir frames && ffmpeg -i 'my clip.MP4' frames/%06d.png && dpt depth frames"
    ),
}


@pytest.mark.parametrize("words", NEARLY, ids=" ".join)
def test_what_people_type_first_is_answered_with_the_line_that_works(
    words: tuple[str, ...],
) -> None:
    result = invoke(*words, code=2)
    assert result.stdout == ""
    assert result.stderr.endswith(f": {NEARLY[words]}\n") or f"? {NEARLY[words]}\n" in result.stderr


def test_without_arguments_the_first_line_to_type_is_shown_in_a_screenful() -> None:
    stderr = invoke(code=2).stderr
    assert "dpt depth photo.jpg" in stderr
    assert len(stderr.splitlines()) <= 24


def test_a_video_costs_no_photograph_beside_it(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    Path("clip.mp4").write_bytes(bytes(100))
    result = dpt("depth", "a.png", "clip.mp4", code=3)
    assert paths(result) == ["dpt-out/a_depth.png"]
    assert "Failed: clip.mp4: " in result.stderr


@pytest.mark.parametrize("command", ["depth", "segment", "bench"])
def test_help_has_every_option_under_a_heading(command: str) -> None:
    lines = invoke(command, "--help").stdout.splitlines()
    headings = [line for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert "Options:" not in headings
    assert 5 <= len(headings) <= 8
    start = lines.index(headings[0])
    shown = [line.split()[0].rstrip(",") for line in lines[start:] if line.startswith("  -")]
    options = [item for item in LEAVES[command,].params if isinstance(item, click.Option)]
    assert sorted(shown) == sorted([*(option.opts[0] for option in options), "-h"])


def test_an_unknown_model_lists_those_there_are(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    stderr = dpt("depth", "a.png", "--model", "huge", code=2).stderr
    assert "There are: small, metric, unpublished. See 'dpt models list'." in stderr


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("--resolution", value) for value in ("0", "15", "x", "-5", "1x2x3", "96x", "99999")),
        *(("--resolution", value) for value in ("1e3", "96.0", "²", "96x8")),
        *(("--multiple-of", value) for value in ("0", "15", "24", "-16", "x", "160000")),
        *(("--batch-size", value) for value in ("0", "-1", "x")),
        *(("--format", value) for value in ("gif", "", "npy,gif")),
        *(("--device", value) for value in ("gpu", "cuda:", "cuda:x", "cpu:0")),
        ("--precision", "fp8"),
        ("--colormap", "no such"),
        ("--registry", "."),
        ("--weights", "."),
        ("--output", "a.png"),
    ],
)
def test_a_value_that_cannot_be_is_usage(dpt: FrontDoor, option: str, value: str) -> None:
    dpt.photograph("a.png")
    # Not through `dpt`, which gives a registry of its own.
    result = invoke("depth", "a.png", option, value, code=2)
    assert result.stdout == ""
    assert option in result.stderr
    assert value.rpartition(",")[2] in result.stderr
    assert dpt.written() == {"a.png"}
    assert dpt.hub.requests == []


@pytest.mark.parametrize(
    ("option", "value"), [("--opacity", "2"), ("--opacity", "-0.1"), ("--classes", "")]
)
def test_a_value_that_cannot_be_is_usage_for_segment(
    dpt: FrontDoor, option: str, value: str
) -> None:
    dpt.photograph("a.png")
    assert option in dpt("segment", "a.png", option, value, code=2).stderr


@pytest.mark.parametrize("command", ["depth", "segment"])
def test_an_input_is_needed(command: str) -> None:
    stderr = invoke(command, code=2).stderr
    assert all(word in stderr for word in ("no INPUT", "--from"))


def test_an_empty_word_is_not_the_current_folder(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    assert "empty" in dpt("depth", "a.png", "", "-o", "out", code=2).stderr
    assert not Path("out").exists()
