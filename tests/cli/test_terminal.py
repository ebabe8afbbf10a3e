"""What a run draws on a real terminal: a bar that stays in its line, and whole lines above it."""

import os
import re
import select
import subprocess
import sys
from pathlib import Path

import pytest

from dpt_cli.checkpoint.registry import load_registry
from front_door import FrontDoor, written_in

pytestmark = pytest.mark.skipif(os.name == "nt", reason="pseudo-terminals are POSIX")

_HIDE_CURSOR = "\x1b[?25l"
# What a terminal, or rich, would take for a command.
_BAD_NAME = "2.[red]:smile:\x1b[2J.png"
_COMMAND = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


def on_terminal(*words: str, stdout: Path | None = None) -> str:
    """Run `dpt` on a terminal of 80 x 24 characters; return every byte that it was sent."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    output = theirs if stdout is None else os.open(stdout, os.O_WRONLY | os.O_CREAT)
    process = subprocess.Popen(
        [sys.executable, "-m", "dpt_cli", *words],
        stdin=theirs, stdout=output, stderr=theirs,
        env={**kept, "TERM": "xterm-256color", "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    os.close(theirs)
    received = b""
    while True:
        ready, _, _ = select.select([ours], [], [], 60)
        assert ready, f"no answer: {received!r}"
        try:
            piece = os.read(ours, 65536)
        except OSError:  # Linux, once the other end is closed
            break
        if not piece:
            break
        received += piece
    os.close(ours)
    process.wait(10)
    return received.decode()


def screen(sent: str) -> list[str]:
    """Return the lines a terminal shows in the end, its scrollback included.

    Knows what a bar needs: carriage return, newline, cursor up, erase line.
    """
    lines, row, column = [""], 0, 0
    for part in re.findall(r"\x1b\[[0-?]*[ -/]*[@-~]|\r|\n|[^\x1b\r\n]+", sent):
        if part == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif part == "\r":
            column = 0
        elif part.endswith("A") and _COMMAND.fullmatch(part):
            row = max(0, row - int(part[2:-1] or 1))
        elif part == "\x1b[2K":
            lines[row] = ""
        elif not _COMMAND.fullmatch(part):
            before = lines[row].ljust(column)
            lines[row] = before[:column] + part + before[column + len(part) :]
            column += len(part)
    return [line.rstrip() for line in lines]


@pytest.fixture
def folder(dpt: FrontDoor) -> tuple[str, ...]:
    """Put photographs, one of them damaged, on the desk; return what a run is asked."""
    for number in range(4):
        dpt.photograph(f"photos/{number}.png")
    Path(f"photos/{_BAD_NAME}").write_bytes(b"just text\n")
    dpt("models", "pull", "depth/small")
    return (
        "depth",
        "photos",
        "-o",
        "out",
        "--registry",
        str(dpt.registry),
        "--device",
        "cpu",
        "--engine",
        "torch",
    )


def test_a_bar_stays_in_its_line_and_replaces_the_list_of_paths(folder: tuple[str, ...]) -> None:
    sent = on_terminal(*folder, "-v")
    shown = screen(sent)
    assert _HIDE_CURSOR in sent  # there was a bar
    assert [line for line in shown if "━" in line] == []
    assert r"Failed: photos/2.[red]:smile:\x1b[2J.png: not an image" in "\n".join(shown)
    verbose = [line for line in shown if " px, fp32" in line]
    assert sorted(line[:12] for line in verbose) == [f"photos/{n}.png" for n in range(4)]
    assert all(re.fullmatch(r"photos/\d\.png: \d+ x \d+ px, fp32", line) for line in verbose)
    assert len(written_in(Path("out"))) == 4
    assert [line for line in shown if line.startswith("out/")] == []
    assert any("4 of 5 done" in line and "out" in line for line in shown)


def test_a_file_gets_every_path_while_the_terminal_gets_the_bar(folder: tuple[str, ...]) -> None:
    sent = on_terminal(*folder, stdout=Path("list"))
    assert _HIDE_CURSOR in sent
    assert sorted(Path("list").read_text().splitlines()) == [
        f"out/{number}_depth.png" for number in range(4)
    ]


def test_json_on_a_terminal_goes_without_a_bar(folder: tuple[str, ...]) -> None:
    sent = on_terminal(*folder, "--json")
    assert _HIDE_CURSOR not in sent
    assert sent.count('{"schema"') == 5


def test_a_list_of_models_cuts_no_name_at_80_columns() -> None:
    shown = screen(on_terminal("models", "list"))
    text = " ".join(" ".join(shown).split())
    assert max(map(len, shown)) <= 80
    for row in load_registry().rows:
        assert any(line.startswith(row.task) and f" {row.name} " in line for line in shown)
        assert f" {row.title}, {row.licence}: " in text
    assert "…" not in "".join(shown)
    assert "larger is nearer, no unit" in text
