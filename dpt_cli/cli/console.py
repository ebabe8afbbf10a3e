"""Everything that is printed goes through here, and is escaped first.

The name of a file may contain any character but a slash and NUL, and terminals obey some of them.
"""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

# Control characters (ESC, BEL, newline), line separators, overrides and isolates of the writing
# direction (they reorder what is beside them), and bytes of a name that are not UTF-8.
_UNSAFE = "\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_IN_A_LINE = re.compile(f"[{_UNSAFE}]")
_IN_A_TEXT = re.compile(f"(?!\n)[{_UNSAFE}]")

# Prints a line above the progress bar while one is shown; None otherwise. `click.echo` would write
# into the bar: it bypasses the stream that rich puts in place of standard error.
_print_above: Callable[[str], None] | None = None


@contextmanager
def above_bar(print_line: Callable[[str], None]) -> Iterator[None]:
    """Let `say` print through a function that knows the bar."""
    global _print_above  # noqa: PLW0603  # one process has one terminal
    _print_above = print_line
    try:
        yield
    finally:
        _print_above = None


def printable(text: object, *, keep_lines: bool = False) -> str:
    r"""Return a text with everything that a terminal might obey as `\x1b`, `\n` or `\u202e`.

    Args:
        text: What is to be printed.
        keep_lines: Whether newlines are the program's own and stay.
    """
    return (_IN_A_TEXT if keep_lines else _IN_A_LINE).sub(_escaped, str(text))


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    if "\udc80" <= character <= "\udcff":  # how Python represents a byte that is not UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def say(line: object, *, keep_lines: bool = False) -> None:
    """Print a line for the user to standard error; with `keep_lines`, several."""
    text = printable(line, keep_lines=keep_lines)
    if _print_above is None:
        click.echo(text, err=True)
    else:
        _print_above(text)


def put(text: object, *, keep_lines: bool = False) -> None:
    """Print a line of a command's result to standard output; with `keep_lines`, several."""
    click.echo(printable(text, keep_lines=keep_lines))


def put_path(path: Path | str) -> None:
    """Print a path to standard output: escaped on a terminal, as its exact bytes elsewhere.

    A name with a newline takes two lines in a pipe; `--json` is exact.
    """
    encoding = sys.stdout.encoding or "utf-8"
    if sys.stdout.isatty():
        click.echo(printable(path).encode(encoding, "replace").decode(encoding))
        return
    try:
        line = str(path).encode(encoding, "surrogateescape")
    except UnicodeEncodeError:
        # A name that the encoding of standard output lacks must not end the run.
        line = str(path).encode(encoding, "replace")
    click.echo(line)
