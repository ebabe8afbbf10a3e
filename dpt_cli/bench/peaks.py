"""Measures the machine's peak speed by timing a plain matrix product and a convolution."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from dpt_cli.bench.rows import Operations

_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
# int8 runs on OpenVINO, whose peak torch cannot measure.
PEAK_PRECISIONS = tuple(_DTYPES)
_SECONDS_MEASURED = 0.3
# Sizes are tried from small to large until one takes long enough to be timed well. Half precision
# on a CPU without such instructions would take minutes at the size that a GPU needs.
_LONG_ENOUGH_S = 0.02
_MATRIX_SIDES = (256, 512, 1024, 2048, 4096, 8192)
# As in the fusion stage: 3 x 3 kernels with 256 channels.
_CHANNELS = 256
_CONVOLUTION_SIDES_PX = (16, 32, 64, 128, 256, 512)


@dataclass(frozen=True)
class Peaks:
    """Floating-point operations per second; a multiplication and an addition count as two."""

    matrix: float
    convolution: float

    def least_seconds(self, operations: Operations) -> float:
        """Return the time that operations would take at these peaks [s]."""
        return operations.matrix / self.matrix + operations.convolution / self.convolution


def measure_peaks(device: str, precision: str) -> Peaks:
    """Measure a device in one precision; takes seconds if it has no instructions for it."""
    return Peaks(matrix_rate(device, precision), _convolution_rate(device, precision))


def matrix_rate(device: str, precision: str) -> float:
    """Measure a plain matrix product [operations/s], in under a second."""

    def product(side: int) -> tuple[Callable[[], Tensor], int]:
        matrix = torch.randn(side, side, device=device).to(_DTYPES[precision])
        return lambda: matrix @ matrix, 2 * side**3

    return _best_rate(product, _MATRIX_SIDES)


def _convolution_rate(device: str, precision: str) -> float:
    def convolution(side_px: int) -> tuple[Callable[[], Tensor], int]:
        dtype = _DTYPES[precision]
        image = torch.randn(1, _CHANNELS, side_px, side_px, device=device).to(dtype)
        kernel = torch.randn(_CHANNELS, _CHANNELS, 3, 3, device=device).to(dtype)
        operations = 2 * 9 * _CHANNELS**2 * side_px**2
        return lambda: F.conv2d(image, kernel, padding=1), operations

    # Without TF32, which keeps 10 bits of the mantissa, as in the engine.
    with torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=False):
        return _best_rate(convolution, _CONVOLUTION_SIDES_PX)


@torch.inference_mode()
def _best_rate(
    probe: Callable[[int], tuple[Callable[[], Tensor], int]], sizes: Sequence[int]
) -> float:
    """Return the best rate [operations/s]."""
    best = 0.0
    for size in sizes:
        operation, num_operations = probe(size)
        _seconds(operation)  # warm-up
        seconds = _seconds(operation)
        best = max(best, num_operations / seconds)
        if seconds >= _LONG_ENOUGH_S:
            break
    ends = time.perf_counter() + _SECONDS_MEASURED
    while time.perf_counter() < ends:
        best = max(best, num_operations / _seconds(operation))
    return best


def _seconds(operation: Callable[[], Tensor]) -> float:
    started = time.perf_counter()
    result = operation()
    # Reading a number back waits for the device to finish.
    result[(0,) * result.ndim].item()
    return time.perf_counter() - started
