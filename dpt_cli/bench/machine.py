"""Describes this machine and measures its memory: total, free and in use.

A figure that the operating system does not report is None.
"""

import contextlib
import platform
from dataclasses import dataclass
from pathlib import Path

import torch

from dpt_cli.host import figure_in_kb, free_memory, has_bf16, lines_of, num_cores

_PROC = Path("/proc")
_FORGET_PEAK = "5"  # proc(5), /proc/pid/clear_refs


@dataclass(frozen=True)
class Machine:
    """The machine that a benchmark ran on.

    Attributes:
        cpu: The processor's name.
        has_bf16: Whether the CPU has instructions for bf16.
        num_cores: Cores this process may use.
        num_threads: Threads torch uses.
        memory_bytes: Installed memory.
        gpu: The GPU's name, if one was used.
        gpu_memory_bytes: Its memory.
        torch: torch's version.
        python: Python's version.
        system: The operating system.
    """

    cpu: str
    has_bf16: bool | None
    num_cores: int
    num_threads: int
    memory_bytes: int | None
    gpu: str | None
    gpu_memory_bytes: int | None
    torch: str
    python: str
    system: str


def describe_machine(device: str) -> Machine:
    """Describe this machine, and the GPU if `device` is one."""
    is_gpu = torch.device(device).type == "cuda"
    properties = torch.cuda.get_device_properties(device) if is_gpu else None
    return Machine(
        cpu=_cpu_name(),
        has_bf16=has_bf16(),
        num_cores=num_cores(),
        num_threads=torch.get_num_threads(),
        memory_bytes=figure_in_kb(_PROC / "meminfo", "MemTotal"),
        gpu=properties.name if properties else None,
        gpu_memory_bytes=properties.total_memory if properties else None,
        torch=torch.__version__,
        python=platform.python_version(),
        system=platform.platform(aliased=True, terse=True),
    )


def _cpu_name() -> str:
    for line in lines_of(_PROC / "cpuinfo"):
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()


def free_bytes(device: str) -> int | None:
    """Return the memory that a network on a device could still use [bytes]."""
    kind = torch.device(device).type
    if kind == "cuda":
        free, _ = torch.cuda.mem_get_info(torch.device(device))
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(free) + kept
    return free_memory() if kind == "cpu" else None


def resident_bytes() -> int | None:
    """Return the memory that this process holds now [bytes]."""
    return figure_in_kb(_PROC / "self" / "status", "VmRSS")


class PeakMemory:
    """The most memory held since this object was made, or since `restart`."""

    def __init__(self, device: str) -> None:
        self._gpu = device if torch.device(device).type == "cuda" else None
        self.restart()

    def restart(self) -> None:
        """Forget the peaks so far."""
        self._is_forgotten = False
        with contextlib.suppress(OSError):
            (_PROC / "self" / "clear_refs").write_text(_FORGET_PEAK)
            self._is_forgotten = True
        self._before = _peak_ever()
        if self._gpu is not None:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self._gpu)

    def host_bytes(self) -> int | None:
        """Return the process's peak [bytes]; None if an earlier, higher peak may hide it."""
        peak = _peak_ever()
        if peak is None or self._before is None:
            return None
        return peak if self._is_forgotten or peak > self._before else None

    def gpu_bytes(self) -> int | None:
        """Return the peak of torch's tensors on the GPU [bytes]; None without one."""
        return int(torch.cuda.max_memory_allocated(self._gpu)) if self._gpu else None


def _peak_ever() -> int | None:
    """Return this process's peak, since the last reset if the system can reset it [bytes]."""
    known = figure_in_kb(_PROC / "self" / "status", "VmHWM")
    if known is not None or platform.system() == "Windows":
        return known
    import resource

    # macOS counts bytes where others count kibibytes.
    unit = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
