"""The convolutional decoder: RefineNet-style fusion, coarse to fine (DPT §3, "Fusion")."""

import torch.nn.functional as F
from torch import Tensor, nn


class ResidualConvUnit(nn.Module):
    """Two 3x3 convolutions on a residual path, activation first (DPT supplement, figure 1)."""

    def __init__(self, features: int, batch_norm: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(features, features, kernel_size=3, padding=1, bias=not batch_norm)
        self.norm1 = nn.BatchNorm2d(features) if batch_norm else nn.Identity()
        self.conv2 = nn.Conv2d(features, features, kernel_size=3, padding=1, bias=not batch_norm)
        self.norm2 = nn.BatchNorm2d(features) if batch_norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, h, w) to the same shape."""
        out: Tensor = self.norm1(self.conv1(F.relu(x)))
        out = self.norm2(self.conv2(F.relu(out)))
        return x + out


class FeatureFusionBlock(nn.Module):
    """Add a level to the coarser result and upsample (DPT §3, "Fusion"; supplement, figure 1)."""

    def __init__(self, features: int, batch_norm: bool, has_skip: bool) -> None:
        super().__init__()
        self.skip_unit = ResidualConvUnit(features, batch_norm) if has_skip else None
        self.fused_unit = ResidualConvUnit(features, batch_norm)
        self.project = nn.Conv2d(features, features, kernel_size=1)

    def forward(self, x: Tensor, skip: Tensor | None, size_hw: tuple[int, int]) -> Tensor:
        """Fuse and resize.

        Args:
            x: (B, C, h, w), the coarser block's result, or the coarsest level itself.
            skip: (B, C, h, w), this block's level; None for the coarsest block.
            size_hw: Size of the result: the next finer level's, which is not 2h, 2w where the
                number of patches is odd.

        Returns:
            (B, C, size_hw[0], size_hw[1]).
        """
        if self.skip_unit is not None:
            x = x + self.skip_unit(skip)
        x = self.fused_unit(x)
        # The authors project after the upsampling: the two commute, and this is a quarter of it.
        x = self.project(x)
        # parity: align_corners=True here and in the heads; False only for the position embedding.
        return F.interpolate(x, size=size_hw, mode="bilinear", align_corners=True)
