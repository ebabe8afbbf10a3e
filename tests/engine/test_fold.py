"""Folded networks give the plain network's numbers, and keep nothing to compute twice."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

import formula
from dpt_cli.engine.torch.engine import TorchEngine
from dpt_cli.engine.torch.fold import fold_constants
from dpt_cli.model.backbone import StandardizedConv2d
from published import network

# Only the order of float32 roundings differs: some 1e-7 a layer.
TOLERANCE = 1e-5
_SMALL = [
    "small-hybrid-depth",
    "small-hybrid-segmentation",
    "small-vit-depth",
    "small-vit-segmentation",
]


@pytest.mark.parametrize("size_hw", [(64, 96), (48, 80)])
@pytest.mark.parametrize("architecture", _SMALL)
@torch.inference_mode()
def test_the_engine_gives_the_plain_networks_numbers(
    architecture: str, size_hw: tuple[int, int]
) -> None:
    plain = network(architecture)
    images = formula.image(size_hw)
    expected = plain(torch.from_numpy(images))[0].numpy()
    values = TorchEngine(copy.deepcopy(plain), "cpu", "fp32")(images)[0].values
    assert np.linalg.norm(values - expected) <= TOLERANCE * np.linalg.norm(expected)


@pytest.mark.parametrize("architecture", _SMALL)
def test_nothing_constant_is_left_to_compute(architecture: str) -> None:
    folded = fold_constants(copy.deepcopy(network(architecture)))
    kinds = {type(module) for module in folded.modules()}
    assert not kinds & {StandardizedConv2d, nn.BatchNorm2d}
