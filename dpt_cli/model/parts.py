"""A network in words and numbers: its encoder, its taps, and the parameters of each part."""

from collections.abc import Mapping

from dpt_cli.model.config import Architecture, DPTConfig, MidasConfig, ViTConfig

_READ = {
    "ignore": "the readout token is dropped",
    "add": "the readout token is added to the others",
    "project": "the readout token is concatenated to the others and projected",
}


def describe(architecture: Architecture) -> Mapping[str, str]:
    """Return what decides an architecture's shape, in the paper's words."""
    if isinstance(architecture, MidasConfig):
        return {
            "encoder": f"ResNeXt-101 {architecture.groups}x{architecture.group_width}d, without a "
            "transformer",
            "taps": "the four stages, strides 4, 8, 16 and 32",
            "fusion width D̂": str(architecture.features),
            "head": architecture.head,
        }
    return {
        "encoder": _encoder(architecture),
        "taps": _taps(architecture),
        "Read": f"{architecture.readout}: {_READ[architecture.readout]}",
        "Reassemble widths": ", ".join(map(str, architecture.reassemble_widths)),
        "fusion width D̂": str(architecture.features),
        "head": architecture.head,
    }


def parameters_by_part(architecture: Architecture) -> dict[str, int]:
    """Return how many parameters each part has, in the order of the data."""
    import torch

    from dpt_cli.model.architectures import build_network

    with torch.device("meta"):
        network = build_network(architecture)
    return {
        name: sum(parameter.numel() for parameter in part.parameters())
        for name, part in network.named_children()
    }


def _encoder(architecture: DPTConfig) -> str:
    vit = architecture.vit
    words = (
        f"ViT of {vit.num_blocks} layers, width {vit.embed_dim}, {vit.num_heads} heads, "
        f"{_patches(vit, is_hybrid=architecture.is_hybrid)}, positions {vit.position}"
    )
    if architecture.resnet is None:
        return words
    depths = "-".join(map(str, architecture.resnet.stage_depths))
    return f"ResNet of {depths} blocks, then a {words}"


def _patches(vit: ViTConfig, *, is_hybrid: bool) -> str:
    across, down = vit.grid_hw[1], vit.grid_hw[0]
    what = "tokens of stride" if is_hybrid else "patches of"
    return f"{what} {vit.patch_px} px, {across} by {down} in training"


def _taps(architecture: DPTConfig) -> str:
    """Return the taps, counted from 1 as in the paper."""
    layers = ", ".join(str(hook + 1) for hook in architecture.hooks)
    if architecture.is_hybrid:
        return f"stages R0 and R1 of the ResNet, layers {layers}"
    return f"layers {layers}"
