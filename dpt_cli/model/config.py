"""The shape of a network as plain data; `architectures.py` names the published ones.

Hooks, widths and readout belong here. Input sizes, means and scales belong to `weights.toml`.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

Readout = Literal["ignore", "add", "project"]
Position = Literal["bilinear", "bicubic", "relative"]
Fusion = Literal["next level", "doubling"]

NUM_LEVELS = 4


@dataclass(frozen=True)
class ViTConfig:
    """The transformer encoder (DPT §3, "Transformer encoder").

    Attributes:
        embed_dim: Token width D.
        num_blocks: Transformer layers.
        num_heads: Attention heads per layer.
        mlp_ratio: Hidden width of a layer's MLP over D.
        grid_hw: Patches down and across in training, the size of the position embedding.
        patch_px: Side of a patch [px].
        position: How positions are resized to another grid: an embedding `bilinear` (DPT) or
            `bicubic` (DINOv2), or a `relative` bias in each layer (BEiT).
        position_offset: What DINOv2's code adds to the new grid's sides before it computes the
            scale of the resizing [patches]; 0 in transformers.
        layer_scale: Whether each residual branch ends in a learned scale per channel.
        norm_taps: Whether the taps pass the final norm.
    """

    embed_dim: int
    num_blocks: int
    num_heads: int
    mlp_ratio: float = 4.0
    grid_hw: tuple[int, int] = (24, 24)
    patch_px: int = 16
    position: Position = "bilinear"
    position_offset: float = 0.0
    layer_scale: bool = False
    norm_taps: bool = False


@dataclass(frozen=True)
class ResNetConfig:
    """The convolutional stem of the hybrid encoder: a BiT ResNet-50 cut after its third stage.

    Attributes:
        stage_depths: Bottleneck blocks per stage (strides 4, 8, 16).
        stage_widths: Channels of each stage's output.
        stem_width: Channels of the first convolution.
        norm_groups: Groups of every group norm.
    """

    stage_depths: tuple[int, ...] = (3, 4, 9)
    stage_widths: tuple[int, ...] = (256, 512, 1024)
    stem_width: int = 64
    norm_groups: int = 32


@dataclass(frozen=True)
class DPTConfig:
    """Everything that decides the shape of a dense prediction transformer.

    Attributes:
        vit: The transformer.
        hooks: Zero-based indices of the blocks whose tokens are read, finest level first: four
            for a plain ViT, two (levels 2 and 3) for a hybrid.
        reassemble_widths: Channels each level leaves Reassemble with, level 0 (stride 4) first.
        resnet: The stem of a hybrid, or None for a plain ViT.
        readout: How the readout token enters the others (DPT §3, Read).
        features: Width D̂ of the fusion stage.
        head: `depth` for one value per pixel, `segmentation` for `num_classes` logits.
        depth_head_width: Channels of the depth head's second convolution.
        num_classes: Classes of a segmentation head.
        fusion: Whether a fusion block upsamples to the `next level`'s size, or always by
            `doubling`. They differ where a grid has an odd side.
        unit_bias: Whether the residual units' convolutions have a bias.
        head_projection: Whether the depth head starts with one more convolution.
        activation: What ends the depth head.

    Raises:
        ValueError: The parts do not go together.
    """

    vit: ViTConfig
    hooks: tuple[int, ...]
    reassemble_widths: tuple[int, int, int, int]
    resnet: ResNetConfig | None = None
    readout: Readout = "project"
    features: int = 256
    head: Literal["depth", "segmentation"] = "depth"
    depth_head_width: int = 32
    num_classes: int = 150
    fusion: Fusion = "next level"
    unit_bias: bool = True
    head_projection: bool = False
    activation: Literal["relu", "sigmoid"] = "relu"

    def __post_init__(self) -> None:
        num_hooks = 2 if self.is_hybrid else NUM_LEVELS
        in_order = sorted(set(self.hooks)) == list(self.hooks)
        if len(self.hooks) != num_hooks or not in_order:
            raise ValueError(f"expected {num_hooks} ascending hooks, got {self.hooks}")
        if self.hooks[0] < 0 or self.hooks[-1] >= self.vit.num_blocks:
            raise ValueError(f"hooks {self.hooks} lie outside {self.vit.num_blocks} blocks")
        if self.resnet and self.reassemble_widths[:2] != self.resnet.stage_widths[:2]:
            raise ValueError(
                f"a hybrid's levels 0 and 1 are its stages: widths {self.reassemble_widths[:2]} "
                f"are not {self.resnet.stage_widths[:2]}"
            )

    @property
    def is_hybrid(self) -> bool:
        """Whether convolutional stages feed the transformer."""
        return self.resnet is not None

    @property
    def patch_px(self) -> int:
        """Return what the sides of an input must be multiples of [px]."""
        return self.vit.patch_px

    @property
    def native_hw(self) -> tuple[int, int]:
        """Return the input size whose position embedding is not resized [px]."""
        grid_h, grid_w = self.vit.grid_hw
        return grid_h * self.patch_px, grid_w * self.patch_px


@dataclass(frozen=True)
class MidasConfig:
    """The shape of MiDaS 2.1: a ResNeXt under the same decoder (Ranftl et al. 2020).

    Attributes:
        stage_depths: Bottleneck blocks per stage (strides 4, 8, 16, 32).
        stage_widths: Channels of each stage's output.
        groups: Groups of the 3x3 convolutions.
        group_width: Channels per group, where a stage's width is 256.
        features: Width of the fusion stage.
        depth_head_width: Channels of the depth head's second convolution.
    """

    stage_depths: tuple[int, ...] = (3, 4, 23, 3)
    stage_widths: tuple[int, ...] = (256, 512, 1024, 2048)
    groups: int = 32
    group_width: int = 8
    features: int = 256
    depth_head_width: int = 32

    head: ClassVar[str] = "depth"
    num_classes: ClassVar[int] = 1
    patch_px: ClassVar[int] = 32
    native_hw: ClassVar[tuple[int, int]] = (384, 384)


Architecture = DPTConfig | MidasConfig
"""What every kind of network has: `head`, `num_classes`, `patch_px` and `native_hw`."""
