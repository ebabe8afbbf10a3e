"""MiDaS 2.1, the convolutional network that the DPT paper compares itself with."""

import torch.nn.functional as F
from torch import Tensor, nn

from dpt_cli.model.config import NUM_LEVELS, MidasConfig
from dpt_cli.model.dpt import COARSEST, DPT
from dpt_cli.model.fusion import ResidualConvUnit
from dpt_cli.model.heads import DepthHead
from dpt_cli.model.reassemble import PassFeatureMap
from dpt_cli.model.timm_parts import Bottleneck, ResNet


class ResNeXtEncoder(nn.Module):
    """The four stages of a ResNeXt (Xie et al. 2017, arXiv 1611.05431; 32x8d, WSL weights).

    Source: isl-org/MiDaS, midas/blocks.py `_make_resnet_backbone`.
    """

    def __init__(self, config: MidasConfig) -> None:
        super().__init__()
        trunk = ResNet(
            Bottleneck,  # type: ignore[arg-type]  # timm's own use
            layers=config.stage_depths,
            channels=tuple(width // Bottleneck.expansion for width in config.stage_widths),
            cardinality=config.groups,
            base_width=config.group_width,
            num_classes=0,
        )
        self.conv1, self.bn1, self.maxpool = trunk.conv1, trunk.bn1, trunk.maxpool
        self.stages = nn.ModuleList(
            trunk.get_submodule(f"layer{stage + 1}") for stage in range(NUM_LEVELS)
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return four feature maps of strides 4, 8, 16 and 32, for an image (B, 3, h, w)."""
        x = self.maxpool(F.relu(self.bn1(self.conv1(image))))
        taps = []
        for stage in self.stages:
            x = stage(x)
            taps.append(x)
        return taps


class RectifiedResidualUnit(ResidualConvUnit):
    """A residual unit that adds relu(x), not x.

    Source: isl-org/MiDaS, midas/blocks.py `ResidualConvUnit`, whose ReLU works in place.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, h, w) to the same shape."""
        # parity: in the authors' code the in-place ReLU has changed x by the time it is added.
        return super().forward(F.relu(x))


class MidasFusionBlock(nn.Module):
    """Add a level to the coarser result and upsample, without a projection.

    Source: isl-org/MiDaS, midas/blocks.py `FeatureFusionBlock`.
    """

    def __init__(self, features: int, has_skip: bool) -> None:
        super().__init__()
        self.skip_unit = RectifiedResidualUnit(features, batch_norm=False) if has_skip else None
        self.fused_unit = RectifiedResidualUnit(features, batch_norm=False)

    def forward(self, x: Tensor, skip: Tensor | None, size_hw: tuple[int, int]) -> Tensor:
        """Fuse (B, C, h, w), the coarser result, with this level, and resize to `size_hw`."""
        if self.skip_unit is not None:
            x = x + self.skip_unit(skip)
        return F.interpolate(self.fused_unit(x), size=size_hw, mode="bilinear", align_corners=True)


def build_midas(config: MidasConfig) -> DPT:
    """Build MiDaS 2.1 with fresh weights, in training mode.

    Source: isl-org/MiDaS, midas/midas_net.py.
    """
    return DPT(
        encoder=ResNeXtEncoder(config),
        reassemble=nn.ModuleList(PassFeatureMap() for _ in range(NUM_LEVELS)),
        to_features=nn.ModuleList(
            nn.Conv2d(width, config.features, kernel_size=3, padding=1, bias=False)
            for width in config.stage_widths
        ),
        fusion=nn.ModuleList(
            MidasFusionBlock(config.features, has_skip=level != COARSEST)
            for level in range(NUM_LEVELS)
        ),
        # parity: align_corners=False in this head alone.
        head=DepthHead(config.features, config.depth_head_width, align_corners=False),
        patch_px=config.patch_px,
    )
