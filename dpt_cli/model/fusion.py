"""The convolutional decoder: RefineNet-style fusion, coarse to fine (DPT §3, "Fusion")."""

import torch.nn.functional as F
from torch import Tensor, nn


class ResidualConvUnit(nn.Module):
    """Two 3x3 convolutions on a residual path, activation first (DPT supplement, figure 1)."""

    def __init__(self, features: int, batch_norm: bool, bias: bool = True) -> None:
        super().__init__()
        bias = bias and not batch_norm
        self.conv1 = nn.Conv2d(features, features, kernel_size=3, padding=1, bias=bias)
        self.norm1 = nn.BatchNorm2d(features) if batch_norm else nn.Identity()
        self.conv2 = nn.Conv2d(features, features, kernel_size=3, padding=1, bias=bias)
        self.norm2 = nn.BatchNorm2d(features) if batch_norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, h, w) to the same shape."""
        out: Tensor = self.norm1(self.conv1(F.relu(x)))
        out = self.norm2(self.conv2(F.relu(out)))
        return x + out


class FeatureFusionBlock(nn.Module):
    """Add a level to the coarser result and upsample (DPT §3, "Fusion"; supplement, figure 1)."""

    def __init__(self, features: int, batch_norm: bool, has_skip: bool, bias: bool = True) -> None:
        super().__init__()
        self.skip_unit = ResidualConvUnit(features, batch_norm, bias) if has_skip else None
        self.fused_unit = ResidualConvUnit(features, batch_norm, bias)
        self.project = nn.Conv2d(features, features, kernel_size=1)

    def forward(self, x: Tensor, skip: Tensor | None, size_hw: tuple[int, int]) -> Tensor:
        """Fuse and resize.

        Args:
            x: (B, C, h, w), the coarser block's result, or the coarsest level itself.
            skip: (B, C, h, w), this block's level; None for the coarsest block.
            size_hw: Size of the result, that of the next finer level. It is not 2h, 2w if a side
                has an odd number of patches.

        Returns:
            (B, C, size_hw[0], size_hw[1]).
        """
        if self.skip_unit is not None:
            x = x + self.skip_unit(skip)
        x = self.fused_unit(x)
        # The authors project after upsampling. The two commute, and this way costs a quarter.
        x = self.project(x)
        # parity: align_corners=True here and in the heads; False only for the position embedding.
        return F.interpolate(x, size=size_hw, mode="bilinear", align_corners=True)


class DoublingFusionBlock(FeatureFusionBlock):
    """A fusion block that always doubles, and resizes the skip input to the coarser result.

    Source: transformers, models/dpt/modeling_dpt.py `DPTFeatureFusionLayer`, after DINOv2's own
    depth heads. On a grid whose sides are multiples of 2 it computes what its parent does.
    """

    def forward(self, x: Tensor, skip: Tensor | None, _size_hw: tuple[int, int]) -> Tensor:
        """Fuse, and double to (B, C, 2h, 2w)."""
        height, width = x.shape[2], x.shape[3]
        if skip is not None:
            # parity: align_corners=False here alone. Where the sizes agree it changes nothing.
            skip = F.interpolate(skip, size=(height, width), mode="bilinear", align_corners=False)
        return super().forward(x, skip, (2 * height, 2 * width))
