"""The network gives the numbers of transformers' DPT, for the same weights in its layout.

A second opinion besides the authors' code, and the proof of the renaming: the checkpoint fills
both networks strictly, theirs under its own names, ours after conversion. transformers reshapes
tokens to a square, so other shapes cannot be compared, and its hybrid takes 384 x 384 alone.
"""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import formula

# `published` comes before transformers: it imports timm, and with it a torchvision that was built
# for another torch, which transformers cannot.
from dpt_cli.checkpoint.convert import convert_state_dict
from dpt_cli.model.architectures import build_network
from published import CONFIGS, transformers_checkpoint, transformers_options

transformers = pytest.importorskip("transformers")

# Where both compute the same, only the order of float32 sums differs: about 1e-6 on these damped
# weights. transformers' LayerNorm epsilon (1e-12, not 1e-6) stays within that.
TOLERANCE = 1e-5

# transformers standardises hybrid weights with 1e-8 on the variance, the authors' timm 0.4.5 with
# 1e-5 on the deviation. A channel of deviation d then differs by 1e-5 / d - 1e-8 / 2d², and the
# formula spreads d from 0.01 / exp(√3) = 0.0018 upwards: by 4e-3 at most. Seen: 2.7e-3, 3.6e-3.
HYBRID_TOLERANCE = 5e-3


def their_network(architecture: str, checkpoint: dict[str, Tensor], **options: Any) -> nn.Module:
    """Return transformers' network, filled strictly from a checkpoint under its own names."""
    config = transformers.DPTConfig(**{**transformers_options(architecture), **options})
    with torch.device("meta"):
        if architecture.endswith("-depth"):
            built = transformers.DPTForDepthEstimation(config)
        else:
            built = transformers.DPTForSemanticSegmentation(config)
    built.load_state_dict(checkpoint, strict=True, assign=True)
    network: nn.Module = built.eval().requires_grad_(False)
    return network


def our_network(architecture: str, checkpoint: dict[str, Tensor]) -> nn.Module:
    with torch.device("meta"):
        built = build_network(CONFIGS[architecture])
    built.load_state_dict(convert_state_dict(checkpoint), strict=True, assign=True)
    return built.eval().requires_grad_(False)


@torch.inference_mode()
def difference(architecture: str, side: int, **options: Any) -> float:
    """Return the norm of ours minus theirs over the norm of theirs."""
    image = torch.from_numpy(formula.image((side, side)))
    checkpoint = transformers_checkpoint(architecture)
    output = their_network(architecture, checkpoint, **options)(image)
    theirs = output["predicted_depth" if architecture.endswith("depth") else "logits"]
    ours = our_network(architecture, checkpoint)(image)
    assert ours.shape == theirs.shape
    assert theirs.std() > 0.01
    result = float(torch.linalg.vector_norm(ours - theirs) / torch.linalg.vector_norm(theirs))
    assert math.isfinite(result)
    print(f"transformers {architecture} {side} {options}: {result:.2e}")
    return result


slow = pytest.mark.slow


@slow
@pytest.mark.parametrize("side", [384, 480])
@pytest.mark.parametrize("architecture", ["large-depth", "large-segmentation"])
def test_large_equals_transformers(architecture: str, side: int) -> None:
    assert difference(architecture, side) <= TOLERANCE


@pytest.mark.parametrize(
    "architecture", ["hybrid-depth", pytest.param("hybrid-segmentation", marks=slow)]
)
def test_hybrid_equals_transformers_with_the_authors_standardisation(
    architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers.models.bit.modeling_bit import WeightStandardizedConv2d

    def forward(self: Any, x: Tensor) -> Tensor:
        x = x if self.pad is None else self.pad(x)
        flat = self.weight.flatten(1)
        mean, deviation = flat.mean(1), flat.var(1, correction=0).sqrt()
        weight = (flat - mean[:, None]) / (deviation[:, None] + 1e-5)
        return F.conv2d(
            x, weight.view_as(self.weight), None, self.stride, self.padding, 1, self.groups
        )

    monkeypatch.setattr(WeightStandardizedConv2d, "forward", forward)
    assert difference(architecture, 384) <= TOLERANCE


@slow
@pytest.mark.parametrize("architecture", ["hybrid-depth", "hybrid-segmentation"])
def test_hybrid_is_near_transformers_as_it_is(architecture: str) -> None:
    assert difference(architecture, 384) <= HYBRID_TOLERANCE
