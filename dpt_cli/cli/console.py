"""The one way to a terminal: what is printed, and what is escaped first.

A file's name may hold anything but a slash and NUL; a terminal takes some of it for commands.
"""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

# Control characters (ESC, BEL, newline), line separators, overrides and isolates of the writing
# direction (they reorder what stands beside them), and bytes of a name that are no UTF-8.
_UNSAFE = "\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_IN_A_LINE = re.compile(f"[{_UNSAFE}]")
_IN_A_TEXT = re.compile(f"(?!\n)[{_UNSAFE}]")

# Prints a line above the progress bar while one is drawn, None otherwise. `click.echo` would write
# where the bar is: it looks below the stream that rich puts in standard error's place.
_print_above: Callable[[str], None] | None = None


@contextmanager
def above_bar(print_line: Callable[[str], None]) -> Iterator[None]:
    """Send what `say` prints through a function that knows the bar."""
    global _print_above  # noqa: PLW0603  # one process has one terminal
    _print_above = print_line
    try:
        yield
    finally:
        _print_above = None


def printable(text: object, *, keep_lines: bool = False) -> str:
    r"""Return a text with everything a terminal might obey as `\x1b`, `\n` or `\u202e`.

    Args:
        text: What is to be printed.
        keep_lines: Whether newlines are the program's own and stay.
    """
    return (_IN_A_TEXT if keep_lines else _IN_A_LINE).sub(_escaped, str(text))


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    if "\udc80" <= character <= "\udcff":  # how Python keeps a byte that is no UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def say(line: object, *, keep_lines: bool = False) -> None:
    """Print a line, or with `keep_lines` several, for the user to standard error."""
    text = printable(line, keep_lines=keep_lines)
    if _print_above is None:
        click.echo(text, err=True)
    else:
        _print_above(text)


def put(text: object, *, keep_lines: bool = False) -> None:
    """Print a line, or with `keep_lines` several, of a command's result to standard output."""
    click.echo(printable(text, keep_lines=keep_lines))


def put_path(path: Path | str) -> None:
    """Print a path to standard output: exactly its bytes into a pipe or a file, for programs.

    A terminal gets it escaped. A name with a newline is two lines in a pipe; `--json` is exact.
    """
    encoding = sys.stdout.encoding or "utf-8"
    if sys.stdout.isatty():
        click.echo(printable(path).encode(encoding, "replace").decode(encoding))
        return
    try:
        line = str(path).encode(encoding, "surrogateescape")
    except UnicodeEncodeError:
        # A name that standard output's encoding lacks must not end the run.
        line = str(path).encode(encoding, "replace")
    click.echo(line)
