"""Counts a network's operations, and estimates its activations."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from dpt_cli.bench.rows import Operations
from dpt_cli.model.architectures import build_network
from dpt_cli.model.config import Architecture

# Peak activations per network pixel, as measured on DPT-Hybrid and DPT-Large.
ACTIVATION_BYTES_PER_PIXEL = 3000


def count_operations(architecture: Architecture, size_hw: tuple[int, int]) -> Operations:
    """Count the floating-point operations for one image, convolutions separately."""
    with torch.device("meta"):
        network = build_network(architecture).eval()
        image = torch.empty(1, 3, *size_hw)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(image)
    by_operator = counter.get_flop_counts()["Global"]
    convolution = int(by_operator[torch.ops.aten.convolution])
    return Operations(int(counter.get_total_flops()) - convolution, convolution)
