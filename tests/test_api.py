"""`dpt_cli.load`: the same maps from Python."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import dpt_cli
from dpt_cli.errors import CheckpointError, DeviceError, FetchError, RegistryError
from front_door import FrontDoor, paths, picture

WIDTH, HEIGHT = 130, 97
RGB = picture(WIDTH, HEIGHT)


def test_a_depth_predictor_gives_the_map_of_the_command(dpt: FrontDoor) -> None:
    photograph = dpt.photograph("a.png", WIDTH, HEIGHT)
    (path,) = paths(dpt("depth", photograph, "-o", "out", "--format", "npy"))
    depth_map = dpt_cli.load(registry=dpt.registry)(dpt_cli.read_rgb(photograph))
    assert isinstance(depth_map, dpt_cli.DepthMap)
    np.testing.assert_array_equal(depth_map.values, np.load(path))
    assert (depth_map.unit, depth_map.network_hw, depth_map.precision) == (
        "relative",
        (96, 128),
        "fp32",
    )
    assert depth_map.weights.startswith("depth/small from Somebody/small-dpt@")


def test_a_segmentation_predictor_gives_the_labels_of_the_command(dpt: FrontDoor) -> None:
    photograph = dpt.photograph("a.png", WIDTH, HEIGHT)
    (path,) = paths(dpt("segment", photograph, "-o", "out", "--format", "npy"))
    predictor = dpt_cli.load("small", task="segment", registry=str(dpt.registry))
    label_map = predictor(dpt_cli.read_rgb(photograph))
    assert isinstance(label_map, dpt_cli.LabelMap)
    np.testing.assert_array_equal(label_map.labels, np.load(path))


def test_metric_weights_say_metres(dpt: FrontDoor) -> None:
    depth_map = dpt_cli.load("metric", registry=dpt.registry)(RGB)
    assert (depth_map.is_metric, depth_map.unit) == (True, "m")


@pytest.mark.parametrize(
    ("options", "network_hw"),
    [
        ({"resolution": 64}, (64, 80)),
        ({"resolution": (64, 160)}, (112, 160)),
        ({"multiple_of": 32}, (96, 128)),
    ],
)
def test_the_network_size_follows_the_options(
    dpt: FrontDoor, options: dict[str, Any], network_hw: tuple[int, int]
) -> None:
    predictor = dpt_cli.load(weights=dpt.weights(), registry=dpt.registry, **options)
    assert predictor(RGB).network_hw == network_hw


@pytest.mark.parametrize(
    "array",
    [
        RGB.astype(np.float32),
        RGB[..., 0],
        np.dstack([RGB, RGB[..., :1]]),
        RGB[:0],
        RGB.transpose(2, 0, 1),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_another_array_is_refused(dpt: FrontDoor, array: npt.NDArray[Any]) -> None:
    predictor = dpt_cli.load(weights=dpt.weights(), registry=dpt.registry)
    with pytest.raises(ValueError, match=r"expected uint8 \(H, W, 3\), got "):
        predictor(array)


@pytest.mark.parametrize("view", [RGB[:, ::-1], RGB[::2, ::3], RGB[..., ::-1]])
def test_views_give_the_map_of_their_copy(dpt: FrontDoor, view: npt.NDArray[np.uint8]) -> None:
    predictor = dpt_cli.load(weights=dpt.weights(), registry=dpt.registry)
    np.testing.assert_array_equal(predictor(view).values, predictor(view.copy()).values)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"model": "smal"}, RegistryError),
        ({"weights": "nowhere.pt"}, FetchError),
        ({"offline": True}, FetchError),
        ({"weights": Path(__file__)}, CheckpointError),
        ({"device": "cuda:99"}, DeviceError),
    ],
    ids=str,
)
def test_what_goes_wrong_is_raised(
    dpt: FrontDoor, options: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        dpt_cli.load(registry=dpt.registry, **options)


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = dpt_cli.nonsense
