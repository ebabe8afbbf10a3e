"""The architecture of a DPT as data, and the published presets.

Hooks, widths and readout belong here; sizes, means and scales belong to `weights.toml`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

Readout = Literal["ignore", "add", "project"]

NUM_LEVELS = 4
PATCH_SIZE = 16


@dataclass(frozen=True)
class ViTConfig:
    """The transformer encoder (DPT §3, "Transformer encoder").

    Attributes:
        embed_dim: Token width D.
        num_blocks: Transformer layers.
        num_heads: Attention heads a layer.
        mlp_ratio: Hidden width of a layer's MLP over D.
        grid_hw: Patches down and across in training, the size of the position embedding.
    """

    embed_dim: int
    num_blocks: int
    num_heads: int
    mlp_ratio: float = 4.0
    grid_hw: tuple[int, int] = (24, 24)


@dataclass(frozen=True)
class ResNetConfig:
    """The convolutional stem of the hybrid encoder: a BiT ResNet-50 cut after its third stage.

    Attributes:
        stage_depths: Bottleneck blocks in each stage (strides 4, 8, 16).
        stage_widths: Channels each stage gives.
        stem_width: Channels of the first convolution.
        norm_groups: Groups of every group norm.
    """

    stage_depths: tuple[int, ...] = (3, 4, 9)
    stage_widths: tuple[int, ...] = (256, 512, 1024)
    stem_width: int = 64
    norm_groups: int = 32


@dataclass(frozen=True)
class DPTConfig:
    """Everything that decides the shape of a network.

    Attributes:
        vit: The transformer.
        hooks: Zero-based indices of the blocks whose tokens are read, finest level first: four
            for a plain ViT, two (levels 2 and 3) for a hybrid.
        reassemble_widths: Channels each level leaves Reassemble with, level 0 (stride 4) first.
        resnet: The stem of a hybrid, or None for a plain ViT.
        readout: How the readout token enters the others (DPT §3, Read).
        features: Width D̂ of the fusion stage.
        head: `depth` for one value a pixel, `segmentation` for `num_classes` logits.
        depth_head_width: Channels of the depth head's second convolution.
        num_classes: Classes of a segmentation head.

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


# Hooks: isl-org/DPT, dpt/models.py. The paper's text counts from one ({3, 6, 9, 12}) and its
# {5, 12, 18, 24} for ViT-Large is {6, 12, 18, 24} in the code that made the weights.
_BASE_DEPTH = DPTConfig(
    vit=ViTConfig(embed_dim=768, num_blocks=12, num_heads=12),
    hooks=(2, 5, 8, 11),
    reassemble_widths=(96, 192, 384, 768),
)
_LARGE_DEPTH = DPTConfig(
    vit=ViTConfig(embed_dim=1024, num_blocks=24, num_heads=16),
    hooks=(5, 11, 17, 23),
    reassemble_widths=(256, 512, 1024, 1024),
)
_HYBRID_DEPTH = DPTConfig(
    vit=ViTConfig(embed_dim=768, num_blocks=12, num_heads=12),
    hooks=(8, 11),
    reassemble_widths=(256, 512, 768, 768),
    resnet=ResNetConfig(),
)

# Ours: a hybrid thin enough to live in the package (training/README.md).
_TINY_DEPTH = DPTConfig(
    vit=ViTConfig(embed_dim=192, num_blocks=7, num_heads=3, grid_hw=(16, 16)),
    hooks=(3, 6),
    reassemble_widths=(128, 256, 192, 192),
    resnet=ResNetConfig(
        stage_depths=(2, 3, 4), stage_widths=(128, 256, 512), stem_width=32, norm_groups=8
    ),
    features=48,
    depth_head_width=16,
)

PRESETS: dict[str, DPTConfig] = {
    "base-depth": _BASE_DEPTH,
    "large-depth": _LARGE_DEPTH,
    "hybrid-depth": _HYBRID_DEPTH,
    "large-segmentation": replace(_LARGE_DEPTH, head="segmentation"),
    "hybrid-segmentation": replace(_HYBRID_DEPTH, head="segmentation"),
    "tiny-depth": _TINY_DEPTH,
    "tiny-segmentation": replace(_TINY_DEPTH, head="segmentation"),
}
"""The published architectures by name (DPT §3 and supplement; isl-org/DPT, dpt/models.py)."""


def config_from_table(table: Mapping[str, Any]) -> DPTConfig:
    """Return a preset with some of its fields changed, as a registry row may spell it.

    Args:
        table: `preset` names the start; `vit` and `resnet` are tables of their own; any other
            key is a field of `DPTConfig`.

    Raises:
        KeyError: No such preset.
        TypeError: No such field.
        ValueError: The parts do not go together.
    """
    fields = _with_tuples(table)
    config = PRESETS[fields.pop("preset")]
    fields["vit"] = replace(config.vit, **_with_tuples(fields.get("vit", {})))
    if config.resnet is not None:
        fields["resnet"] = replace(config.resnet, **_with_tuples(fields.get("resnet", {})))
    return replace(config, **fields)


def _with_tuples(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
