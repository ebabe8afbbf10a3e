"""Formula-filled checkpoints in the published layouts, and the networks they fill."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

import formula
from dpt_cli.checkpoint.convert import convert_state_dict
from dpt_cli.model.architectures import ARCHITECTURES, build_network
from dpt_cli.model.config import DPTConfig, Readout, ResNetConfig, ViTConfig
from dpt_cli.model.dpt import DPT

REFERENCE = Path(__file__).parent / "reference"

_SMALL_VIT = ViTConfig(embed_dim=48, num_blocks=4, num_heads=4, grid_hw=(6, 6))
_SMALL_RESNET = ResNetConfig(
    stage_depths=(1, 2, 2), stage_widths=(32, 64, 96), stem_width=16, norm_groups=4
)


def _small(head: str, resnet: ResNetConfig | None) -> DPTConfig:
    return DPTConfig(
        vit=_SMALL_VIT,
        hooks=(0, 1, 2, 3) if resnet is None else (2, 3),
        reassemble_widths=(16, 24, 32, 40) if resnet is None else (32, 64, 40, 40),
        resnet=resnet,
        features=32,
        head="segmentation" if head == "segmentation" else "depth",
        num_classes=7,
    )


# The paper's networks; there is no other implementation of the tiny one.
_DPT = {
    name: config
    for name, config in ARCHITECTURES.items()
    if isinstance(config, DPTConfig) and name.partition("-")[0] in ("base", "large", "hybrid")
}

CONFIGS: dict[str, DPTConfig] = {
    **_DPT,
    "hybrid-kitti": _DPT["hybrid-depth"],
    "hybrid-nyu": _DPT["hybrid-depth"],
    "small-vit-depth": _small("depth", None),
    "small-vit-segmentation": _small("segmentation", None),
    "small-hybrid-depth": _small("depth", _SMALL_RESNET),
    "small-hybrid-segmentation": _small("segmentation", _SMALL_RESNET),
}
"""The networks of the references, by the names used there."""

_METRIC = ("hybrid-kitti", "hybrid-nyu")


def _rows(path: Path) -> list[tuple[str, str]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [(name, value) for name, value in (line.split("\t") for line in lines)]


def authors_shapes(architecture: str, readout: Readout = "project") -> dict[str, tuple[int, ...]]:
    """Return every parameter of the authors' file, by name."""
    name = "hybrid-depth" if architecture in _METRIC else architecture
    shapes = {
        key: tuple(int(side) for side in shape.split(",") if side)
        for key, shape in _rows(REFERENCE / "keys" / f"{name}.tsv")
    }
    if readout != "project":
        shapes = {key: shape for key, shape in shapes.items() if ".0.project.0." not in key}
    return shapes


def authors_checkpoint(architecture: str, readout: Readout = "project") -> dict[str, Tensor]:
    """Return a formula-filled checkpoint in the authors' layout."""
    gain = 100.0 if architecture in _METRIC else 1.0
    filled = formula.state_dict(authors_shapes(architecture, readout), gain)
    return {name: torch.from_numpy(np.asarray(values)) for name, values in filled}


def transformers_checkpoint(architecture: str) -> dict[str, Tensor]:
    """Return the same checkpoint in the layout of transformers."""
    return to_transformers(authors_checkpoint(architecture), architecture)


_TRANSFORMERS_LARGE = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "backbone_out_indices": [5, 11, 17, 23],
    "neck_hidden_sizes": [256, 512, 1024, 1024],
}
_TRANSFORMERS_HYBRID = {
    "is_hybrid": True,
    "image_size": 384,
    "neck_hidden_sizes": [256, 512, 768, 768],
    "reassemble_factors": [1, 1, 1, 0.5],
    "backbone_config": {
        "model_type": "bit",
        "depths": [3, 4, 9],
        "hidden_sizes": [256, 512, 1024],
        "layer_type": "bottleneck",
        "global_padding": "same",
        "embedding_dynamic_padding": True,
        "out_features": ["stage1", "stage2", "stage3"],
    },
}
_TRANSFORMERS_SEGMENTATION = {"use_batch_norm_in_fusion_residual": True, "num_labels": 150}


def transformers_options(architecture: str) -> dict[str, Any]:
    """Return what `transformers.DPTConfig` takes for one of the published networks."""
    encoder, head = architecture.split("-")
    options = _TRANSFORMERS_LARGE if encoder == "large" else _TRANSFORMERS_HYBRID
    return {**options, **(_TRANSFORMERS_SEGMENTATION if head == "segmentation" else {})}


def to_transformers(checkpoint: dict[str, Tensor], like: str) -> dict[str, Tensor]:
    """Rename an authors' checkpoint; `like` is a published architecture with at least its names."""
    renamed: dict[str, Tensor] = {}
    for name, other in _rows(REFERENCE / "keys" / f"{like}.transformers.tsv"):
        if name not in checkpoint:
            continue
        tensor = checkpoint[name]
        if ".attn.qkv." not in name:
            renamed[other] = tensor
            continue
        block, kind = name.split(".")[3], name.rpartition(".")[2]
        for role, part in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
            renamed[f"dpt.encoder.layer.{block}.attention.attention.{role}.{kind}"] = part.clone()
    return renamed


@lru_cache(maxsize=1)
def network(architecture: str, readout: Readout = "project") -> DPT:
    """Return the formula-filled network of an architecture, in eval mode."""
    config = CONFIGS[architecture]
    config = DPTConfig(**{**vars(config), "readout": readout})
    with torch.device("meta"):
        built = build_network(config)
    checkpoint = convert_state_dict(authors_checkpoint(architecture, readout))
    built.load_state_dict(checkpoint, strict=True, assign=True)
    return built.eval().requires_grad_(False)


def samples(values: npt.NDArray[np.float32], count: int = 1024) -> npt.NDArray[np.float32]:
    """Take the values the references hold."""
    flat = values.reshape(-1)
    return flat[np.linspace(0, flat.size - 1, count).astype(np.int64)]
