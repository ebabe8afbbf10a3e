"""Compute once what is the same for every picture: exact up to rounding, for inference only."""

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from dpt_cli.model.backbone import SameConv2d, StandardizedConv2d
from dpt_cli.model.dpt import DPT
from dpt_cli.model.fusion import ResidualConvUnit
from dpt_cli.model.heads import SegmentationHead


@torch.no_grad()
def fold_constants(network: DPT) -> DPT:
    """Standardise weights and fold batch norms into convolutions, in place, and return it.

    Args:
        network: In eval mode.
    """
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, StandardizedConv2d):
                setattr(module, name, _with_fixed_weight(child))
        if isinstance(module, ResidualConvUnit):
            _fold_norm(module, "conv1", "norm1")
            _fold_norm(module, "conv2", "norm2")
        elif isinstance(module, SegmentationHead):
            _fold_norm(module, "conv", "norm")
    return network


def _with_fixed_weight(convolution: StandardizedConv2d) -> SameConv2d:
    weight = convolution.standardized_weight()
    with torch.device("meta"):
        fixed = SameConv2d(
            convolution.in_channels,
            convolution.out_channels,
            convolution.kernel_size[0],
            stride=convolution.stride[0],
            dilation=convolution.dilation[0],
            groups=convolution.groups,
        )
    fixed.weight = nn.Parameter(weight, requires_grad=False)
    return fixed.eval()


def _fold_norm(module: nn.Module, convolution: str, norm: str) -> None:
    batch_norm = getattr(module, norm)
    if isinstance(batch_norm, nn.BatchNorm2d):
        fused = fuse_conv_bn_eval(getattr(module, convolution), batch_norm)
        setattr(module, convolution, fused.requires_grad_(requires_grad=False))
        setattr(module, norm, nn.Identity())
