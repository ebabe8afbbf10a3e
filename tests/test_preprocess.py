"""Photographs become network inputs as in the authors' code."""

import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest

from dpt_cli.checkpoint.specs import InputSpec, Interpolation
from dpt_cli.photos.decode import read_rgb
from dpt_cli.predict.preprocess import network_input, network_size
from published import REFERENCE, samples

_REFERENCES = np.load(REFERENCE / "photographs.npz")
_EXAMPLES = Path(__file__).parents[1] / "examples"
_PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")
_TARGETS = {"depth": (384, 384), "segment": (480, 480)}
_HALF = (0.5, 0.5, 0.5)


def test_network_size_equals_the_authors_ties_included() -> None:
    wrong = [
        tuple(row)
        for row in _REFERENCES["sizes"].tolist()
        if network_size((row[1], row[0]), (row[3], row[2]), row[4]) != (row[6], row[5])
    ]
    assert not wrong


@pytest.mark.parametrize(
    ("photo_hw", "expected_hw"),
    [
        ((100, 3000), (16, 384)),
        ((3000, 100), (384, 16)),
        ((1, 1), (384, 384)),
        ((1, 5000), (16, 384)),
    ],
)
def test_a_side_is_at_least_one_patch(
    photo_hw: tuple[int, int], expected_hw: tuple[int, int]
) -> None:
    assert network_size(photo_hw, (384, 384), 16) == expected_hw


@pytest.mark.parametrize("task", ["depth", "segment"])
@pytest.mark.parametrize("photograph", _PHOTOGRAPHS)
def test_network_input_equals_the_authors(photograph: str, task: str) -> None:
    rgb = read_rgb(_EXAMPLES / photograph)
    size = network_size((rgb.shape[0], rgb.shape[1]), _TARGETS[task], 32)
    image = network_input(rgb, size, InputSpec(_TARGETS[task], _HALF, _HALF))

    name = f"{photograph.partition('.')[0]}/{task}"
    assert image.shape == tuple(_REFERENCES[f"{name}/input_shape"])
    assert image.dtype == np.float32
    # Both sides compute in float64 and round once to float32.
    expected = _REFERENCES[f"{name}/input_samples"]
    np.testing.assert_allclose(samples(image), expected, rtol=0, atol=2e-7)


def test_cubic_overshoot_is_kept() -> None:
    rgb = np.zeros((64, 64, 3), np.uint8)
    rgb[:, 32:] = 255
    image = network_input(rgb, (128, 128), InputSpec((128, 128), _HALF, _HALF))
    assert image.min() < -1.01
    assert image.max() > 1.01


def test_mean_and_std_are_applied_by_channel() -> None:
    rgb = np.full((16, 16, 3), (255, 0, 51), np.uint8)
    spec = InputSpec((16, 16), mean=(0.5, 0.25, 0.2), std=(0.5, 0.25, 2.0))
    image = network_input(rgb, (16, 16), spec)
    # One rounding of float32 at each of three steps.
    np.testing.assert_allclose(image[:, 3, 5], [1.0, -1.0, 0.0], atol=5e-7)


def test_area_averages_what_it_shrinks_and_cubic_does_not() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, 1::4] = 255
    half = (0.5, 0.5, 0.5)
    by_area = network_input(stripes, (16, 16), InputSpec((16, 16), half, half, "area"))
    # Four columns, one of them white: 0.25, which is half a deviation below the mean.
    np.testing.assert_allclose(by_area, -0.5, atol=1e-6)
    cubic = network_input(stripes, (16, 16), InputSpec((16, 16), half, half))
    assert np.abs(cubic - by_area).max() > 0.01
    larger = network_input(stripes, (128, 128), InputSpec((128, 128), half, half, "area"))
    same = network_input(stripes, (128, 128), InputSpec((128, 128), half, half))
    np.testing.assert_array_equal(larger, same)


@pytest.mark.parametrize(
    "photo_hw", [(480, 640), (641, 333), (90, 70), (1, 1), (37, 900), (1200, 1600)], ids=str
)
@pytest.mark.parametrize(
    ("interpolation", "flag"), [("cubic", cv2.INTER_CUBIC), ("area", cv2.INTER_AREA)]
)
def test_a_resized_photograph_equals_opencvs_of_the_whole_in_float64(
    photo_hw: tuple[int, int], interpolation: Interpolation, flag: int
) -> None:
    rgb = np.random.default_rng(1).integers(0, 256, (*photo_hw, 3), dtype=np.uint8)
    height, width = network_size(photo_hw, (192, 192), 16)
    image = network_input(
        rgb, (height, width), InputSpec((192, 192), (0.0,) * 3, (1.0,) * 3, interpolation)
    )
    by = cv2.INTER_CUBIC if height > photo_hw[0] else flag
    expected = cv2.resize(rgb / 255.0, (width, height), interpolation=by)
    # The same sums in float64, in another order where areas are averaged; float32 hides that but
    # for the rounding of one last bit.
    np.testing.assert_allclose(image, expected.transpose(2, 0, 1), rtol=1.2e-7, atol=1e-9)


@pytest.mark.parametrize("interpolation", ["cubic", "area"])
def test_a_large_photograph_is_not_copied_to_be_resized(interpolation: Interpolation) -> None:
    rgb = np.zeros((6000, 8000, 3), np.uint8)
    tracemalloc.start()
    network_input(rgb, (192, 256), InputSpec((192, 192), _HALF, _HALF, interpolation))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # A copy in float64 takes 1.2 GB; one in uint8 0.14 GB.
    assert peak < 60e6


def test_an_unknown_interpolation_is_refused() -> None:
    with pytest.raises(ValueError, match="lanczos"):
        InputSpec((384, 384), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "lanczos")  # type: ignore[arg-type]
