"""`dpt models show`: the architecture, its cost, and what the papers report."""

import json
from typing import Any

import pytest

from front_door import FrontDoor, invoke


@pytest.fixture(scope="module")
def hybrid() -> dict[str, Any]:
    (facts,) = json.loads(invoke("models", "show", "depth/hybrid", "--json").stdout)
    found: dict[str, Any] = facts
    return found


def test_the_parts_make_up_the_parameters(hybrid: dict[str, Any]) -> None:
    # The count that the registry's own tests hold to the authors' file.
    assert sum(hybrid["parameters"].values()) == 121_196_289
    assert next(iter(hybrid["parameters"])) == "encoder"


def test_the_taps_are_counted_as_in_the_paper(hybrid: dict[str, Any]) -> None:
    assert hybrid["architecture"]["taps"].endswith("layers 9, 12")
    assert "R0 and R1" in hybrid["architecture"]["taps"]


def test_published_figures_name_their_table(hybrid: dict[str, Any]) -> None:
    by_dataset = {it["dataset"]: it for it in hybrid["published"]}
    assert by_dataset["nyu"]["value"] == 8.69
    assert "table 1" in by_dataset["nyu"]["source"]


def test_the_typo_of_table_6_is_noted(hybrid: dict[str, Any]) -> None:
    (line,) = [it for it in hybrid["ablations"] if "used" in it["variant"]]
    assert line["table"] == 6
    assert ".0733" in line["figures"]
    figures = [float(word) for word in line["figures"].split(",")[0].split()]
    assert sum(figures) / 3 == pytest.approx(0.0783, abs=5e-5)
    assert ".0783" in line["note"]


def test_people_get_the_same_facts(dpt: FrontDoor) -> None:
    text = dpt("models", "show", "depth/unpublished", "--resolution", "192x96").stdout
    assert "ever published" in text
    assert "GFLOP at 192 by 96 px" in text


def test_weights_that_are_not_downloaded_are_not_called_unpublished() -> None:
    text = " ".join(invoke("models", "show", "anything-v2-base").stdout.split())
    assert "CC-BY-NC-4.0: no commercial use" in text
    assert "get depth_anything_v2_vitb.pth from https://huggingface.co/depth-anything/" in text
    assert "published" not in text


def test_figures_on_data_that_a_network_was_trained_on_say_so() -> None:
    (facts,) = json.loads(invoke("models", "show", "beit-base-384", "--json").stdout)
    trained = {it["dataset"] for it in facts["published"] if "trained on it" in it["source"]}
    assert trained == {"kitti", "nyu"}


def test_an_unknown_model_is_a_usage_error(dpt: FrontDoor) -> None:
    assert "depth/small" in dpt("models", "show", "smal", code=2).stderr
