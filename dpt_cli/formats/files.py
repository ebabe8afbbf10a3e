"""Write a file as a whole or not at all, and never over an unknown file.

Every output goes through here. This module knows nothing of pictures, networks or file formats.
"""

import contextlib
import errno
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Protocol, Self

from dpt_cli.errors import DptError, OutputError, errors_as
from dpt_cli.photos.source import Stamp, is_same

_TEMPORARY = re.compile(r"\..+\.\d+-[0-9a-f]{8}\.dpt-part", re.DOTALL)
# Together with the rest of a temporary name this stays below 255 bytes, in UTF-8 too.
_MAX_NAME_CHARACTERS = 50
# The errors of file systems without hard links.
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL)


class Writer(Protocol):
    """Something that takes bytes."""

    def write(self, data: bytes | memoryview, /) -> object:
        """Add bytes."""


class Draft:
    """A file that is written beside its final name; leaving the context removes an unfinished one.

    Write it, then `finish` it, then `publish` it under its name.

    Raises:
        OutputError: It cannot be written, or its folder lies outside `root`, behind a link.
    """

    def __init__(self, path: Path, root: Path | None = None) -> None:
        """Plan a file.

        Args:
            path: Its final name; folders are made as needed.
            root: The folder it must not leave through links; None for any.
        """
        self.path = path
        self._root = root
        part = f".{path.name[:_MAX_NAME_CHARACTERS]}.{os.getpid()}-{secrets.token_hex(4)}.dpt-part"
        self._temporary = path.with_name(part)
        self._hash = hashlib.sha256()
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        folder = self.path.parent
        if self._root is not None and not is_inside(folder, self._root):
            raise OutputError(
                f"cannot write {self.path}: a link leads out of {self._root}; "
                "remove it, or name that folder with --output"
            )
        with errors_as(OutputError, f"cannot write {self.path}"):
            folder.mkdir(parents=True, exist_ok=True)
            self._file = self._temporary.open("xb")
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
        # It is still there after an error, after Ctrl-C, and where it was published by a link.
        with contextlib.suppress(OSError):
            self._temporary.unlink()

    def write(self, data: bytes | memoryview, /) -> int:
        """Add bytes."""
        assert self._file is not None
        with errors_as(OutputError, f"cannot write {self.path}"):
            self._hash.update(data)
            return self._file.write(data)

    def finish(self) -> Stamp:
        """Flush everything to the disk and return the stamp, which the final name will have too."""
        assert self._file is not None
        with errors_as(OutputError, f"cannot write {self.path}"):
            self._file.flush()
            os.fsync(self._file.fileno())
            now = os.fstat(self._file.fileno())
            self._file.close()
        return {
            "size": now.st_size,
            "mtime_ns": now.st_mtime_ns,
            "sha256": self._hash.hexdigest(),
        }

    def check(self, known: Iterable[Stamp], *, overwrite: bool) -> None:
        """Refuse to replace an unknown file.

        Raises:
            OutputError: Another program's file has the name, or dpt's file was changed.
        """
        if overwrite or not os.path.lexists(self.path):
            return
        if not any(is_same(self.path, stamp) for stamp in known):
            raise OutputError(
                f"{self.path} was created or changed while dpt was running; it is left as it is, "
                "use --force to overwrite it"
            )

    def publish(self, known: Iterable[Stamp] = (), *, overwrite: bool = False) -> None:
        """Give the file its name.

        Args:
            known: Stamps of files that it may replace.
            overwrite: Replace any file.

        Raises:
            OutputError: Another file has the name.
        """
        with errors_as(OutputError, f"cannot write {self.path}"):
            if overwrite:
                self._temporary.replace(self.path)
                return
            try:
                # Unlike a rename, a link never takes a name that another has.
                os.link(self._temporary, self.path)
            except OSError as error:
                if not isinstance(error, FileExistsError) and error.errno not in _NO_LINKS:
                    raise
                self.check(known, overwrite=False)
                self._temporary.replace(self.path)


@contextlib.contextmanager
def replacing(path: Path, *, overwrite: bool = True) -> Iterator[Draft]:
    """Write a file through a draft, which is published unless an error is raised.

    Raises:
        OutputError: It cannot be written; or it exists, where `overwrite` is false.
    """
    with Draft(path) as draft:
        yield draft
        draft.finish()
        draft.publish(overwrite=overwrite)


def is_temporary(path: Path) -> bool:
    """Return whether a name is that of a draft, which a killed run may have left."""
    return _TEMPORARY.fullmatch(path.name) is not None


def is_inside(path: Path, root: Path) -> bool:
    """Return whether a path lies in a folder once all links are followed."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))


def open_regular(path: Path, flags: int, kind: type[DptError]) -> int:
    """Open a plain file of a folder that others may write; return its descriptor.

    Raises:
        kind: It is a link, has another hard link, is not a regular file, or cannot be opened.
    """
    # Windows lacks the first two. Opening a pipe would otherwise wait for its other end.
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
        flags |= getattr(os, name, 0)
    if path.is_symlink():
        raise kind(f"{path} is a link; remove it or use another folder")
    with errors_as(kind, f"cannot open {path}"):
        descriptor = os.open(path, flags, 0o666)
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and status.st_nlink <= 1:
        return descriptor
    os.close(descriptor)
    if stat.S_ISREG(status.st_mode):
        raise kind(f"{path} is a hard link to another file; replace it with a separate copy")
    raise kind(f"{path} is not a regular file; remove it or use another folder")
