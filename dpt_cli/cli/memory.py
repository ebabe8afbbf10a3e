"""Settings of the garbage collector and of malloc for the process of a command."""

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
    """Turn Python's cyclic garbage collector off until the network is loaded, and at exit.

    It visits every object repeatedly while torch is imported, and once more at exit, which takes
    1.5 s of a run over one photograph.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def loaded(*, keep_freed: bool) -> None:
    """Prepare the process for a long run; do nothing outside `own_process`.

    Args:
        keep_freed: Whether to call `keep_freed_memory`.
    """
    if gc.isenabled():
        return
    # The collector ignores what exists now, and visits only what is created later.
    gc.freeze()
    gc.enable()
    if keep_freed:
        keep_freed_memory()


def keep_freed_memory() -> None:
    """Make glibc keep freed memory for the next photograph; do nothing elsewhere.

    By default it returns the memory of large tensors at once. Then every 4 kB of the next one cost
    a page fault, which is 5 % of the time of DPT-Hybrid with torch. OpenVINO gains nothing.
    """
    if sys.platform == "linux":
        import ctypes

        set_option = getattr(ctypes.CDLL(None), "mallopt", None)
        if set_option is not None:
            set_option(_M_MMAP_THRESHOLD, _LARGEST_INT)
            set_option(_M_TRIM_THRESHOLD, _LARGEST_INT)
