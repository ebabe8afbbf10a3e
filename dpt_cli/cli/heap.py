"""How the C library treats this process's freed memory."""

import ctypes
import sys

# malloc.h
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_LARGEST_INT = 2**31 - 1


def keep_freed_memory() -> None:
    """Have glibc keep freed memory for the next photograph; elsewhere do nothing.

    It gives large tensors' memory back at once, and a page fault for every 4 kB of the next costs
    torch 5 % of DPT-Hybrid's time. Only a command may decide this, as it is for a whole process.
    """
    if sys.platform == "linux":
        set_option = getattr(ctypes.CDLL(None), "mallopt", None)
        if set_option is not None:
            set_option(_M_MMAP_THRESHOLD, _LARGEST_INT)
            set_option(_M_TRIM_THRESHOLD, _LARGEST_INT)
