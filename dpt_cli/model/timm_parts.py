"""The modules that are taken from timm, and the one workaround that their import needs."""

import torch


def _import_torchvision() -> None:
    """Let timm import torchvision even if that was built for another torch.

    timm 1.0 imports torchvision for a class that is never used here. torchvision (0.18 to 0.29)
    raises RuntimeError at import if its compiled operators do not load, as with a CPU-only torch
    (pytorch/vision#9085). Declaring the two missing operators is enough; nothing calls them.
    """
    try:
        import torchvision  # noqa: F401
    except RuntimeError as error:
        if "operator torchvision::nms does not exist" not in str(error):
            raise
        for name in ("torchvision::nms", "torchvision::qnms"):
            torch.library.define(name, "(Tensor dets, Tensor scores, float threshold) -> Tensor")


_import_torchvision()

from timm.layers.mlp import Mlp  # noqa: E402
from timm.layers.norm_act import GroupNormAct  # noqa: E402
from timm.layers.padding import pad_same  # noqa: E402
from timm.models.resnet import Bottleneck, ResNet  # noqa: E402
from timm.models.resnetv2 import ResNetV2  # noqa: E402
from timm.models.vision_transformer import Block  # noqa: E402

__all__ = ["Block", "Bottleneck", "GroupNormAct", "Mlp", "ResNet", "ResNetV2", "pad_same"]
