"""The task heads, from the finest fused map (half the image's size) to the image's size."""

import torch.nn.functional as F
from torch import Tensor, nn


class DepthHead(nn.Module):
    """Three convolutions to one non-negative value a pixel (DPT §4.1; supplement, figure 2)."""

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(features, features // 2, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(features // 2, width, kernel_size=3, padding=1)
        self.conv3 = nn.Conv2d(width, 1, kernel_size=1)

    def forward(self, x: Tensor, size_hw: tuple[int, int]) -> Tensor:
        """Map (B, C, h, w) to inverse depth (B, size_hw[0], size_hw[1]), unitless, >= 0."""
        return F.relu(self.before_relu(x, size_hw))

    def before_relu(self, x: Tensor, size_hw: tuple[int, int]) -> Tensor:
        """Return the same before the last ReLU: what it cuts off has no gradient to learn by."""
        x = self.conv1(x)
        x = F.interpolate(x, size=size_hw, mode="bilinear", align_corners=True)
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
