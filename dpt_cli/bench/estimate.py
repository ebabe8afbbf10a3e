"""What a run will roughly take: operations counted, speed measured, files sampled."""

from collections.abc import Iterable, Sequence

import torch
from torch.utils.flop_counter import FlopCounterMode

from dpt_cli.bench.peaks import matrix_rate
from dpt_cli.bench.rows import Operations
from dpt_cli.model.config import DPTConfig
from dpt_cli.model.dpt import build_dpt

# Bytes a pixel of each file, seen on photographs: PNGs depend on the picture, by a factor of two.
_BYTES_PER_PIXEL = {
    "depth": {"color": 0.6, "npy": 4.0, "pfm": 4.0, "png16": 1.3},
    "segment": {"overlay": 1.6, "labels": 0.1, "color": 0.15, "npy": 1.0},
}
# A network reaches about this share of the speed of a plain matrix product.
_EFFICIENCY = 0.75

# Peak activations a network pixel, seen on DPT-Hybrid and DPT-Large.
ACTIVATION_BYTES_PER_PIXEL = 3000


def output_bytes(task: str, formats: Iterable[str], num_pixels: float) -> float:
    """Return the size of a photograph's files [bytes], roughly."""
    return sum(_BYTES_PER_PIXEL[task][kind] for kind in formats) * num_pixels


def count_operations(config: DPTConfig, size_hw: tuple[int, int]) -> Operations:
    """Count the floating-point operations of one image, those of convolutions apart."""
    with torch.device("meta"):
        network = build_dpt(config).eval()
        image = torch.empty(1, 3, *size_hw)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(image)
    by_operator = counter.get_flop_counts()["Global"]
    convolution = int(by_operator[torch.ops.aten.convolution])
    return Operations(int(counter.get_total_flops()) - convolution, convolution)


def seconds_each(
    config: DPTConfig, sizes_hw: Sequence[tuple[int, int]], device: str, precision: str
) -> float:
    """Return the network's time for an average photograph [s], roughly.

    Args:
        config: The network.
        sizes_hw: Network sizes of a sample of the photographs.
        device: Where it will run.
        precision: `fp32`, `fp16` or `bf16`.
    """
    counts = {size: count_operations(config, size).total for size in set(sizes_hw)}
    mean = sum(counts[size] for size in sizes_hw) / len(sizes_hw)
    return mean / (_EFFICIENCY * matrix_rate(device, precision))
