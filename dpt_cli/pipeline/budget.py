"""A memory budget for the photographs in progress."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dpt_cli.errors import InputError
from dpt_cli.host import free_memory, kept_memory
from dpt_cli.photos.headers import is_deep, picture_size

# Memory per pixel of a photograph. While it is decoded: its pixels, a rotated copy, and the
# coefficients of a progressive JPEG. While it is written: a float32 map and its colours, or the
# painted photograph. Measured on a colour photograph of 900 megapixels: 7.1 bytes.
BYTES_PER_PIXEL = 10
# 32-bit pixels are scaled to 8 bits in several steps.
_BYTES_PER_DEEP_PIXEL = 64
# Where a header gives no size: assumes that pixels are compressed tenfold.
_BYTES_PER_ENCODED_BYTE = 10 * BYTES_PER_PIXEL // 3
# The budget is this fraction of the memory that is free when a run begins. The network and other
# programs need the rest.
_SHARE = 4
_WHERE_UNKNOWN = 2_000_000_000


def free_to_this_process() -> int | None:
    """Return the memory that this process could still use [bytes]; what malloc keeps counts."""
    free = free_memory()
    return None if free is None else free + kept_memory()


def decoding_bytes(data: bytes) -> int:
    """Estimate from its header how much memory decoding a picture takes [bytes]."""
    size_hw = picture_size(data)
    if size_hw is None:
        return _BYTES_PER_ENCODED_BYTE * len(data)
    return size_hw[0] * size_hw[1] * (_BYTES_PER_DEEP_PIXEL if is_deep(data) else BYTES_PER_PIXEL)


class MemoryBudget:
    """Memory that threads reserve and release. A request above the whole budget runs alone."""

    def __init__(self, free: Callable[[], int | None] = free_to_this_process) -> None:
        """Reserve a quarter of the free memory.

        Args:
            free: Returns the memory that is free now [bytes]; None where it is unknown.
        """
        self._free = free
        now = free()
        self._capacity = _WHERE_UNKNOWN if now is None else now // _SHARE
        self._taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def take(self, num_bytes: int) -> Iterator[None]:
        """Wait until there is room beside what others hold, and hold it inside the context.

        Raises:
            InputError: It does not fit into the free memory even when alone.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: not self._taken or self._taken + num_bytes <= self._capacity
            )
            self._taken += num_bytes
        try:
            if num_bytes > self._capacity:
                self._check(num_bytes)
            yield
        finally:
            with self._changed:
                self._taken -= num_bytes
                self._changed.notify_all()

    def _check(self, num_bytes: int) -> None:
        free = self._free()
        if free is not None and num_bytes > free:
            raise InputError(
                f"needs about {num_bytes / 1e9:.1f} GB of memory, but only "
                f"{free / 1e9:.1f} GB are free"
            )
