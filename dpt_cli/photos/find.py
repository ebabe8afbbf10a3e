"""Finds the photographs in the files and folders that a user names.

Opens files only to see whether they are maps that dpt made, or JPEGs with a HEIC's name. Needs no
numpy and no cv2.
"""

import codecs
import glob
import os
import re
import stat
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dpt_cli.errors import InputError
from dpt_cli.photos import heic

# What OpenCV decodes, except EXR, for which it wants a variable set before its import.
IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jp2", ".png", ".webp", ".avif", ".gif", ".bmp", ".dib"}
    | {".tif", ".tiff", ".pbm", ".pgm", ".ppm", ".pnm", ".hdr"}
)
# Photographs that dpt does not decode: JPEG XL, and cameras' raw files.
UNREADABLE_SUFFIXES = frozenset(
    {".jxl", ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng"}
    | {".erf", ".fff", ".gpr", ".iiq", ".kdc", ".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf"}
    | {".pef", ".raf", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"}
)
VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mts", ".m2ts", ".mpg", ".mpeg", ".3gp"}
    | {".wmv", ".insv"}
)

STDIN = Path("-")

_NOT_A_FILE = "a pipe or device, not a file: save the photograph first"


@dataclass(frozen=True)
class Photograph:
    """One input.

    Attributes:
        path: Its path, as the user would recognise it.
        relative: Its place in the output folder: the bare name of a file given by name, otherwise
            the path below the given folder.
    """

    path: Path
    relative: Path


@dataclass(frozen=True)
class BadInput:
    """A path that should have been a photograph or a folder, and the reason why it is not."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Found:
    """The result of a search: inputs in the order given, folders in natural order, no file twice.

    Attributes:
        photographs: What was found.
        failures: Paths that are missing or cannot be read, and photographs that cannot be decoded.
        skipped: Hidden entries and other files in the given folders.
        num_made: Number of maps in the given folders that dpt made.
    """

    photographs: tuple[Photograph, ...]
    failures: tuple[BadInput, ...] = ()
    skipped: tuple[Path, ...] = ()
    num_made: int = 0

    @property
    def num_skipped(self) -> int:
        """Return the number of hidden entries and other files."""
        return len(self.skipped)

    @property
    def videos(self) -> tuple[Path, ...]:
        """Return those of the skipped files that are videos by their suffix."""
        return tuple(path for path in self.skipped if path.suffix.lower() in VIDEO_SUFFIXES)


def read_list(path: Path, *, nul: bool = False) -> tuple[Path, ...]:
    """Return the paths that a file lists, one per line or separated by NUL; `-` is standard input.

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
    """Return a list with a byte order mark or in UTF-16, as Windows writes it, as plain UTF-8."""
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
    """Expand a pattern such as photos/*.jpg that the shell did not expand."""
    if not _is_path(given) or os.path.lexists(given) or not glob.has_magic(str(given)):
        return [given]
    found = glob.glob(str(given), recursive=True)  # noqa: PTH207  # absolute patterns too
    return sorted(map(Path, found), key=natural_order) or [given]


def find_photographs(
    inputs: Sequence[Path],
    output: Path | None = None,
    is_made: Callable[[Path], bool] = lambda _path: False,
) -> Found:
    """Return the photographs among files and, at any depth, in folders.

    A file given by name is taken whatever its suffix; in folders the suffix decides. Raw files are
    failures, and HEIC without pillow-heif. In a folder, either is skipped beside a readable picture
    of the same name: that is the same photograph, saved twice by a camera or converted by the user.
    The output folder is skipped where it lies in a given folder, so that a run can be repeated. A
    path that is missing, unreadable, a pipe or a device is a failure of its own.

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
        tuple(search.photographs), tuple(search.failures), tuple(search.skipped), search.num_made
    )


@dataclass
class _Search:
    is_made: Callable[[Path], bool]
    seen: set[str]
    photographs: list[Photograph] = field(default_factory=list)
    failures: list[BadInput] = field(default_factory=list)
    skipped: list[Path] = field(default_factory=list)
    num_made: int = 0

    def take(self, given: Path) -> None:
        """Take a file or the photographs in a folder."""
        try:
            if stat.S_ISDIR(mode_of(given)):
                self._walk(given)
            elif self._is_new(given):
                self._take_image(given, given.parent)
        except InputError as error:
            self._fail(given, str(error))

    def _walk(self, root: Path) -> None:
        """Take the photographs below a folder in natural order."""
        pending = [root]
        best_ranks: dict[Path, int] = {}
        while pending:
            path = pending.pop()
            if path is not root and path.name.startswith("."):
                self.skipped.append(path)
                continue
            rank = _rank(path)
            is_wanted = rank is not None and rank <= best_ranks.get(path.with_suffix(""), rank)
            try:
                mode = path.stat().st_mode
                if stat.S_ISDIR(mode):
                    # Each real folder once: a link that leads back up would never end.
                    if self._is_new(path):
                        inner = sorted(path.iterdir(), key=natural_order, reverse=True)
                        best_ranks.update(_best_ranks(inner))
                        pending.extend(inner)
                    continue
            except OSError as error:
                if is_wanted or path.is_dir() or path is root:
                    self._fail(path, error.strerror or str(error))
                else:
                    self.skipped.append(path)
                continue
            if not is_wanted:
                self.skipped.append(path)
            elif not stat.S_ISREG(mode):
                self._fail(path, _NOT_A_FILE)
            elif self._is_new(path):
                if self.is_made(path):
                    self.num_made += 1
                else:
                    self._take_image(path, root)

    def _take_image(self, path: Path, root: Path) -> None:
        if _is_unreadable(path):
            self._fail(path, _unreadable(path))
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


def natural_order(path: Path) -> tuple[list[list[str | int]], Path]:
    """Return a sort key by which frame 2 comes before frame 10."""
    # Every second piece of the split is a number, so text is compared with text.
    names = [re.split("([0-9]+)", name) for name in path.parts]
    key = [[int(piece) if odd % 2 else piece for odd, piece in enumerate(name)] for name in names]
    return key, path  # the path decides between 01 and 1


def _rank(path: Path) -> int | None:
    """Return a picture's rank among files of one name, of which the lowest is taken.

    A camera's raw file and its JPEG, or a HEIC and what it was converted to, are one photograph.
    None for files that are not pictures.
    """
    ranks = (IMAGE_SUFFIXES, heic.SUFFIXES, UNREADABLE_SUFFIXES)
    suffix = path.suffix.lower()
    return next((rank for rank, suffixes in enumerate(ranks) if suffix in suffixes), None)


def _best_ranks(paths: Iterable[Path]) -> dict[Path, int]:
    """Return the lowest rank of the readable pictures of each name, by path without suffix."""
    best: dict[Path, int] = {}
    for path in paths:
        rank, stem = _rank(path), path.with_suffix("")
        if rank == 0 or (rank == 1 and heic.has_heic()):
            best[stem] = min(rank, best.get(stem, rank))
    return best


def _is_unreadable(path: Path) -> bool:
    """Return whether a file is a photograph in a format that dpt does not decode."""
    rank = _rank(path)
    if not rank or (rank == 1 and heic.has_heic()):
        return False
    try:
        with path.open("rb") as file:
            start = file.read(12)
    except OSError:
        return False  # reading it will give the reason
    # Phones send a JPEG under the name of the HEIC that it was made from.
    return not start.startswith((b"\xff\xd8\xff", b"\x89PNG")) and start[4:] != b"ftypavif"


def _unreadable(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix in heic.SUFFIXES:
        return heic.WAY_OUT
    if suffix == ".jxl":
        return "JPEG XL is not supported: convert it to JPEG or PNG"
    kind = suffix.removeprefix(".").upper()
    return f"a camera's raw file ({kind}) is not supported: develop it to JPEG or TIFF"


def mode_of(path: Path) -> int:
    """Return the mode of a file or folder; opening anything else could wait for ever.

    Raises:
        InputError: It is missing, a pipe or a device, or not a valid path.
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
