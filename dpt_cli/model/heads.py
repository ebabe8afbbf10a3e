"""The task heads, from the finest fused map (half the image's size) to the image's size."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class DepthHead(nn.Module):
    """Three convolutions to one non-negative value per pixel (DPT §4.1; supplement, figure 2)."""

    def __init__(
        self,
        features: int,
        width: int,
        *,
        has_projection: bool = False,
        activation: Literal["relu", "sigmoid"] = "relu",
        align_corners: bool = True,
    ) -> None:
        """Make the head.

        Args:
            features: Channels of the fused map.
            width: Channels of the second convolution.
            has_projection: Whether a 3x3 convolution and a ReLU come first (DINOv2's depth heads).
            activation: What makes the result non-negative; `sigmoid` for a share of the largest
                depth (Depth Anything V2, metric).
            align_corners: How the map is upsampled (False in MiDaS 2.1).
        """
        super().__init__()
        self.activation, self.align_corners = activation, align_corners
        self.projection = (
            nn.Conv2d(features, features, kernel_size=3, padding=1) if has_projection else None
        )
        self.conv1 = nn.Conv2d(features, features // 2, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(features // 2, width, kernel_size=3, padding=1)
        self.conv3 = nn.Conv2d(width, 1, kernel_size=1)

    def forward(self, x: Tensor, size_hw: tuple[int, int]) -> Tensor:
        """Map (B, C, h, w) to raw depth (B, size_hw[0], size_hw[1]), >= 0."""
        result = self.before_activation(x, size_hw)
        return F.relu(result) if self.activation == "relu" else torch.sigmoid(result)

    def before_activation(self, x: Tensor, size_hw: tuple[int, int]) -> Tensor:
        """Return the same before the activation: what a ReLU cuts off has no gradient."""
        if self.projection is not None:
            x = F.relu(self.projection(x))
        x = self.conv1(x)
        x = F.interpolate(x, size=size_hw, mode="bilinear", align_corners=self.align_corners)
        result: Tensor = self.conv3(F.relu(self.conv2(x)))
        return result.squeeze(1)


class SegmentationHead(nn.Module):
    """Convolution, batch norm and a linear classifier (DPT §4.2; supplement, figure 2)."""

    def __init__(self, features: int, num_classes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(features, features, kernel_size=3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(features)
        self.classify = nn.Conv2d(features, num_classes, kernel_size=1)

    def forward(self, x: Tensor, size_hw: tuple[int, int]) -> Tensor:
        """Map (B, C, h, w) to logits (B, num_classes, size_hw[0], size_hw[1])."""
        return F.interpolate(self.logits(x), size=size_hw, mode="bilinear", align_corners=True)

    def logits(self, x: Tensor) -> Tensor:
        """Map (B, C, h, w) to logits (B, num_classes, h, w)."""
        result: Tensor = self.classify(F.relu(self.norm(self.conv(x))))
        return result
