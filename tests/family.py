"""Networks that share DPT's decoder, small and whole, beside their twins in transformers."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import safe_open

import formula
from dpt_cli.model.architectures import ARCHITECTURES
from dpt_cli.model.config import Architecture, DPTConfig, MidasConfig, ViTConfig

_SMALL_WIDTHS = (16, 24, 32, 40)
_SMALL_DINOV2 = ViTConfig(
    embed_dim=48,
    num_blocks=4,
    num_heads=4,
    grid_hw=(5, 5),
    patch_px=14,
    position="bicubic",
    position_offset=0.1,
    layer_scale=True,
    norm_taps=True,
)
_SMALL_ANYTHING = DPTConfig(
    _SMALL_DINOV2, (0, 1, 2, 3), _SMALL_WIDTHS, readout="ignore", features=32
)

SMALL: dict[str, Architecture] = {
    "midas": MidasConfig(
        stage_depths=(1, 2, 1, 1), stage_widths=(64, 128, 192, 256), groups=4, features=32
    ),
    "anything": _SMALL_ANYTHING,
    "anything-metric": replace(_SMALL_ANYTHING, activation="sigmoid"),
    "dinov2": DPTConfig(
        replace(_SMALL_DINOV2, position_offset=0.0, norm_taps=False),
        (0, 1, 2, 3),
        _SMALL_WIDTHS,
        fusion="doubling",
        unit_bias=False,
        head_projection=True,
    ),
    "beit": DPTConfig(
        ViTConfig(embed_dim=48, num_blocks=4, num_heads=4, grid_hw=(6, 6), position="relative"),
        (0, 1, 2, 3),
        _SMALL_WIDTHS,
        features=32,
    ),
}
"""One small network per kind."""


@dataclass(frozen=True)
class Twin:
    """A network in transformers, and ours of the same shape."""

    ours: DPTConfig
    theirs: Any

    def write(self, folder: Path) -> Path:
        """Save their network in the Hub's layout, filled by formula; return the weights file."""
        with torch.device("meta"):
            built = self.theirs[0](self.theirs[1])
        built.to_empty(device="cpu").save_pretrained(folder)
        del built
        path = folder / "model.safetensors"
        with safe_open(path, "pt") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        filled = {name: torch.from_numpy(it) for name, it in formula.state_dict(shapes)}
        safetensors.torch.save_file(filled, path, {"format": "pt"})
        return path

    def load(self, folder: Path) -> torch.nn.Module:
        """Return their network with the weights written."""
        network, info = self.theirs[0].from_pretrained(folder, output_loading_info=True)
        assert not any(info.values()), info
        result: torch.nn.Module = network.eval().requires_grad_(False)
        return result


def twin(name: str) -> Twin:
    """Return transformers' twin of an architecture, by a name of `SMALL` or `ARCHITECTURES`."""
    config = (SMALL | ARCHITECTURES)[name]
    assert isinstance(config, DPTConfig)
    if name.startswith("anything"):
        return _anything_twin(config)
    return _dpt_twin(config)


def _anything_twin(config: DPTConfig) -> Twin:
    import transformers

    is_metric = config.activation == "sigmoid"
    theirs = transformers.DepthAnythingConfig(
        backbone_config=_dinov2_config(config),
        patch_size=config.patch_px,
        reassemble_hidden_size=config.vit.embed_dim,
        neck_hidden_sizes=list(config.reassemble_widths),
        fusion_hidden_size=config.features,
        depth_estimation_type="metric" if is_metric else "relative",
        max_depth=1,
    )
    # transformers resizes the position embedding to a size, the authors by a scale with an offset.
    ours = replace(config, vit=replace(config.vit, position_offset=0.0))
    return Twin(ours, (transformers.DepthAnythingForDepthEstimation, theirs))


def _dpt_twin(config: DPTConfig) -> Twin:
    import transformers

    is_beit = config.vit.position == "relative"
    theirs = transformers.DPTConfig(
        backbone_config=_beit_config(config) if is_beit else _dinov2_config(config),
        neck_hidden_sizes=list(config.reassemble_widths),
        fusion_hidden_size=config.features,
        add_projection=config.head_projection,
        use_bias_in_fusion_residual=config.unit_bias,
        readout_type=config.readout,
    )
    return Twin(config, (transformers.DPTForDepthEstimation, theirs))


def _shape(config: DPTConfig) -> dict[str, Any]:
    return {
        "hidden_size": config.vit.embed_dim,
        "num_hidden_layers": config.vit.num_blocks,
        "num_attention_heads": config.vit.num_heads,
        "image_size": config.native_hw[0],
        "patch_size": config.patch_px,
        "out_indices": [hook + 1 for hook in config.hooks],
        "reshape_hidden_states": False,
    }


def _dinov2_config(config: DPTConfig) -> Any:
    import transformers

    return transformers.Dinov2Config(**_shape(config), apply_layernorm=config.vit.norm_taps)


def _beit_config(config: DPTConfig) -> Any:
    import transformers

    return transformers.BeitConfig(
        **_shape(config),
        intermediate_size=int(config.vit.mlp_ratio * config.vit.embed_dim),
        use_relative_position_bias=True,
    )
