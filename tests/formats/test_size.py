"""`--size`: maps at the photograph's size, at the network's, or with a longer side."""

import json
from pathlib import Path

import numpy as np
import pytest

from dpt_cli.checkpoint.registry import load_registry
from dpt_cli.engine import RawOutput
from dpt_cli.maps import DepthMap, Provenance
from dpt_cli.predict.predictor import MapSize, Prepared, finish
from front_door import FrontDoor, paths, pixels
from small_models import SIDE_PX

WIDTH, HEIGHT = 200, 130


@pytest.mark.parametrize(
    ("size", "shape"), [("photo", (130, 200)), ("network", (96, 144)), ("50", (32, 50))]
)
def test_maps_have_the_size_asked_for(dpt: FrontDoor, size: str, shape: tuple[int, int]) -> None:
    dpt.photograph("a.png", WIDTH, HEIGHT)
    formats = ("--format", "npy,color,side", "--size", size)
    (line,) = paths(dpt("depth", "a.png", "-o", "out", "--json", *formats))
    facts = json.loads(line)
    assert (facts["map_hw"], facts["photo_hw"]) == ([*shape], [HEIGHT, WIDTH])
    assert np.load("out/a_depth.npy").shape == shape
    assert pixels(Path("out/a_depth.png")).shape == (*shape, 3)
    dpt("segment", "a.png", "-o", "out", "--no-legend", "--size", size)
    assert pixels(Path("out/a_segment.png")).shape == (*shape, 3)


def test_the_networks_size_holds_its_output_unchanged(dpt: FrontDoor) -> None:
    # At its native size nothing is resized in either case.
    dpt.photograph("a.png", SIDE_PX, SIDE_PX)
    for size in ("photo", "network"):
        dpt("depth", "a.png", "-o", size, "--format", "npy", "--size", size)
    np.testing.assert_array_equal(np.load("network/a_depth.npy"), np.load("photo/a_depth.npy"))


def test_another_size_is_done_again(dpt: FrontDoor) -> None:
    dpt.photograph("a.png", WIDTH, HEIGHT)
    made = ["out/a_depth.png"]
    assert paths(dpt("depth", "a.png", "-o", "out")) == made
    assert paths(dpt("depth", "a.png", "-o", "out", "--size", "network")) == made
    assert paths(dpt("depth", "a.png", "-o", "out", "--size", "network")) == []
    assert paths(dpt("depth", "a.png", "-o", "out")) == made


@pytest.mark.parametrize("size", ["0", "photos", "-3", "1e3", "70000"])
def test_other_sizes_are_refused(dpt: FrontDoor, size: str) -> None:
    dpt.photograph("a.png")
    assert "longer side" in dpt("depth", "a.png", "--size", size, code=2).stderr


@pytest.mark.parametrize(("size", "has_camera"), [("photo", True), ("network", False)])
def test_a_field_of_view_is_not_of_a_stretched_map(
    dpt: FrontDoor, size: str, has_camera: bool
) -> None:
    dpt.photograph("a.png", WIDTH, HEIGHT)
    options = ("--format", "npz", "--json", "--fov", "60", "--size", size)
    (line,) = paths(dpt("depth", "a.png", "-o", "out", *options))
    assert (json.loads(line)["camera"] is not None) == has_camera


@pytest.mark.parametrize(("size", "focal_px"), [("photo", 80.0), (50, 40.0), ("network", None)])
def test_the_focal_length_follows_the_size(size: MapSize, focal_px: float | None) -> None:
    spec = load_registry().find("depth", "tiny")
    prepared = Prepared(np.zeros((3, 32, 48), np.float32), (60, 100), 80.0)
    raw = RawOutput(np.ones((32, 48), np.float32), "fp32")
    result = finish(raw, prepared, spec, Provenance(), size)
    assert isinstance(result, DepthMap)
    assert (result.camera and result.camera.focal_px) == focal_px
