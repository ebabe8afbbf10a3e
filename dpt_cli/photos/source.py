"""Reads a file once: its bytes, and a stamp that shows later whether it has changed."""

import hashlib
import os
import stat
from collections.abc import Mapping
from io import BufferedReader
from pathlib import Path

from dpt_cli.errors import DptError, InputError, errors_as

Stamp = Mapping[str, int | str]  # of a file: size [bytes], mtime_ns, sha256 in hex


def read_file(path: Path) -> tuple[bytes, int]:
    """Read a photograph's file; return its bytes and its modification time [ns].

    Raises:
        InputError: It is not a file or cannot be read.
    """
    with errors_as(InputError, f"{path}"), _open_to_read(path, InputError) as file:
        # Before reading: if the file changes meanwhile, its time is then later than this one.
        mtime_ns = os.fstat(file.fileno()).st_mtime_ns
        return file.read(), mtime_ns


def read_stamped(path: Path) -> tuple[bytes, Stamp]:
    """Read a photograph's file once; return its bytes and their stamp.

    Raises:
        InputError: It is not a file or cannot be read.
    """
    data, mtime_ns = read_file(path)
    sha256 = hashlib.sha256(data).hexdigest()
    return data, {"size": len(data), "mtime_ns": mtime_ns, "sha256": sha256}


def stamp_of(path: Path, kind: type[DptError] = InputError) -> Stamp:
    """Return a file's stamp.

    Raises:
        kind: It is not a file or cannot be read.
    """
    with errors_as(kind, f"cannot read {path}"), _open_to_read(path, kind) as file:
        now = os.fstat(file.fileno())
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return {"size": now.st_size, "mtime_ns": now.st_mtime_ns, "sha256": sha256}


def is_same(path: Path, known: Stamp) -> bool:
    """Return whether a file has a stamp's size, and its time or, failing that, its content."""
    try:
        now = path.lstat()
        if not stat.S_ISREG(now.st_mode) or now.st_size != known["size"]:
            return False
        is_untouched = now.st_mtime_ns == int(known["mtime_ns"])
        return is_untouched or stamp_of(path)["sha256"] == known["sha256"]
    except (OSError, InputError):
        return False


def _open_to_read(path: Path, kind: type[DptError]) -> BufferedReader:
    # Without O_NONBLOCK, opening a pipe would wait for ever.
    file = os.fdopen(os.open(path, os.O_RDONLY | _flag("O_NONBLOCK") | _flag("O_BINARY")), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise kind(f"{path}: a folder, pipe or device, not a file")
    return file


def _flag(name: str) -> int:
    return int(getattr(os, name, 0))
