"""Names that a terminal would obey: escaped where people read, exact where programs do."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from dpt_cli.cli import dpt as dpt_command
from dpt_cli.cli.console import printable
from front_door import FrontDoor

ESCAPED = {
    "\x1b[31m": r"\x1b[31m",
    "a\nb": r"a\nb",
    "\x07": r"\x07",
    "\x9b": r"\x9b",
    "\x7f": r"\x7f",
    "\u202egpj": r"\u202egpj",
    "\u2066": r"\u2066",
    "\u2028": r"\u2028",
    os.fsdecode(b"\xff"): r"\xff",
    "\ud800": r"\ud800",
}
PLAIN = ("東京 é", "a b\u3000c", "\u202f", "👩\u200d🚀", "שלום\u200f", "100%\\n")
NAME = "a\x1b]0;x\x07\u202eb\x9b\n.png"
RAW = set("\x1b\x07\u202e\x9b")


@pytest.mark.parametrize("text", ESCAPED, ids=ascii)
def test_what_a_terminal_obeys_is_escaped(text: str) -> None:
    assert printable(text) == ESCAPED[text]


@pytest.mark.parametrize("text", PLAIN, ids=ascii)
def test_what_people_write_is_left(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize("flags", [(), ("-v",), ("--json",), ("--debug",)], ids=str)
def test_no_message_has_a_name_raw(dpt: FrontDoor, flags: tuple[str, ...]) -> None:
    dpt.photograph(f"in/{NAME}")
    (dpt.desk / "in" / f"bad{NAME}").write_text("no picture")
    result = dpt("depth", "in", "-o", f"out{NAME}s", *flags, code=3)  # a folder's name
    assert not RAW & set(result.stderr)
    lines = [line for line in result.stderr.splitlines() if line.startswith(".png")]
    assert lines == []
    assert r"Failed: in/bada\x1b]0;x\x07\u202eb\x9b\n.png: " in result.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("depth", NAME),
        ("depth", ".", "-o", NAME),
        ("depth", ".", "--weights", NAME),
        ("depth", ".", "--registry", NAME),
        ("depth", ".", "--model", NAME),
        ("depth", ".", "--colormap", NAME),
        ("depth", ".", "--format", NAME),
        ("depth", ".", "--device", NAME),
        ("depth", "--from", NAME),
        ("segment", ".", f"--{NAME}"),
        ("bench", "--plot", f"{NAME}.jpg"),
        ("bench", "--csv", f"{NAME}/x", "--resolution", NAME),
        (NAME,),
        ("models", "pull", NAME),
        ("config", NAME),
    ],
    ids=ascii,
)
def test_no_error_has_a_name_raw(dpt: FrontDoor, words: tuple[str, ...]) -> None:
    (dpt.desk / "x.png").write_text("no picture")
    Path(NAME).touch()
    result = CliRunner().invoke(dpt_command, words, env={"DPT_OFFLINE": "1"})
    assert isinstance(result.exception, SystemExit)
    assert result.exit_code in (1, 2, 3, 4)
    assert not RAW & set(result.output)


def test_a_pipe_gets_paths_exactly(dpt: FrontDoor) -> None:
    dpt.photograph(NAME)
    dpt.photograph(os.fsdecode(b"\xfc.png"))
    result = dpt("depth", ".", "-o", "../out", "--format", "npy")
    written = result.stdout_bytes.removesuffix(b"\n").split(b".npy\n")
    for line in written:
        assert Path(os.fsdecode(line.removesuffix(b".npy") + b".npy")).exists()
    assert len(written) == 2


def test_a_terminal_gets_them_escaped(dpt: FrontDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    dpt.photograph(NAME)
    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda _: True)
    monkeypatch.setenv("TERM", "dumb")
    result = dpt("depth", ".", "-o", "../out")
    assert not RAW & set(result.stdout)
    assert r"\x1b]0;x\x07\u202eb\x9b\n_depth.png" in result.stdout


def test_json_is_exact(dpt: FrontDoor) -> None:
    dpt.photograph(NAME)
    (line,) = dpt("depth", ".", "-o", "../out", "--json").stdout.splitlines()
    assert Path(json.loads(line)["outputs"]["color"]).exists()
    assert not RAW & set(line)
