"""Standard streams that may be closed, full or no longer read, without ending a run."""

import errno
import io
import os
import select
import sys
from typing import Any, TextIO

from dpt_cli.photos.complaints import watch_descriptor

READER_GONE = 141  # 128 + SIGPIPE, as a shell reports it of other programs


class Stream(io.FileIO):
    """A descriptor that accepts everything. After the first failure it discards what it gets.

    Attributes:
        error: The first failure; None if everything was written.
    """

    def __init__(self, descriptor: int, *, is_closed: bool) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self._is_closed = is_closed
        self.error: OSError | None = None

    def write(self, data: Any, /) -> int:
        """Write what can be written, and return as if all of it was."""
        view = memoryview(data).cast("B")
        if self._is_closed and self.error is None and len(view):
            self.error = OSError(errno.EBADF, os.strerror(errno.EBADF))
        done = 0
        while done < len(view) and self.error is None:
            try:
                written = super().write(view[done:])
            except OSError as error:
                self.error = error
                break
            if written is None:  # a non-blocking pipe that is full
                select.select([], [self.fileno()], [])
            done += written or 0
        return len(view)


def own_streams() -> Stream:
    """Replace the standard streams with ones that never fail; return that of standard output.

    Call it before anything is opened. A descriptor that the calling program closed is connected to
    the null device. Otherwise a file opened later would get its number, and what is printed.
    """
    closed = {descriptor for descriptor in (0, 1, 2) if not _is_open(descriptor)}
    for descriptor in sorted(closed):
        null = os.open(os.devnull, os.O_RDWR)
        if null != descriptor:
            os.dup2(null, descriptor)
            os.close(null)
        os.set_inheritable(descriptor, True)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    output = Stream(1, is_closed=1 in closed)
    # Image decoders print on descriptor 2 itself, so the command prints elsewhere.
    errors = Stream(watch_descriptor(), is_closed=2 in closed)
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _text(output, before[0]), _text(errors, before[1])
    return output


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _text(stream: Stream, before: TextIO | None) -> TextIO:
    if before is not None and os.name == "nt" and before.isatty():
        return before  # Windows writes to consoles in another way
    return io.TextIOWrapper(
        io.BufferedWriter(stream),
        encoding=getattr(before, "encoding", "utf-8"),
        errors=getattr(before, "errors", "backslashreplace"),
        line_buffering=stream.fileno() != 1 or stream.isatty(),
    )
