"""The cores, the free memory and the bf16 instructions of this machine.

psutil reads the same figures of /proc, but knows neither the limits of control groups nor the
memory that malloc keeps, so that most of this would remain.
"""

import ctypes
import os
import sys
from pathlib import Path

_PROC = Path("/proc")
_CGROUP = Path("/sys/fs/cgroup")


def num_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def has_bf16() -> bool | None:
    """Tell whether this CPU has instructions for bf16; None where the system does not list them."""
    listed = {"flags", "Features"}  # on x86 and on ARM
    for line in lines_of(_PROC / "cpuinfo"):
        name, _, values = line.partition(":")
        if name.strip() in listed:
            return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(values.split())
    return None


def free_memory() -> int | None:
    """Return the memory that this process could still take [bytes]; None where it is unknown."""
    known = [figure_in_kb(_PROC / "meminfo", "MemAvailable"), _free_in_container()]
    return min((number for number in known if number is not None), default=None)


def figure_in_kb(path: Path, key: str) -> int | None:
    """Return a figure that a file of /proc gives in kB, in bytes; None where it does not."""
    for line in lines_of(path):
        name, _, value = line.partition(":")
        if name == key:
            return int(value.split()[0]) * 1024
    return None


def lines_of(path: Path) -> list[str]:
    """Return the lines of a system file; none where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _free_in_container() -> int | None:
    """Return what control groups (version 2) leave [bytes]; cached files give way when needed."""
    limit, used = (_first_word(_CGROUP / name) for name in ("memory.max", "memory.current"))
    if not (limit.isdigit() and used.isdigit()):
        return None
    words = [line.split() for line in lines_of(_CGROUP / "memory.stat")]
    files = sum(int(word[1]) for word in words if word[0] in ("active_file", "inactive_file"))
    return int(limit) - int(used) + files


def _first_word(path: Path) -> str:
    return next(iter(lines_of(path)), "").strip()


class _MallInfo(ctypes.Structure):
    """The result of mallinfo2(3); `fordblks` is the memory that was freed and kept."""

    _fields_ = [  # ctypes wants a list
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def kept_memory() -> int:
    """Return the freed memory that glibc keeps for the next request [bytes]."""
    if sys.platform != "linux":
        return 0
    # Since glibc 2.33.
    mallinfo2 = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if mallinfo2 is None:
        return 0
    mallinfo2.restype = _MallInfo
    return int(mallinfo2().fordblks)
