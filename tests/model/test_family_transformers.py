"""The networks that share DPT's decoder give the numbers of transformers, for the same file.

The file is in the Hub's layout, and each side reads it in its own way: theirs with nothing missing
or left over, ours by the rules of `model.layouts`.
"""

import math
from pathlib import Path

import pytest
import torch

import formula

# `family` comes before transformers: it imports timm, and with it a torchvision that was built for
# another torch, which transformers cannot.
from dpt_cli.checkpoint.load import load_network
from dpt_cli.model.architectures import ARCHITECTURES
from family import SMALL, twin

pytest.importorskip("transformers")

# The order of float32 sums alone differs: 1e-6 on these damped weights. Another epsilon,
# resampling or padding costs 1e-4 or more.
TOLERANCE = 1e-5

# In patches: the native grid is added. transformers resizes a fusion block's skip input where a
# grid has an odd side, as DINOv2's own heads do; Depth Anything's and BEiT's authors do not.
_GRIDS = {
    "anything": [(4, 6), (7, 5)],
    "dinov2": [(4, 6), (7, 3)],
    "beit": [(4, 6), (8, 2)],
}
_LARGE_GRIDS = {
    "anything": [(37, 50), (20, 37)],
    "dinov2": [(34, 46), (25, 40)],
    "beit": [(24, 32), (32, 18)],
}
_SMALL_NAMES = ("anything", "anything-metric", "dinov2", "beit")
_WHOLE_NAMES = [
    name for name in ARCHITECTURES if name.partition("-")[0] in ("anything", "dinov2", "beit")
]


@pytest.mark.parametrize(
    "name",
    [*_SMALL_NAMES, *(pytest.param(name, marks=pytest.mark.slow) for name in _WHOLE_NAMES)],
)
@torch.inference_mode()
def test_network_equals_transformers(name: str, tmp_path: Path) -> None:
    pair = twin(name)
    path = pair.write(tmp_path)
    ours, theirs = load_network(path, pair.ours), pair.load(tmp_path)
    path.unlink()
    kind, is_small = name.partition("-")[0], name in SMALL
    native = pair.ours.vit.grid_hw
    for grid_h, grid_w in (native, *(_GRIDS if is_small else _LARGE_GRIDS)[kind]):
        size_hw = (grid_h * pair.ours.patch_px, grid_w * pair.ours.patch_px)
        image = torch.from_numpy(formula.image(size_hw))
        expected = theirs(image)["predicted_depth"]
        values = ours(image)
        assert values.shape == expected.shape
        assert expected.std() > 0.01
        norm = torch.linalg.vector_norm
        difference = float(norm(values - expected) / norm(expected))
        print(f"parity {name} {size_hw[0]}x{size_hw[1]} transformers: {difference:.1e}")
        assert math.isfinite(difference)
        assert difference <= TOLERANCE
