"""Make the reference files of this folder by running the authors' own implementation of DPT.

    python tests/reference/make_references.py --authors DPT --photographs photos

The environment: Python 3.11, torch 2.13.0, torchvision 0.28.0, timm 0.4.5, numpy,
opencv-python-headless, pillow. The timm version matters: it decides how the hybrid networks
standardise their weights. `--authors` is a checkout of isl-org/DPT at cd3fe90.
"""

import argparse
import importlib.util
import itertools
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
READOUTS = ("project", "add", "ignore")
SAMPLES = 1024
LABEL_SAMPLES = 4096

Array = npt.NDArray[Any]
Size = tuple[int, int]
Encoder = tuple[nn.Module, nn.Module]


@dataclass(frozen=True)
class Architecture:
    """What to build from the authors' classes.

    Attributes:
        backbone: The authors' name of the backbone.
        classes: Number of classes, or None for depth.
        features: Channels of the decoder.
        encoder: Replaces the authors' choice of encoder.
        inversion: Arguments that make the depth metric.
        sizes: Input sizes (height, width).
        batched_sizes: Input sizes for a batch of two.
        readouts: Which readouts to run.
    """

    backbone: str
    classes: int | None = None
    features: int = 256
    encoder: Callable[..., Encoder] | None = None
    inversion: tuple[tuple[str, float], ...] = ()
    sizes: tuple[Size, ...] = ((96, 128), (384, 384), (384, 512), (480, 704))
    batched_sizes: tuple[Size, ...] = ()
    readouts: tuple[str, ...] = READOUTS

    @property
    def output_gain(self) -> float:
        """Scale of the formula's output, large enough for the inversion to matter."""
        return 100.0 if self.inversion else 1.0


def small_vit_encoder(
    backbone: str, features: int, pretrained: bool, *, use_readout: str, **_: Any
) -> Encoder:
    """Stand in for the authors' `_make_encoder` with a transformer of four blocks."""
    from dpt import blocks, vit
    from timm.models.vision_transformer import VisionTransformer

    transformer = VisionTransformer(
        img_size=96, patch_size=16, embed_dim=48, depth=4, num_heads=4, num_classes=10
    )
    channels = [16, 24, 32, 40]
    encoder = vit._make_vit_b16_backbone(
        transformer,
        features=channels,
        size=[96, 96],
        hooks=[0, 1, 2, 3],
        vit_features=48,
        use_readout=use_readout,
    )
    return encoder, blocks._make_scratch(channels, features)


def small_hybrid_encoder(
    backbone: str, features: int, pretrained: bool, *, use_readout: str, **_: Any
) -> Encoder:
    """Stand in for the authors' `_make_encoder` with a small ResNet and four blocks."""
    from dpt import blocks, vit
    from timm.models.layers import GroupNormAct, StdConv2dSame
    from timm.models.resnetv2 import ResNetV2
    from timm.models.vision_transformer import VisionTransformer

    resnet = ResNetV2(
        layers=(1, 2, 2),
        channels=(32, 64, 96),
        stem_chs=16,
        preact=False,
        stem_type="same",
        conv_layer=StdConv2dSame,
        norm_layer=partial(GroupNormAct, num_groups=4),
        num_classes=0,
        global_pool="",
    )
    transformer = VisionTransformer(
        img_size=96, embed_dim=48, depth=4, num_heads=4, num_classes=10, hybrid_backbone=resnet
    )
    channels = [32, 64, 40, 40]
    encoder = vit._make_vit_b_rn50_backbone(
        transformer,
        features=channels,
        size=[96, 96],
        hooks=[0, 1, 2, 3],
        vit_features=48,
        use_readout=use_readout,
    )
    return encoder, blocks._make_scratch(channels, features)


def _small(encoder: Callable[..., Encoder], classes: int | None = None) -> Architecture:
    return Architecture(
        backbone="vitb16_384",
        classes=classes,
        features=32,
        encoder=encoder,
        sizes=((96, 96), (64, 160), (128, 96)),
        batched_sizes=((64, 96),),
    )


def _metric(scale: float, shift: float, size: Size) -> Architecture:
    return Architecture(
        backbone="vitb_rn50_384",
        inversion=(("scale", scale), ("shift", shift)),
        sizes=(size,),
        readouts=("project",),
    )


ARCHITECTURES = {
    "base-depth": Architecture("vitb16_384"),
    "large-depth": Architecture("vitl16_384"),
    "hybrid-depth": Architecture("vitb_rn50_384"),
    "large-segmentation": Architecture("vitl16_384", classes=150),
    "hybrid-segmentation": Architecture("vitb_rn50_384", classes=150),
    "hybrid-kitti": _metric(scale=0.00006016, shift=0.00579, size=(352, 1216)),
    "hybrid-nyu": _metric(scale=0.000305, shift=0.1378, size=(480, 640)),
    "small-vit-depth": _small(small_vit_encoder),
    "small-vit-segmentation": _small(small_vit_encoder, classes=7),
    "small-hybrid-depth": _small(small_hybrid_encoder),
    "small-hybrid-segmentation": _small(small_hybrid_encoder, classes=7),
}


def load_formula() -> ModuleType:
    """Import tests/formula.py, which is not part of a package."""
    spec = importlib.util.spec_from_file_location("formula", HERE.parent / "formula.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


formula = load_formula()


def shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """Return the shape of every parameter and buffer, in the order of the state dict."""
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}


def build(architecture: Architecture, readout: str) -> nn.Module:
    """Build the authors' model; discard it before building another: they share their hooks."""
    from dpt import models

    options: dict[str, Any] = {
        "backbone": architecture.backbone,
        "features": architecture.features,
        "readout": readout,
    }
    if architecture.inversion:
        options.update(architecture.inversion, invert=True)
    with mock.patch.object(models, "_make_encoder", architecture.encoder or models._make_encoder):
        if architecture.classes is None:
            return models.DPTDepthModel(**options).eval()
        return models.DPTSegmentationModel(architecture.classes, **options).eval()


def build_filled(architecture: Architecture, readout: str) -> nn.Module:
    """Build the authors' model with the weights of the formula."""
    model = build(architecture, readout)
    weights = formula.state_dict(shapes(model), architecture.output_gain)
    model.load_state_dict({name: torch.from_numpy(value) for name, value in weights})
    return model


def samples(values: Array, count: int = SAMPLES) -> Array:
    """Return values at equal distances in the flattened array, both ends included."""
    positions = np.linspace(0, values.size - 1, count).astype(np.int64)
    return values.ravel()[positions]


def network_references() -> Iterator[tuple[str, Array]]:
    """Yield samples and sums of the output of every network at every input size."""
    for name, architecture in ARCHITECTURES.items():
        for readout in architecture.readouts:
            model = build_filled(architecture, readout)
            single = [(1, *size) for size in architecture.sizes]
            batched = [(2, *size) for size in architecture.batched_sizes]
            for batch, height, width in single + batched:
                size = f"{batch}x{height}x{width}" if batch > 1 else f"{height}x{width}"
                case = f"{name}/{readout}/{size}"
                image = torch.from_numpy(formula.image((height, width), batch))
                output = model(image).numpy()
                report(case, output)
                yield f"{case}/samples", samples(output)
                yield f"{case}/norm", np.linalg.norm(output.astype(np.float64))
                yield f"{case}/sum", output.sum(dtype=np.float64)
                yield f"{case}/shape", np.array(output.shape)


def report(case: str, output: Array) -> None:
    """Print what shows whether an output is worth comparing with."""
    summary = (
        f"{case:45} min {output.min():10.4g} max {output.max():10.4g}"
        f" positive {np.mean(output > 0):6.1%} std {output.std():10.4g}"
        f" std/mean {output.std() / output.mean():8.3f}"
    )
    if output.ndim == 4:
        summary += f" labels {np.unique(output.argmax(axis=1)).size}"
    print(summary, flush=True)


def write_keys(folder: Path) -> None:
    """Write one table of names and shapes for each architecture."""
    folder.mkdir(exist_ok=True)
    for name, architecture in ARCHITECTURES.items():
        if architecture.inversion:
            continue
        rows = shapes(build(architecture, "project")).items()
        text = "".join(f"{key}\t{','.join(map(str, shape))}\n" for key, shape in rows)
        (folder / f"{name}.tsv").write_text(text)


def resize(net_size_wh: Size, multiple_of: int = 32) -> Any:
    """Return the authors' resize transform as their two programs set it up."""
    from dpt.transforms import Resize

    return Resize(
        *net_size_wh,
        resize_target=None,
        keep_aspect_ratio=True,
        ensure_multiple_of=multiple_of,
        resize_method="minimal",
        image_interpolation_method=cv2.INTER_CUBIC,
    )


NET_SIZES_WH = ((384, 384), (480, 480), (1216, 352), (640, 480))
COMMON_SIZES_WH = (
    (32, 32), (64, 48), (100, 100), (200, 150), (256, 256), (320, 240), (384, 384), (400, 300),
    (451, 300), (480, 480), (500, 375), (512, 512), (600, 400), (640, 427), (640, 480),
    (768, 768), (800, 600), (1000, 333), (1024, 768), (1216, 352), (1242, 375), (1280, 720),
    (1920, 1080), (2048, 1024), (3000, 2000), (4032, 3024), (97, 131), (333, 777), (1001, 999),
    (2400, 300), (3000, 100), (100, 3000),
)  # fmt: skip
EQUAL_SCALE_CHANGES_WH = (
    (768, 256), (256, 768), (576, 288), (288, 576), (960, 320), (720, 360), (640, 384),
    (1280, 320), (912, 528), (760, 880),
)  # fmt: skip
HALF_MULTIPLES_WH = (
    (400, 384), (432, 384), (384, 464), (500, 480), (540, 480), (580, 480), (620, 480),
    (496, 480), (528, 480), (480, 528), (488, 480), (504, 480), (620, 600), (660, 600),
    (600, 620), (1200, 352), (1232, 352), (656, 480), (640, 496),
)  # fmt: skip


def network_sizes() -> Array:
    """Return rows of width, height, net_w, net_h, multiple_of, new_width, new_height."""
    images = sorted({*COMMON_SIZES_WH, *EQUAL_SCALE_CHANGES_WH, *HALF_MULTIPLES_WH})
    rows = [
        (*image, *net, multiple, *map(int, resize(net, multiple).get_size(*image)))
        for image, net, multiple in itertools.product(images, NET_SIZES_WH, (32, 16))
    ]
    return np.array([row for row in rows if 0 not in row], np.int32)


PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")
TASKS = {"depth": ("hybrid-depth", 384), "segment": ("hybrid-segmentation", 480)}


def photograph_references(folder: Path) -> Iterator[tuple[str, Array]]:
    """Yield what the authors' programs feed to the network and make of its output."""
    from dpt.transforms import NormalizeImage, PrepareForNet
    from torchvision.transforms import Compose
    from util.io import read_image

    for task, (name, side) in TASKS.items():
        normalise = NormalizeImage(mean=[0.5, 0.5, 0.5], std=[0.5, 0.5, 0.5])
        transform = Compose([resize((side, side)), normalise, PrepareForNet()])
        model = build_filled(ARCHITECTURES[name], "project")
        for photograph in PHOTOGRAPHS:
            image = read_image(str(folder / photograph))
            network_input = transform({"image": image})["image"]
            output = model(torch.from_numpy(network_input).unsqueeze(0))
            case = f"{Path(photograph).stem}/{task}"
            report(case, output.numpy())
            yield f"{case}/input_samples", samples(network_input)
            yield f"{case}/input_shape", np.array(network_input.shape)

            maps = output.unsqueeze(1) if task == "depth" else output
            maps = F.interpolate(maps, size=image.shape[:2], mode="bicubic", align_corners=False)
            if task == "depth":
                yield f"{case}/prediction_samples", samples(maps.numpy())
            else:
                labels = maps.argmax(dim=1).numpy().astype(np.uint8)
                yield f"{case}/labels_samples", samples(labels, LABEL_SAMPLES)


def main() -> None:
    """Write networks.npz, keys/ and photographs.npz."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--authors", type=Path, required=True, help="checkout of isl-org/DPT")
    parser.add_argument("--photographs", type=Path, help="folder of photographs; left out: skip")
    parser.add_argument("--output", type=Path, default=HERE, help="folder to write in")
    arguments = parser.parse_args()

    sys.path.insert(0, str(arguments.authors.resolve()))
    arguments.output.mkdir(parents=True, exist_ok=True)
    write_keys(arguments.output / "keys")
    with torch.no_grad():
        np.savez_compressed(arguments.output / "networks.npz", **dict(network_references()))
        if arguments.photographs:
            photographs = dict(photograph_references(arguments.photographs))
            np.savez_compressed(
                arguments.output / "photographs.npz", sizes=network_sizes(), **photographs
            )


if __name__ == "__main__":
    main()
