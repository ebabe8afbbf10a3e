"""A conversion on this disk: its files, their hashes, and whether the record can be trusted.

A folder's name is predictable, so a record counts only if this user or root wrote it and nobody
else may change it. A file is read into memory, hashed and used from there.
"""

import contextlib
import errno
import hashlib
import json
import mmap
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

RECORD_FILE = "conversion.json"
MODEL_FILE = "model.xml"
WEIGHTS_FILE = "model.bin"

Content = npt.NDArray[np.uint8]

_MAX_RECORD_BYTES = 1 << 20
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH
_READ = (
    os.O_RDONLY
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOFOLLOW", 0)  # a link may point to another user's file
    | getattr(os, "O_NONBLOCK", 0)  # opening a FIFO would block
)
# Errors of opening a link, a folder or a device in a file's place.
_OTHER_KINDS = (errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.ENOTDIR, errno.EMLINK)


class DamagedError(Exception):
    """This user's conversion was changed; it may be made again."""


class ForeignError(Exception):
    """A conversion that others made or may change; it is neither used nor removed."""


@dataclass(frozen=True)
class Conversion:
    """A network in OpenVINO's files.

    Attributes:
        folder: The folder of the files.
        record: Its record: what they were made `of`, the `files` with hash and size, and for int8
            the `remark`.
    """

    folder: Path
    record: Mapping[str, Any]

    @classmethod
    def open(cls, folder: Path, of: Mapping[str, str]) -> "Conversion":
        """Return the conversion in a folder, if it may be used.

        Args:
            folder: The folder.
            of: What it must have been made of.

        Raises:
            FileNotFoundError: There is none.
            DamagedError: It may be made again.
            ForeignError: It is somebody else's.
            OSError: It cannot be read.
        """
        status = folder.lstat()
        if not _is_own(status.st_uid):
            raise ForeignError(f"{folder} belongs to another user")
        if not stat.S_ISDIR(status.st_mode):
            raise DamagedError("no folder lies in its place")
        record = read_record(folder / RECORD_FILE)
        files = record.get("files")
        if record.get("of") != dict(of) or not isinstance(files, dict):
            raise DamagedError(f"{RECORD_FILE} is not of these weights")
        if not {MODEL_FILE, WEIGHTS_FILE} <= files.keys():
            raise DamagedError(f"{RECORD_FILE} names no network")
        for name in (MODEL_FILE, WEIGHTS_FILE):
            # Hashed when it is read: a start may need neither file.
            with _opened(folder / name) as file:
                _check_size(file, name, files[name])
        return cls(folder, record)

    def read(self, name: str) -> Content:
        """Return a file's content.

        Raises:
            DamagedError: It was changed.
            OSError: It cannot be read.
        """
        return read_verified(self.folder / name, self.record["files"][name])


def read_record(path: Path) -> dict[str, Any]:
    """Read a record that this user or root wrote.

    Raises:
        DamagedError: It is missing or damaged.
        ForeignError: Others wrote it or may change it.
        OSError: It cannot be read.
    """
    with _opened(path) as file:
        status = os.fstat(file)
        if not _is_own(status.st_uid):
            raise ForeignError(f"{path} belongs to another user")
        if os.name == "posix" and status.st_mode & _OTHERS_MAY_WRITE:
            raise ForeignError(f"other users may change {path}")
        if status.st_size > _MAX_RECORD_BYTES:
            raise DamagedError(f"{path.name} is too large")
        content = os.read(file, _MAX_RECORD_BYTES)
    try:
        record = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"{path.name} is damaged") from error
    if not isinstance(record, dict):
        raise DamagedError(f"{path.name} is damaged")
    return record


def read_verified(path: Path, expected: Mapping[str, Any]) -> Content:
    """Return a file's content, uint8 (size,), if it has the recorded size and SHA-256.

    Raises:
        DamagedError: It is missing or another.
        OSError: It cannot be read.
    """
    with _opened(path) as file:
        # Checked before allocating memory: a sparse file may have any size.
        _check_size(file, path.name, expected)
        content = np.empty(expected["size"], np.uint8)
        with os.fdopen(file, "rb", buffering=0, closefd=False) as stream:
            done = 0
            while count := stream.readinto(content.data[done:]):
                done += count
    if facts_of(content.data)["sha256"] != expected["sha256"]:
        raise DamagedError(f"{path.name} has another SHA-256")
    return content


def map_unchanged(path: Path, expected: Mapping[str, Any], stamp: object) -> Content | None:
    """Map a file that was verified when it had this stamp; None if it has another.

    A program that changes a file changes its stamp. Bits that decay on the disk do not.

    Raises:
        DamagedError: It is missing or has another size.
        OSError: It cannot be read.
    """
    with _opened(path) as file:
        status = os.fstat(file)
        _check_size(file, path.name, expected)
        may_change = os.name == "posix" and status.st_mode & _OTHERS_MAY_WRITE
        if stamp != _stamp(status) or may_change or not _is_own(status.st_uid):
            return None
        # Copy-on-write, and nothing is written.
        return np.frombuffer(mmap.mmap(file, 0, access=mmap.ACCESS_COPY), np.uint8)


def stamp_of(path: Path) -> list[int]:
    """Return facts that change whenever a program changes the file.

    Raises:
        OSError: There is no such file.
    """
    return _stamp(path.lstat())


def _stamp(status: os.stat_result) -> list[int]:
    # ctime cannot be set back, as mtime can.
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _check_size(file: int, name: str, expected: Mapping[str, Any]) -> None:
    if not isinstance(expected, Mapping) or not {"size", "sha256"} <= expected.keys():
        raise DamagedError(f"nothing is recorded of {name}")
    if os.fstat(file).st_size != expected["size"]:
        raise DamagedError(f"{name} has another size")


def facts_of(content: memoryview | bytes) -> dict[str, Any]:
    """Return the facts of a file that a record holds."""
    return {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}


def _is_own(uid: int) -> bool:
    """Return whether this user or root owns a file; root could change any file anyway."""
    return os.name != "posix" or uid in (os.geteuid(), 0)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    """Open a regular file, not through a link.

    Raises:
        DamagedError: It is missing, or is not a regular file.
        OSError: It cannot be opened.
    """
    try:
        file = os.open(path, _READ)
    except FileNotFoundError as error:
        raise DamagedError(f"{path.name} is missing") from error
    except OSError as error:
        if error.errno in _OTHER_KINDS:
            raise DamagedError(f"{path.name} is no file") from error
        raise
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise DamagedError(f"{path.name} is no file")
        yield file
    finally:
        os.close(file)
