"""How this process treats memory that nobody needs any more: less often than by default."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# malloc.h
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_LARGEST_INT = 2**31 - 1


@contextmanager
def rare_collection() -> Iterator[None]:
    """Keep Python's collector of cycles off until `collect_from_now_on`, and out of the exit.

    It walks over every object, again and again while torch is imported and once more at the end:
    1.5 s of a run of one photograph.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def collect_from_now_on() -> None:
    """Turn the collector on again, for what comes from now on."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def keep_freed_memory() -> None:
    """Have glibc keep freed memory for the next photograph; elsewhere do nothing.

    It gives large tensors' memory back at once, and a page fault for every 4 kB of the next costs
    torch 5 % of DPT-Hybrid's time. Only a command may decide this, as it is for a whole process.
    """
    if sys.platform == "linux":
        import ctypes

        set_option = getattr(ctypes.CDLL(None), "mallopt", None)
        if set_option is not None:
            set_option(_M_MMAP_THRESHOLD, _LARGEST_INT)
            set_option(_M_TRIM_THRESHOLD, _LARGEST_INT)
