"""Catches what image decoders print about a damaged picture on file descriptor 2.

libjpeg and libpng carry on after damage, so only their messages tell a half-grey picture from a
whole one. Only for the command line: a library must not redirect descriptor 2 of its process.
"""

import contextlib
import os
import re
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")

_STDERR = 2
# The warnings and errors of libjpeg-turbo (jerror.h) and libpng. Any other line is passed on to
# standard error.
_OF_DECODERS = re.compile(
    "Corrupt JPEG data|Premature end of JPEG|Invalid SOS|Inconsistent progression"
    "|Unknown Adobe color|Warning: unknown JFIF|Application transferred|libpng (error|warning)"
)


class _Watch:
    """Redirects descriptor 2 to a temporary file while pictures are decoded.

    Known limit: what the process prints there while it aborts inside a decoder is lost.
    """

    def __init__(self) -> None:
        self.outside = os.dup(_STDERR)
        self._inside: int | None = None
        self._gate = threading.Condition()
        self._num_decoding = 0
        self._num_waiting_alone = 0
        self._is_alone = False

    def listen(self, decode: Callable[[], T]) -> tuple[T, list[str]]:
        """Run a decode; return its result and the lines that it printed."""
        try:
            with self._decoding(alone=False):
                before = self._size()
                result = decode()
                is_silent = self._size() == before
        except OSError:  # no temporary file, or the disk is full: decode without redirecting
            return decode(), []
        if is_silent:
            return result, []
        # One of the decodes under way printed something. Decode again, alone, to see whether it
        # was this one.
        del result
        with self._decoding(alone=True):
            before = self._size()
            result = decode()
            lines = self._text(before).splitlines()
        return result, [line for line in lines if _OF_DECODERS.match(line)]

    @contextlib.contextmanager
    def _decoding(self, *, alone: bool) -> Iterator[None]:
        with self._gate:
            self._num_waiting_alone += alone
            try:
                self._gate.wait_for(lambda: self._may_enter(alone=alone))
                if not self._num_decoding:
                    self._redirect()
            finally:
                self._num_waiting_alone -= alone
            self._num_decoding += 1
            self._is_alone = alone
        try:
            yield
        finally:
            with self._gate:
                self._num_decoding -= 1
                self._is_alone = False
                if not self._num_decoding:
                    self._restore()
                self._gate.notify_all()

    def _may_enter(self, *, alone: bool) -> bool:
        if alone:
            return not self._num_decoding
        return not (self._is_alone or self._num_waiting_alone)

    def _redirect(self) -> None:
        if self._inside is None:
            import tempfile

            self._inside, path = tempfile.mkstemp(prefix="dpt-")
            os.unlink(path)  # noqa: PTH108
        os.dup2(self._inside, _STDERR, inheritable=True)

    def _restore(self) -> None:
        """Restore descriptor 2, and pass on the lines that are not about a picture."""
        os.dup2(self.outside, _STDERR, inheritable=True)
        assert self._inside is not None
        if not self._size():
            return
        others = [line for line in self._text(0).splitlines(True) if not _OF_DECODERS.match(line)]
        os.ftruncate(self._inside, 0)
        os.lseek(self._inside, 0, os.SEEK_SET)
        with contextlib.suppress(OSError):
            os.write(self.outside, "".join(others).encode("utf-8", "surrogateescape"))

    def _size(self) -> int:
        assert self._inside is not None
        return os.fstat(self._inside).st_size

    def _text(self, start: int) -> str:
        assert self._inside is not None
        return os.pread(self._inside, 2**20, start).decode("utf-8", "surrogateescape")


_watch: _Watch | None = None


def watch_descriptor() -> int:
    """Watch file descriptor 2 from now on; return one that always leads to standard error.

    For the command line, before it prints anything.
    """
    global _watch  # noqa: PLW0603  # one process has one descriptor 2
    if os.name == "nt":  # each C library there numbers its own descriptors
        return _STDERR
    if _watch is None:
        _watch = _Watch()
    return _watch.outside


def listen(decode: Callable[[], T]) -> tuple[T, list[str]]:
    """Run a decode; return its result and, if descriptor 2 is watched, the lines it printed.

    A decode that may have printed something runs twice, so it must have no side effects.
    """
    return (decode(), []) if _watch is None else _watch.listen(decode)
