"""Raw outputs come back to the photograph as in the authors' code."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from dpt_cli.checkpoint.specs import InputSpec, OutputSpec
from dpt_cli.photos.decode import read_rgb
from dpt_cli.predict.postprocess import resize_depth, resize_labels
from dpt_cli.predict.preprocess import network_input, network_size
from published import REFERENCE, network, samples

_REFERENCES = np.load(REFERENCE / "photographs.npz")
_EXAMPLES = Path(__file__).parents[1] / "examples"
_PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")
_HALF = (0.5, 0.5, 0.5)


def _logits(num_classes: int, size_hw: tuple[int, int], smooth: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(7)
    height, width = size_hw
    coarse = torch.randn(1, num_classes, height // smooth, width // smooth, generator=generator)
    fine = torch.randn(1, num_classes, height, width, generator=generator)
    return 5 * F.interpolate(coarse, size=size_hw, mode="bicubic")[0] + 0.1 * fine[0]


def _prepared(photograph: str, side_px: int) -> tuple[torch.Tensor, tuple[int, int]]:
    """Return a photograph's network input, (1, 3, h, w), and its own size."""
    rgb = read_rgb(_EXAMPLES / photograph)
    photo_hw = rgb.shape[0], rgb.shape[1]
    target_hw = side_px, side_px
    size = network_size(photo_hw, target_hw, 32)
    image = network_input(rgb, size, InputSpec(target_hw, _HALF, _HALF))
    return torch.from_numpy(image[None]), photo_hw


@pytest.mark.parametrize(
    ("network_hw", "photo_hw"),
    [
        ((48, 64), (300, 401)),
        ((96, 96), (37, 200)),
        ((16, 16), (500, 3)),
        ((32, 48), (1, 70)),
        ((64, 48), (64, 48)),
    ],
)
def test_labels_are_those_of_all_logits_resized(
    network_hw: tuple[int, int], photo_hw: tuple[int, int]
) -> None:
    logits = _logits(150, network_hw, smooth=8)
    whole = F.interpolate(logits[None], size=photo_hw, mode="bicubic", align_corners=False)[0]
    labels = resize_labels(logits.numpy(), photo_hw)
    assert labels.dtype == np.uint8
    # Two classes that agree to float rounding may come out either way.
    chosen = whole.gather(0, torch.from_numpy(labels).long()[None])[0]
    assert float((whole.amax(0) - chosen).max()) <= 1e-4
    assert (labels == whole.argmax(0).numpy()).mean() > 0.999


@pytest.mark.parametrize(
    ("network_hw", "photo_hw"),
    [((48, 64), (300, 401)), ((96, 96), (37, 200)), ((384, 512), (3000, 1)), ((64, 48), (64, 48))],
)
def test_depth_is_resized_as_torch_does(
    network_hw: tuple[int, int], photo_hw: tuple[int, int]
) -> None:
    raw = _logits(1, network_hw, smooth=8)
    expected = F.interpolate(raw[None], size=photo_hw, mode="bicubic", align_corners=False)[0, 0]
    values = resize_depth(raw[0].numpy(), photo_hw, OutputSpec("inverse_depth"))
    assert values.dtype == np.float32
    # torch works its sampling positions out in float32: 2e-5 px over a side of 512.
    assert np.abs(values - expected.numpy()).max() <= 1e-5 * float(raw.abs().max())


def test_a_single_class_fills_the_photograph() -> None:
    logits = np.full((3, 16, 16), -5.0, np.float32)
    logits[2] = 5.0
    assert (resize_labels(logits, (200, 130)) == 2).all()


def test_inverse_depth_is_not_clipped() -> None:
    raw = np.zeros((16, 16), np.float32)
    raw[:, 8:] = 100.0
    values = resize_depth(raw, (64, 64), OutputSpec("inverse_depth"))
    assert values.min() < 0
    assert values.max() > 100


def test_metres_come_from_scale_and_shift_before_the_resize() -> None:
    raw = np.array([[0.0, 100.0], [200.0, 400.0]], np.float32)
    values = resize_depth(raw, (2, 2), OutputSpec("depth", scale=0.000305, shift=0.1378))
    # float32 rounding of one product, one sum and one division.
    np.testing.assert_allclose(values, 1 / (0.000305 * raw + 0.1378), rtol=5e-7)


@pytest.mark.slow
@torch.inference_mode()
@pytest.mark.parametrize("photograph", _PHOTOGRAPHS)
def test_depth_of_a_photograph_equals_the_authors(photograph: str) -> None:
    image, photo_hw = _prepared(photograph, 384)
    raw = network("hybrid-depth")(image)[0].numpy()
    values = samples(resize_depth(raw, photo_hw, OutputSpec("inverse_depth")))
    expected = _REFERENCES[f"{photograph.partition('.')[0]}/depth/prediction_samples"]
    # The network's 1e-6 on top of an input that differs by 1e-7.
    assert np.linalg.norm(values - expected) / np.linalg.norm(expected) <= 1e-5


@pytest.mark.slow
@torch.inference_mode()
@pytest.mark.parametrize("photograph", _PHOTOGRAPHS)
def test_labels_of_a_photograph_equal_the_authors(photograph: str) -> None:
    image, photo_hw = _prepared(photograph, 480)
    logits = network("hybrid-segmentation")(image)[0].numpy()
    labels = resize_labels(logits, photo_hw).reshape(-1)
    expected = _REFERENCES[f"{photograph.partition('.')[0]}/segment/labels_samples"]
    chosen = labels[np.linspace(0, labels.size - 1, expected.size).astype(np.int64)]
    # Classes that agree to float rounding may come out either way: a handful of 4096 pixels.
    assert (chosen == expected).mean() >= 0.999


_FIFTY_MEGAPIXELS = """
import resource, sys
import numpy as np
from dpt_cli.predict.postprocess import resize_labels
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
logits = np.random.default_rng(0).normal(size=(150, 30, 40)).astype(np.float32)
logits = np.ascontiguousarray(logits.repeat(16, 1).repeat(16, 2))
resize_labels(logits, (5773, 8660))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
def test_labels_of_fifty_megapixels_take_little_memory() -> None:
    printed = subprocess.run(
        [sys.executable, "-c", _FIFTY_MEGAPIXELS], check=True, capture_output=True, text=True
    ).stdout
    unit = 1 if sys.platform == "darwin" else 1024
    # The logits twice (184 MB each), the labels (50 MB); all logits at full size would be 30 GB.
    assert int(printed) * unit < 1e9
