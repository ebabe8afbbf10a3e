"""Make family.npz by running the authors' code of the networks that share DPT's decoder.

    python tests/reference/make_family_references.py --midas MiDaS --v1 Depth-Anything \\
        --v2 Depth-Anything-V2

The environment: Python 3.11, torch 2.13.0, torchvision 0.28.0, timm 0.6.13, numpy and
opencv-python-headless. The arguments are checkouts of isl-org/MiDaS at 4545977,
LiheYoung/Depth-Anything at 1d03336 and DepthAnything/Depth-Anything-V2 at a561b84.
"""

import argparse
import contextlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import nn

HERE = Path(__file__).resolve().parent
SAMPLES = 256
PICTURE_HW = (301, 433)

Array = npt.NDArray[Any]


def load_formula() -> ModuleType:
    """Import tests/formula.py, which is not part of a package."""
    spec = importlib.util.spec_from_file_location("formula", HERE.parent / "formula.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


formula = load_formula()


def midas(depths: list[int], widths: list[int], groups: int, features: int) -> nn.Module:
    """Build MiDaS 2.1; its ResNeXt comes from torchvision, as the authors' does."""
    from midas import blocks, midas_net
    from torchvision.models.resnet import Bottleneck, ResNet

    trunk = ResNet(Bottleneck, depths, groups=groups, width_per_group=8)
    if widths != [256, 512, 1024, 2048]:
        trunk = _narrow_resnet(depths, widths, groups)
    encoder = blocks._make_resnet_backbone(trunk), blocks._make_scratch(widths, features)
    with mock.patch.object(midas_net, "_make_encoder", return_value=encoder):
        network: nn.Module = midas_net.MidasNet(features=features)
    if features != 256:  # the authors' head has fixed widths
        first = nn.Conv2d(features, features // 2, 3, padding=1)
        network.scratch.output_conv[0] = first
        network.scratch.output_conv[2] = nn.Conv2d(features // 2, 32, 3, padding=1)
    return network


def _narrow_resnet(depths: list[int], widths: list[int], groups: int) -> nn.Module:
    from torchvision.models.resnet import Bottleneck, ResNet

    trunk = ResNet(Bottleneck, [1, 1, 1, 1], groups=groups, width_per_group=8)
    trunk.inplanes = 64
    for stage, (depth, width) in enumerate(zip(depths, widths, strict=True)):
        layer = trunk._make_layer(Bottleneck, width // 4, depth, stride=1 if stage == 0 else 2)
        setattr(trunk, f"layer{stage + 1}", layer)
    return trunk


def anything_v2(encoder: str, features: int, widths: list[int], *, metric: bool) -> nn.Module:
    """Build Depth Anything V2; the metric variant is another file, but for its head the same."""
    from depth_anything_v2.dpt import DepthAnythingV2

    network: nn.Module = DepthAnythingV2(encoder, features, widths)
    if metric:
        head = network.depth_head.scratch.output_conv2
        network.depth_head.scratch.output_conv2 = nn.Sequential(*head[:3], nn.Sigmoid())
    return network


def small_anything(*, metric: bool) -> nn.Module:
    """Build Depth Anything V2 with four blocks of width 48."""
    from depth_anything_v2 import dinov2, dpt

    encoder = dinov2.DinoVisionTransformer(
        img_size=70,
        patch_size=14,
        embed_dim=48,
        depth=4,
        num_heads=4,
        init_values=1.0,
        ffn_layer="mlp",
        block_chunks=0,
        interpolate_offset=0.1,
        block_fn=partial(dinov2.Block, attn_class=dinov2.MemEffAttention),
    )
    with mock.patch.object(dpt, "DINOv2", return_value=encoder):
        network = anything_v2("vits", 32, [16, 24, 32, 40], metric=metric)
    network.intermediate_layer_idx = {"vits": [0, 1, 2, 3]}
    return network


def anything_v1(checkout: Path, encoder: str, features: int, widths: list[int]) -> nn.Module:
    """Build Depth Anything V1; its encoder is loaded from a folder of the checkout."""
    from depth_anything.dpt import DPT_DINOv2

    with contextlib.chdir(checkout):
        network: nn.Module = DPT_DINOv2(encoder, features, widths)
    return network


def beit(backbone: str) -> nn.Module:
    """Build one of MiDaS 3.1's BEiT networks."""
    from midas.dpt_depth import DPTDepthModel

    network: nn.Module = DPTDepthModel(backbone=backbone)
    return network


def small_beit() -> nn.Module:
    """Build the same with four blocks of width 48."""
    from midas import blocks, dpt_depth
    from midas.backbones.beit import _make_beit_backbone
    from timm.models.beit import Beit

    transformer = Beit(
        img_size=96,
        embed_dim=48,
        depth=4,
        num_heads=4,
        num_classes=10,
        use_abs_pos_emb=False,
        use_rel_pos_bias=True,
        init_values=0.1,
    )
    widths = [16, 24, 32, 40]
    pretrained = _make_beit_backbone(
        transformer, widths, [96, 96], [0, 1, 2, 3], 48, use_readout="project"
    )
    encoder = pretrained, blocks._make_scratch(widths, 32)
    with mock.patch.object(dpt_depth, "_make_encoder", return_value=encoder):
        network: nn.Module = dpt_depth.DPTDepthModel(backbone="beitb16_384", features=32)
    return network


@dataclass(frozen=True)
class Case:
    """A network of the authors', and what to run it on."""

    build: Callable[[], nn.Module]
    sizes_hw: tuple[tuple[int, int], ...]


def cases(v1: Path) -> dict[str, Case]:
    """Return the networks by the names that the tests give them."""
    sizes = ((518, 518), (392, 686), (518, 294))
    found = {
        "midas": Case(
            partial(midas, [1, 2, 1, 1], [64, 128, 192, 256], 4, 32),
            ((96, 96), (64, 160), (128, 96)),
        ),
        "anything": Case(partial(small_anything, metric=False), ((70, 70), (56, 112), (98, 42))),
        "anything-metric": Case(
            partial(small_anything, metric=True), ((70, 70), (56, 112), (98, 42))
        ),
        "beit": Case(small_beit, ((96, 96), (64, 160), (112, 48))),
        "midas-v21": Case(
            partial(midas, [3, 4, 23, 3], [256, 512, 1024, 2048], 32, 256),
            ((384, 384), (384, 512), (480, 288)),
        ),
    }
    widths = {
        "small": ("vits", 64, [48, 96, 192, 384]),
        "base": ("vitb", 128, [96, 192, 384, 768]),
        "large": ("vitl", 256, [256, 512, 1024, 1024]),
    }
    for size, shape in widths.items():
        found[f"anything-v2-{size}"] = Case(partial(anything_v2, *shape, metric=False), sizes)
        found[f"anything-v1-{size}"] = Case(partial(anything_v1, v1, *shape), sizes)
    found["beit-large-512"] = Case(
        partial(beit, "beitl16_512"), ((512, 512), (384, 672), (512, 288))
    )
    for name, backbone in (("beit-large-384", "beitl16_384"), ("beit-base-384", "beitb16_384")):
        found[name] = Case(partial(beit, backbone), ((384, 384), (384, 512), (512, 288)))
    return found


def filled(network: nn.Module) -> nn.Module:
    """Return a network with the weights of the formula, in eval mode."""
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    indices = {name: it for name, it in network.state_dict().items() if "position_index" in name}
    weights = {name: torch.from_numpy(it) for name, it in formula.state_dict(shapes)}
    network.load_state_dict({**weights, **indices})
    return network.eval()


def samples(values: Array) -> Array:
    """Return values at equal distances in the flattened array, both ends included."""
    return values.ravel()[np.linspace(0, values.size - 1, SAMPLES).astype(np.int64)]


def network_references(found: dict[str, Case]) -> Iterator[tuple[str, Array]]:
    """Yield names and shapes of each network's file, and its output at each size."""
    for name, case in found.items():
        network = filled(case.build())
        rows = [
            f"{key}\t{','.join(map(str, value.shape))}"
            for key, value in network.state_dict().items()
        ]
        yield f"{name}/keys", np.array(rows)
        for size_hw in case.sizes_hw:
            output = network(torch.from_numpy(formula.image(size_hw))).numpy()
            print(
                f"{name:26} {size_hw} {output.shape} min {output.min():.4g} "
                f"max {output.max():.4g} std {output.std():.4g}",
                flush=True,
            )
            key = f"{name}/{size_hw[0]}x{size_hw[1]}"
            yield f"{key}/samples", samples(output)
            yield f"{key}/norm", np.linalg.norm(output.astype(np.float64))


def picture() -> Array:
    """Return a photograph by formula, uint8 (H, W, 3), RGB: waves and noise, no file to decode."""
    planes = formula.image(PICTURE_HW)[0].transpose(1, 2, 0)
    return np.clip((planes + 1) * 127.5, 0, 255).astype(np.uint8)


IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
HALF = ([0.5] * 3, [0.5] * 3)
# Per row of weights.toml: the small network, the package whose transform prepares it, target side,
# multiple, resize rule, mean and std, and how its output is brought to the photograph's size.
ROWS: dict[str, tuple[str, str, int, int, str, Any, dict[str, Any]]] = {
    "midas-v21": (
        *("midas", "midas.transforms", 384, 32, "minimal", IMAGENET),
        {"mode": "bicubic", "align_corners": False},
    ),
    "anything-v2-small": (
        *("anything", "depth_anything_v2.util.transform", 518, 14, "lower_bound", IMAGENET),
        {"mode": "bilinear", "align_corners": True},
    ),
    "anything-v1-small": (
        *("anything", "depth_anything.util.transform", 518, 14, "lower_bound", IMAGENET),
        {"mode": "bilinear", "align_corners": False},
    ),
    "beit-base-384": (
        *("beit", "midas.transforms", 384, 32, "minimal", HALF),
        {"mode": "bicubic", "align_corners": False},
    ),
}
PICTURE_SIZES_HW = ((301, 433), (480, 640), (375, 1242), (1080, 1920), (4032, 3024), (333, 777))


def picture_references(found: dict[str, Case]) -> Iterator[tuple[str, Array]]:
    """Yield what the authors' programs feed to a network, and what they make of its output."""
    rgb = picture()
    for row, (name, package, side, multiple, rule, normal, enlarging) in ROWS.items():
        transform = importlib.import_module(package)
        resize = transform.Resize(
            side,
            side,
            resize_target=False,
            keep_aspect_ratio=True,
            ensure_multiple_of=multiple,
            resize_method=rule,
            image_interpolation_method=cv2.INTER_CUBIC,
        )
        sizes = [(*hw, *resize.get_size(hw[1], hw[0])[::-1]) for hw in PICTURE_SIZES_HW]
        yield f"{row}/sizes", np.array(sizes, np.int32)
        sample = {"image": rgb / 255.0}
        for step in (resize, transform.NormalizeImage(*normal), transform.PrepareForNet()):
            sample = step(sample)
        output = filled(found[name].build())(torch.from_numpy(sample["image"])[None])
        depth = F.interpolate(output[:, None], rgb.shape[:2], **enlarging)[0, 0].numpy()
        yield f"{row}/input_samples", samples(sample["image"])
        yield f"{row}/map_samples", samples(depth)
        print(f"{row:26} {sample['image'].shape} std {depth.std():.4g}")


def main() -> None:
    """Write family.npz."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("midas", "v1", "v2"):
        parser.add_argument(f"--{name}", type=Path, required=True, help="a checkout")
    parser.add_argument("--only", nargs="*", help="make these, and keep the others of the file")
    arguments = parser.parse_args()
    for checkout in (arguments.midas, arguments.v1, arguments.v2):
        sys.path.insert(0, str(checkout.resolve()))
    sys.path.append(str(arguments.v1.resolve() / "torchhub" / "facebookresearch_dinov2_main"))
    found = cases(arguments.v1.resolve())
    file = HERE / "family.npz"
    chosen = {name: it for name, it in found.items() if name in (arguments.only or found)}
    references = dict(np.load(file)) if arguments.only else {}
    with torch.no_grad():
        references |= dict(picture_references(found)) | dict(network_references(chosen))
    np.savez_compressed(file, **references)


if __name__ == "__main__":
    main()
