"""Memory as the operating system reports it, and the machine's peak speed."""

import gc
import mmap
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from dpt_cli import host
from dpt_cli.bench import machine, peaks
from dpt_cli.bench.estimate import count_operations
from dpt_cli.bench.machine import PeakMemory, describe_machine, free_bytes, resident_bytes
from dpt_cli.bench.peaks import Peaks, measure_peaks
from dpt_cli.bench.rows import Operations
from published import CONFIGS

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@linux
def test_the_peak_of_what_was_freed_is_seen_and_forgotten() -> None:
    gc.collect()  # so that nothing of earlier tests is freed in between
    peak = PeakMemory("cpu")
    before = resident_bytes()
    assert before is not None
    # Not from the heap, which keeps freed memory after a run of the command in this process.
    with mmap.mmap(-1, 100_000_000) as block:
        np.frombuffer(block, np.uint8).fill(1)
    seen = peak.host_bytes()
    assert seen is not None
    # Other pages come and go: a tenth of the block.
    assert seen - before == pytest.approx(100e6, rel=0.1)
    peak.restart()
    forgotten = peak.host_bytes()
    assert forgotten is not None
    assert forgotten < seen - 50e6
    assert peak.gpu_bytes() is None


@linux
def test_where_the_peak_cannot_be_forgotten_an_older_one_is_not_taken_for_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    status = tmp_path / "self" / "status"
    status.parent.mkdir()
    (tmp_path / "self" / "clear_refs").mkdir()  # cannot be written
    monkeypatch.setattr(machine, "_PROC", tmp_path)
    status.write_text("VmHWM:\t    5000 kB\nVmRSS:\t    1000 kB\n")
    peak = PeakMemory("cpu")
    assert peak.host_bytes() is None
    status.write_text("VmHWM:\t    6000 kB\nVmRSS:\t    1000 kB\n")
    assert peak.host_bytes() == 6000 * 1024


def test_the_tighter_of_machine_and_container_is_free(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(host, "_PROC", tmp_path)
    monkeypatch.setattr(host, "_CGROUP", tmp_path)
    assert free_bytes("cpu") is None
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable:    4000 kB\n")
    assert free_bytes("cpu") == 4000 * 1024
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("700000\n")
    assert free_bytes("cpu") == 4000 * 1024
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.stat").write_text("anon 5\nactive_file 100000\ninactive_file 10000\n")
    assert free_bytes("cpu") == 1_000_000 - 700_000 + 110_000


def test_the_machine_is_described() -> None:
    described = describe_machine("cpu")
    assert described.cpu
    assert described.num_cores >= 1
    assert described.torch == torch.__version__
    assert (described.gpu, described.gpu_memory_bytes) == (None, None)


def test_peaks_are_positive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peaks, "_SECONDS_MEASURED", 0.0)
    monkeypatch.setattr(peaks, "_LONG_ENOUGH_S", 0.0)
    measured = measure_peaks("cpu", "fp32")
    assert measured.matrix > 0
    assert measured.convolution > 0


def test_a_slow_machine_is_not_given_a_large_product(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peaks, "_SECONDS_MEASURED", 0.0)
    # A machine that takes 0.01 s for a unit: the size of 2 takes long enough.
    monkeypatch.setattr(peaks, "_seconds", lambda operation: 0.01 * operation().numel())
    sizes = []

    def probe(size: int) -> tuple[Callable[[], torch.Tensor], int]:
        sizes.append(size)
        return lambda: torch.ones(size), size**2

    assert peaks._best_rate(probe, (1, 2, 3, 4)) == 2**2 / 0.02
    assert sizes == [1, 2]


def test_the_least_time_adds_both_kinds() -> None:
    peak = Peaks(matrix=100.0, convolution=10.0)
    assert peak.least_seconds(Operations(matrix=50, convolution=20)) == 2.5


def test_operations_are_those_of_both_kinds() -> None:
    config = CONFIGS["small-vit-depth"]
    small, large = (count_operations(config, (side, side)) for side in (32, 64))
    assert small.total == small.matrix + small.convolution
    # Convolutions grow with the pixels; attention grows faster.
    assert large.convolution == pytest.approx(4 * small.convolution, rel=0.05)
    assert large.matrix > 3 * small.matrix
    # The patch embedding alone: 16 x 16 x 3 weights for each of 48 numbers of 16 patches.
    assert large.convolution > 2 * 16 * 16 * 3 * 48 * 16
