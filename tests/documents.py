"""Reads the blocks of code in README.md and docs/, and runs them as a reader would."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from front_door import invoke
from readme import DOCS, README, ROOT

PAGES = (README, *sorted(DOCS.glob("*.md")))

_FENCE = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^\n]+) -->\n)?"
    r"^```(?P<language>\w*)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
# Languages of blocks that are only shown: output and citations.
_PROSE = {"text", "bibtex"}
# Lines that are never run, because they set up the environment of the tests themselves.
_SET_UP = ("pip ", "make ")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        place: Page and line.
        language: As the fence says.
        title: A file's name, where the block is a file.
        text: Its content.
        reason: Why it is not run; empty if it is.
    """

    place: str
    language: str
    title: str
    text: str
    reason: str

    @property
    def is_run(self) -> bool:
        """Whether `run` does something with it."""
        return not self.reason and self.language not in _PROSE

    @property
    def commands(self) -> list[str]:
        """Return the lines of a shell block without their comments; else nothing."""
        lines = self.text.splitlines() if self.language == "sh" else ()
        return [line for given in lines if (line := re.sub(r"(^|\s+)# .*", "", given))]


def blocks(page: Path) -> list[Block]:
    """Return a page's blocks, in order."""
    return list(_blocks(page.read_text(encoding="utf-8"), str(page.relative_to(ROOT))))


def _blocks(text: str, name: str) -> Iterator[Block]:
    for found in _FENCE.finditer(text):
        line = text.count("\n", 0, found.start("text"))
        yield Block(
            f"{name}:{line}",
            found["language"],
            found["title"] or "",
            found["text"],
            found["reason"] or "",
        )


def run(block: Block, names: dict[str, object]) -> None:
    """Run a block in the current folder; `names` are what earlier Python blocks of the page made.

    Raises:
        ValueError: It is of a kind that cannot be run, and says no reason for it.
    """
    if block.language == "sh":
        for line in block.commands:
            if not line.startswith(_SET_UP):
                _run_line(line)
    elif block.language == "python":
        exec(compile(block.text, block.place, "exec"), names)
    elif block.title:
        Path(block.title).write_text(block.text, encoding="utf-8")
    else:
        raise ValueError(f"{block.place}: mark it '<!-- not run: why -->'")


def _run_line(line: str) -> None:
    """Run one command, `dpt` in this process; `before | dpt ...` and `< in > out` are known."""
    before, pipe, command = line.rpartition(" | ")
    stdin = subprocess.run(["sh", "-c", before], capture_output=True, check=True).stdout
    words = shlex.split(command if pipe else line)
    if words[0] != "dpt":
        subprocess.run(["sh", "-c", line], check=True)
        return
    target = None
    if ">" in words:
        *words, _, target = words
    if "<" in words:
        *words, _, source = words
        stdin = Path(source).read_bytes()
    result = invoke(*words[1:], stdin=stdin)
    if target is not None:
        Path(target).write_bytes(result.stdout_bytes)
