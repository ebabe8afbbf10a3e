"""The whole network, joined from its parts; knows only tensors and configurations."""

from torch import Tensor, nn

from dpt_cli.model.backbone import HybridEncoder, ViTEncoder
from dpt_cli.model.beit import BeitEncoder
from dpt_cli.model.config import NUM_LEVELS, DPTConfig
from dpt_cli.model.fusion import DoublingFusionBlock, FeatureFusionBlock
from dpt_cli.model.heads import DepthHead, SegmentationHead
from dpt_cli.model.reassemble import PassFeatureMap, Reassemble

COARSEST = NUM_LEVELS - 1


class DPT(nn.Module):
    """A dense prediction transformer (DPT §3, figure 1, left), or a network with its decoder.

    Build it with `architectures.build_network`.
    """

    def __init__(
        self,
        encoder: nn.Module,
        reassemble: nn.ModuleList,
        to_features: nn.ModuleList,
        fusion: nn.ModuleList,
        head: nn.Module,
        patch_px: int,
        *,
        is_doubling: bool = False,
    ) -> None:
        """Join the parts.

        Args:
            encoder: Image in, one tap per level out.
            reassemble: Per level, tap and patch grid in, feature map out.
            to_features: Per level, the convolution to the fusion stage's width.
            fusion: Per level, the fusion block.
            head: Finest fused map and size in, result out.
            patch_px: What the sides of an image must be multiples of [px].
            is_doubling: Whether the head doubles the finest fused map, whatever the image's size.
        """
        super().__init__()
        self.patch_px, self.is_doubling = patch_px, is_doubling
        self.encoder = encoder
        self.reassemble = reassemble
        self.to_features = to_features
        self.fusion = fusion
        self.head = head

    def forward(self, image: Tensor) -> Tensor:
        """Predict densely.

        Args:
            image: (B, 3, h, w), float, normalised; h and w multiples of `patch_px`.

        Returns:
            Raw depth (B, h, w), >= 0, in the unit of the weights; or logits
            (B, num_classes, h, w). A doubling head gives another size than (h, w).

        Raises:
            ValueError: A side is not a multiple of `patch_px`.
        """
        height, width = image.shape[-2:]
        if height % self.patch_px or width % self.patch_px:
            raise ValueError(f"sides must be multiples of {self.patch_px}, got {height} x {width}")
        fused = self.fuse(self.levels(image))
        if self.is_doubling:
            height, width = 2 * fused.shape[2], 2 * fused.shape[3]
        result: Tensor = self.head(fused, (height, width))
        return result

    def levels(self, image: Tensor) -> list[Tensor]:
        """Encode and reassemble an image (B, 3, h, w) to one (B, D̂, h/s, w/s) per level."""
        grid_hw = (image.shape[2] // self.patch_px, image.shape[3] // self.patch_px)
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
    if config.resnet is not None:
        encoder = HybridEncoder(config.vit, config.resnet, config.hooks)
    elif config.vit.position == "relative":
        encoder = BeitEncoder(config.vit, config.hooks)
    else:
        encoder = ViTEncoder(config.vit, config.hooks)
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
    is_doubling = config.fusion == "doubling"
    fusion_block = DoublingFusionBlock if is_doubling else FeatureFusionBlock
    fusion = nn.ModuleList(
        fusion_block(
            config.features, is_segmentation, has_skip=level != COARSEST, bias=config.unit_bias
        )
        for level in range(NUM_LEVELS)
    )
    head: nn.Module
    if is_segmentation:
        head = SegmentationHead(config.features, config.num_classes)
    else:
        head = DepthHead(
            config.features,
            config.depth_head_width,
            has_projection=config.head_projection,
            activation=config.activation,
        )
    return DPT(
        encoder,
        reassemble,
        to_features,
        fusion,
        head,
        config.patch_px,
        is_doubling=is_doubling,
    )
