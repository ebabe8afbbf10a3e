"""The architectures by name, and what builds each: one entry per architecture.

The names of their parameters in published files are in `layouts.py`. Nothing here imports torch
before a network is built.
"""

from collections.abc import Mapping
from dataclasses import is_dataclass, replace
from typing import TYPE_CHECKING, Any

from dpt_cli.model.config import Architecture, DPTConfig, MidasConfig, ResNetConfig, ViTConfig

if TYPE_CHECKING:
    from dpt_cli.model.dpt import DPT

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

_DINOV2 = {
    "small": ViTConfig(embed_dim=384, num_blocks=12, num_heads=6),
    "base": ViTConfig(embed_dim=768, num_blocks=12, num_heads=12),
    "large": ViTConfig(embed_dim=1024, num_blocks=24, num_heads=16),
}


def _dinov2(size: str, **fields: Any) -> ViTConfig:
    return replace(
        _DINOV2[size],
        grid_hw=(37, 37),
        patch_px=14,
        position="bicubic",
        layer_scale=True,
        **fields,
    )


def _anything(version: str, size: str) -> DPTConfig:
    """Return Depth Anything's shape (LiheYoung/Depth-Anything and DepthAnything's V2, dpt.py)."""
    vit = _dinov2(size, position_offset=0.1, norm_taps=True)
    hooks = (2, 5, 8, 11) if size != "large" else (4, 11, 17, 23)
    if version == "v1":
        hooks = (vit.num_blocks - 4, vit.num_blocks - 3, vit.num_blocks - 2, vit.num_blocks - 1)
    widths = {
        "small": (48, 96, 192, 384),
        "base": (96, 192, 384, 768),
        "large": (256, 512, 1024, 1024),
    }
    features = {"small": 64, "base": 128, "large": 256}
    return DPTConfig(vit, hooks, widths[size], readout="ignore", features=features[size])


def _dinov2_depth(size: str) -> DPTConfig:
    """Return the shape of DINOv2's depth networks (facebook/dpt-dinov2-*, config.json)."""
    widths = {
        "small": (48, 96, 192, 384),
        "base": (96, 192, 384, 768),
        "large": (128, 256, 512, 1024),
    }
    return DPTConfig(
        _dinov2(size),
        (2, 5, 8, 11) if size != "large" else (4, 11, 17, 23),
        widths[size],
        fusion="doubling",
        unit_bias=False,
        head_projection=True,
    )


def _beit(base: DPTConfig, grid: int) -> DPTConfig:
    """Return the shape of MiDaS 3.1's BEiT networks (isl-org/MiDaS, midas/dpt_depth.py)."""
    return replace(base, vit=replace(base.vit, grid_hw=(grid, grid), position="relative"))


ARCHITECTURES: dict[str, Architecture] = {
    "base-depth": _BASE_DEPTH,
    "large-depth": _LARGE_DEPTH,
    "hybrid-depth": _HYBRID_DEPTH,
    "large-segmentation": replace(_LARGE_DEPTH, head="segmentation"),
    "hybrid-segmentation": replace(_HYBRID_DEPTH, head="segmentation"),
    "tiny-depth": _TINY_DEPTH,
    "tiny-segmentation": replace(_TINY_DEPTH, head="segmentation"),
    "midas-v21": MidasConfig(),
    **{
        f"anything-{version}-{size}": _anything(version, size)
        for version in ("v1", "v2")
        for size in ("small", "base", "large")
    },
    **{
        f"anything-v2-metric-{size}": replace(_anything("v2", size), activation="sigmoid")
        for size in ("small", "base", "large")
    },
    **{f"dinov2-{size}": _dinov2_depth(size) for size in ("small", "base", "large")},
    "beit-large-512": _beit(_LARGE_DEPTH, 32),
    "beit-large-384": _beit(_LARGE_DEPTH, 24),
    "beit-base-384": _beit(_BASE_DEPTH, 24),
}
"""The architectures by the name a row of `weights.toml` gives."""


def build_network(architecture: Architecture) -> "DPT":
    """Build a network with fresh weights, in training mode."""
    if isinstance(architecture, MidasConfig):
        from dpt_cli.model.midas import build_midas

        return build_midas(architecture)
    from dpt_cli.model.dpt import build_dpt

    return build_dpt(architecture)


def architecture_from_table(table: Mapping[str, Any]) -> Architecture:
    """Return an architecture with some of its fields changed, as a row of a registry may spell it.

    Args:
        table: `preset` names the architecture; any other key is a field of its configuration, as
            a table where that is a configuration of its own.

    Raises:
        KeyError: No such architecture.
        TypeError: No such field.
        ValueError: The parts do not go together.
    """
    fields = dict(table)
    changed: Architecture = _changed(ARCHITECTURES[fields.pop("preset")], fields)
    return changed


def _changed(config: Any, table: Mapping[str, Any]) -> Any:
    fields = {key: tuple(it) if isinstance(it, list) else it for key, it in table.items()}
    for key, value in fields.items():
        if isinstance(value, Mapping) and is_dataclass(getattr(config, key, None)):
            fields[key] = _changed(getattr(config, key), value)
    return replace(config, **fields)
