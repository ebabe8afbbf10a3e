"""The description of a map: the same facts in every place, and a map again from them."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dpt_cli.maps import Calibration, Camera, DepthMap, LabelMap, Provenance
from dpt_cli.maps.facts import as_text, facts_of, from_text, map_from

VALUES = np.array([[0.1, 3], [np.nan, np.inf]], np.float32)
MADE_BY = Provenance(
    "depth/hybrid from 東京.pt",
    (384, 512),
    "bf16",
    model="depth/hybrid",
    weights_sha256="ab" * 32,
    engine="torch",
    photograph="a b.jpg",
    photo_hw=(2, 2),
)
RELATIVE = DepthMap(VALUES, "inverse_depth", MADE_BY)
CALIBRATED = DepthMap(
    VALUES,
    "depth",
    MADE_BY,
    Calibration(0.1, 1 / 3, 4, 0.2, 5, "leave-one-out"),
    Camera(1e3, "exif"),
)
LABELS = LabelMap(np.array([[0, 149]], np.uint8), MADE_BY)
MAPS = [RELATIVE, CALIBRATED, LABELS, DepthMap(VALUES * np.nan, "depth")]


@pytest.mark.parametrize("through_text", [False, True])
@pytest.mark.parametrize("result", MAPS, ids=["relative", "calibrated", "labels", "unknown"])
def test_a_map_comes_back_from_its_numbers_and_facts(
    result: DepthMap | LabelMap, through_text: bool
) -> None:
    facts = facts_of(result)
    if through_text:
        facts = from_text(as_text(facts))
    again = map_from(result.values if isinstance(result, DepthMap) else result.labels, facts)
    assert type(again) is type(result)
    assert facts_of(again) == facts_of(result)


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (RELATIVE, {"kind": "relative inverse depth", "near": "large", "unit": "relative"}),
        (replace(RELATIVE, quantity="depth"), {"kind": "metric depth", "near": "small"}),
        (CALIBRATED, {"kind": "calibrated metric depth", "near": "small", "unit": "m"}),
        (LABELS, {"kind": "labels", "near": None, "unit": None}),
    ],
)
def test_a_map_says_what_it_is(result: DepthMap | LabelMap, expected: dict[str, Any]) -> None:
    assert facts_of(result).items() >= expected.items()


@pytest.mark.parametrize(
    "facts",
    [{}, {"quantity": "disparity"}, {"quantity": "depth", "camera": {"f": 1}}, {"quantity": None}],
)
def test_what_the_numbers_are_is_never_guessed(facts: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"quantity|damaged"):
        map_from(VALUES, facts)
