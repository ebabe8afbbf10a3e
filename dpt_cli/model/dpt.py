"""The whole network, joined from its parts. Knows tensors and `DPTConfig`, nothing else."""

from torch import Tensor, nn

from dpt_cli.model.backbone import HybridEncoder, ViTEncoder
from dpt_cli.model.config import NUM_LEVELS, PATCH_SIZE, DPTConfig
from dpt_cli.model.fusion import FeatureFusionBlock
from dpt_cli.model.heads import DepthHead, SegmentationHead
from dpt_cli.model.reassemble import PassFeatureMap, Reassemble

COARSEST = NUM_LEVELS - 1


class DPT(nn.Module):
    """A dense prediction transformer (DPT §3, figure 1, left). Build it with `build_dpt`."""

    def __init__(
        self,
        encoder: nn.Module,
        reassemble: nn.ModuleList,
        to_features: nn.ModuleList,
        fusion: nn.ModuleList,
        head: nn.Module,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.reassemble = reassemble
        self.to_features = to_features
        self.fusion = fusion
        self.head = head

    def forward(self, image: Tensor) -> Tensor:
        """Predict densely.

        Args:
            image: (B, 3, h, w), float, normalised; h and w multiples of 16.

        Returns:
            Raw inverse depth (B, h, w), unitless, or logits (B, num_classes, h, w).

        Raises:
            ValueError: A side is not a multiple of 16.
        """
        height, width = image.shape[-2:]
        if height % PATCH_SIZE or width % PATCH_SIZE:
            raise ValueError(f"sides must be multiples of {PATCH_SIZE}, got {height} x {width}")
        result: Tensor = self.head(self.fuse(self.levels(image)), (height, width))
        return result

    def levels(self, image: Tensor) -> list[Tensor]:
        """Encode and reassemble an image (B, 3, h, w) to one (B, D̂, h/s, w/s) a level."""
        grid_hw = (image.shape[2] // PATCH_SIZE, image.shape[3] // PATCH_SIZE)
        taps = self.encoder(image)
        parts = zip(taps, self.reassemble, self.to_features, strict=True)
        return [convolve(reassemble(tap, grid_hw)) for tap, reassemble, convolve in parts]

    def fuse(self, levels: list[Tensor]) -> Tensor:
        """Fuse levels, coarse to fine, to (B, D̂, h/2, w/2)."""
        x = levels[COARSEST]
        for level in reversed(range(NUM_LEVELS)):
            skip = None if level == COARSEST else levels[level]
            x = self.fusion[level](x, skip, _fused_hw(levels, level))
        return x


def _fused_hw(levels: list[Tensor], level: int) -> tuple[int, int]:
    if level > 0:
        return (levels[level - 1].shape[2], levels[level - 1].shape[3])
    return (2 * levels[0].shape[2], 2 * levels[0].shape[3])


def build_dpt(config: DPTConfig) -> DPT:
    """Build a network with fresh weights, in training mode (DPT §3)."""
    dim = config.vit.embed_dim
    encoder: nn.Module
    if config.resnet is None:
        encoder = ViTEncoder(config.vit, config.hooks)
    else:
        encoder = HybridEncoder(config.vit, config.resnet, config.hooks)
    num_feature_maps = NUM_LEVELS - len(config.hooks)
    reassemble = nn.ModuleList(
        PassFeatureMap()
        if level < num_feature_maps
        else Reassemble(level, dim, width, config.readout)
        for level, width in enumerate(config.reassemble_widths)
    )
    to_features = nn.ModuleList(
        nn.Conv2d(width, config.features, kernel_size=3, padding=1, bias=False)
        for width in config.reassemble_widths
    )
    is_segmentation = config.head == "segmentation"
    fusion = nn.ModuleList(
        FeatureFusionBlock(config.features, is_segmentation, has_skip=level != COARSEST)
        for level in range(NUM_LEVELS)
    )
    head: nn.Module
    if is_segmentation:
        head = SegmentationHead(config.features, config.num_classes)
    else:
        head = DepthHead(config.features, config.depth_head_width)
    return DPT(encoder, reassemble, to_features, fusion, head)
