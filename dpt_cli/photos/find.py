"""Find the photographs that files and folders stand for.

Opens only what may be a map of ours, to pass it over: `decode` reads photographs. Needs no cv2.
"""

import codecs
import glob
import os
import stat
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dpt_cli.errors import InputError

# What OpenCV decodes. EXR is left out: OpenCV wants an environment variable set before its import.
IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jp2", ".png", ".webp", ".avif", ".gif", ".bmp", ".dib"}
    | {".tif", ".tiff", ".pbm", ".pgm", ".ppm", ".pnm", ".hdr"}
)


STDIN = Path("-")

_NOT_A_FILE = "a pipe or device, not a file: save the photograph first"


@dataclass(frozen=True)
class Photograph:
    """One input: its path as the user would recognise it, and its place in the output folder.

    `relative` is the bare name of a file given by name, else the path below the given folder.
    """

    path: Path
    relative: Path


@dataclass(frozen=True)
class BadInput:
    """A path that should have been a photograph, or a folder of them, and why it is not."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Found:
    """The photographs in the order given, folders sorted, each real file once.

    Attributes:
        photographs: What was found.
        failures: Paths that are missing or cannot be read.
        num_skipped: Hidden entries and other files in the given folders.
        num_made: Maps in the given folders that dpt made.
    """

    photographs: tuple[Photograph, ...]
    failures: tuple[BadInput, ...] = ()
    num_skipped: int = 0
    num_made: int = 0


def read_list(path: Path, *, nul: bool = False) -> tuple[Path, ...]:
    """Return the paths a file lists, one a line or separated by NUL; `-` is standard input.

    Raises:
        InputError: The list cannot be read.
    """
    try:
        if path == STDIN:
            content = sys.stdin.buffer.read()
        else:
            mode_of(path)
            content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    names = content.split(b"\0") if nul else _without_mark(content).splitlines()
    return tuple(Path(os.fsdecode(name)) for name in names if name)


def _without_mark(content: bytes) -> bytes:
    """Return a list as Windows writes it, with a byte order mark or in UTF-16, as plain UTF-8."""
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if content.startswith(mark):
            rest = content[len(mark) :]
            return rest if encoding == "utf-8" else rest.decode(encoding, "replace").encode()
    return content


def expand(given: Path) -> list[Path]:
    """Return what a pattern such as photos/*.jpg stands for where the shell left it as it is."""
    if not _is_path(given) or os.path.lexists(given) or not glob.has_magic(str(given)):
        return [given]
    found = glob.glob(str(given), recursive=True)  # noqa: PTH207  # absolute patterns too
    return sorted(map(Path, found)) or [given]


def find_photographs(
    inputs: Sequence[Path],
    output: Path | None = None,
    is_made: Callable[[Path], bool] = lambda _path: False,
) -> Found:
    """Return the photographs that files and folders stand for; folders are searched all the way.

    A file given by name is taken whatever its suffix; in folders the suffix decides. The output
    folder is passed over where it lies in a given folder, so that a run can be repeated. A path
    that is missing, unreadable, a pipe or a device is a failure of its own.

    Args:
        inputs: Files, folders and patterns.
        output: The output folder.
        is_made: Whether a picture in a folder is a map, not a photograph.
    """
    search = _Search(is_made, set() if output is None else {os.path.realpath(output)})
    search.seen -= {os.path.realpath(given) for given in inputs if _is_path(given)}
    for given in (path for pattern in inputs for path in expand(pattern)):
        search.take(given)
    return Found(
        tuple(search.photographs), tuple(search.failures), search.num_skipped, search.num_made
    )


@dataclass
class _Search:
    is_made: Callable[[Path], bool]
    seen: set[str]
    photographs: list[Photograph] = field(default_factory=list)
    failures: list[BadInput] = field(default_factory=list)
    num_skipped: int = 0
    num_made: int = 0

    def take(self, given: Path) -> None:
        """Take what a user named: a file, or what is in a folder."""
        try:
            if stat.S_ISDIR(mode_of(given)):
                self._walk(given)
            elif self._is_new(given):
                self.photographs.append(Photograph(given, Path(given.name)))
        except InputError as error:
            self._fail(given, str(error))

    def _walk(self, root: Path) -> None:
        """Take the images below a folder in sorted order."""
        pending = [root]
        while pending:
            path = pending.pop()
            if path is not root and path.name.startswith("."):
                self.num_skipped += 1
                continue
            is_image = path.suffix.lower() in IMAGE_SUFFIXES
            try:
                mode = path.stat().st_mode
                if stat.S_ISDIR(mode):
                    # Each real folder once: links that lead back up would never end.
                    if self._is_new(path):
                        pending.extend(sorted(path.iterdir(), reverse=True))
                    continue
            except OSError as error:
                if is_image or path.is_dir() or path is root:
                    self._fail(path, error.strerror or str(error))
                else:
                    self.num_skipped += 1
                continue
            if not is_image:
                self.num_skipped += 1
            elif not stat.S_ISREG(mode):
                self._fail(path, _NOT_A_FILE)
            elif self._is_new(path):
                if self.is_made(path):
                    self.num_made += 1
                else:
                    self.photographs.append(Photograph(path, path.relative_to(root)))

    def _is_new(self, path: Path) -> bool:
        # Real paths, not inodes: hard links may be photographs stored once under two names.
        real = os.path.realpath(path)
        is_new = real not in self.seen
        self.seen.add(real)
        return is_new

    def _fail(self, path: Path, reason: str) -> None:
        self.failures.append(BadInput(path, reason.removeprefix(f"{path}: ")))


def mode_of(path: Path) -> int:
    """Return the mode of a file or folder; to open anything else could wait for ever.

    Raises:
        InputError: It is missing, a pipe or a device, or no path at all.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise InputError(f"{path}: {_NOT_A_FILE}")
    return mode


def _is_path(path: Path) -> bool:
    return "\0" not in str(path)
