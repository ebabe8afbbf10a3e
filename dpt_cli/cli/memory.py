"""How a process that is all `dpt`'s treats memory that nobody needs any more."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# malloc.h
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_LARGEST_INT = 2**31 - 1


@contextmanager
def own_process() -> Iterator[None]:
    """Keep Python's collector of cycles off until the network is loaded, and out of the exit.

    It walks over every object, again and again while torch is imported and once more at the end:
    1.5 s of a run of one photograph.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def loaded(*, keep_freed: bool) -> None:
    """Set the process up for a long run; outside `own_process` do nothing.

    Args:
        keep_freed: Whether to call `keep_freed_memory`.
    """
    if gc.isenabled():
        return
    # What there is stays; the collector looks at what comes.
    gc.freeze()
    gc.enable()
    if keep_freed:
        keep_freed_memory()


def keep_freed_memory() -> None:
    """Have glibc keep freed memory for the next photograph; elsewhere do nothing.

    It gives large tensors' memory back at once, and a page fault for every 4 kB of the next costs
    torch 5 % of DPT-Hybrid's time; OpenVINO gains nothing.
    """
    if sys.platform == "linux":
        import ctypes

        set_option = getattr(ctypes.CDLL(None), "mallopt", None)
        if set_option is not None:
            set_option(_M_MMAP_THRESHOLD, _LARGEST_INT)
            set_option(_M_TRIM_THRESHOLD, _LARGEST_INT)
