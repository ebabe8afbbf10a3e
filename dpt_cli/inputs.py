"""Find the photographs that files and folders stand for.

Must not open them: `decode` does. Needs no cv2.
"""

import glob
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dpt_cli.errors import InputError

# What OpenCV decodes. EXR is left out: OpenCV wants an environment variable set before its import.
IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jp2", ".png", ".webp", ".avif", ".gif", ".bmp", ".dib"}
    | {".tif", ".tiff", ".pbm", ".pgm", ".ppm", ".pnm", ".hdr"}
)


STDIN = Path("-")


@dataclass(frozen=True)
class Photograph:
    """One input: its path as the user would recognise it, and its place in the output folder.

    `relative` is the bare name of a file given by name, else the path below the given folder.
    """

    path: Path
    relative: Path


@dataclass(frozen=True)
class Found:
    """The photographs in the order given, folders sorted, each real file once.

    `num_skipped` counts hidden entries, non-images and unreadable folders in the given folders.
    """

    photographs: tuple[Photograph, ...]
    num_skipped: int


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
    names = content.split(b"\0") if nul else content.splitlines()
    return tuple(Path(os.fsdecode(name)) for name in names if name)


def expand(given: Path) -> list[Path]:
    """Return what a pattern such as photos/*.jpg stands for where the shell left it as it is."""
    if os.path.lexists(given) or not glob.has_magic(str(given)):
        return [given]
    found = glob.glob(str(given), recursive=True)  # noqa: PTH207  # absolute patterns too
    return sorted(map(Path, found)) or [given]


def find_photographs(inputs: Sequence[Path], output: Path | None = None) -> Found:
    """Return the photographs that files and folders stand for; folders are searched all the way.

    A file given by name is taken whatever its suffix; in folders the suffix decides. The output
    folder is passed over where it lies in a given folder, so that a run can be repeated.

    Raises:
        InputError: A given path does not exist, cannot be read, or is a pipe or device.
    """
    photographs: list[Photograph] = []
    num_skipped = 0
    seen = set() if output is None else {os.path.realpath(output)}
    seen -= {os.path.realpath(given) for given in inputs}
    for given in (path for pattern in inputs for path in expand(pattern)):
        if stat.S_ISDIR(mode_of(given)):
            paths = list(_walk(given, seen))
            photographs += (Photograph(path, path.relative_to(given)) for path in paths if path)
            num_skipped += paths.count(None)
        elif _is_new(given, seen):
            photographs.append(Photograph(given, Path(given.name)))
    return Found(tuple(photographs), num_skipped)


def _walk(root: Path, seen: set[str]) -> Iterator[Path | None]:
    """Yield the images below root in sorted order, and None for each entry passed over."""
    pending = [root]
    while pending:
        path = pending.pop()
        if path is not root and path.name.startswith("."):
            yield None
            continue
        try:
            mode = path.stat().st_mode
            if stat.S_ISDIR(mode):
                # Each real folder once: links that lead back up would never end.
                if _is_new(path, seen):
                    pending.extend(sorted(path.iterdir(), reverse=True))
                continue
        except OSError as error:
            if path is root:
                raise InputError(f"{path}: {error.strerror}") from error
            yield None
            continue
        if not stat.S_ISREG(mode) or path.suffix.lower() not in IMAGE_SUFFIXES:
            yield None
        elif _is_new(path, seen):
            yield path


def mode_of(path: Path) -> int:
    """Return the mode of a file or folder; to open anything else could wait for ever."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise InputError(f"{path}: a pipe or device, not a file: save the photograph first")
    return mode


def _is_new(path: Path, seen: set[str]) -> bool:
    # Real paths, not inodes: hard links may be photographs stored once under two names.
    real = os.path.realpath(path)
    is_new = real not in seen
    seen.add(real)
    return is_new
