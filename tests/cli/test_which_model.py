"""The networks that share DPT's decoder, through the command: how a file finds its model."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import formula
from dpt_cli.model.architectures import build_network
from family import SMALL
from front_door import FrontDoor, written_in
from loopback_hub import sha256_of
from small_models import row, safe

_PRESETS = {"midas": "midas-v21", "beit": "beit-base-384", "dinov2": "dinov2-small"}


def small(kind: str) -> dict[str, Any]:
    """Return a small network as a row of a registry spells it."""
    table = {key: value for key, value in asdict(SMALL[kind]).items() if value is not None}
    return {"preset": _PRESETS.get(kind, "anything-v2-small"), **table}


def weights(kind: str) -> bytes:
    """Return a small network's weights file, filled by formula."""
    with torch.device("meta"):
        shapes = build_network(SMALL[kind]).state_dict()
    shape_of = {name: tuple(tensor.shape) for name, tensor in shapes.items()}
    return safe(
        {name: torch.from_numpy(np.asarray(it)) for name, it in formula.state_dict(shape_of)}
    )


def rows(dpt: FrontDoor, *, closed: bool = False) -> None:
    """Write a registry with two versions whose files have the same tensors, and two others."""
    taps = {**small("anything"), "readout": "ignore", "vit": {**small("anything")["vit"]}}
    taps["vit"]["position_offset"] = 0.0
    known = {"file": "old.pth", "page": "https://huggingface.co/Somebody/old"}
    new = {**known, "file": "new.pth", "sha256": sha256_of(weights("anything"))}
    dpt.rows(
        depth={
            "first": row("depth", [], architecture=small("midas"), default=True),
            "new": row(
                "depth",
                [],
                architecture=small("anything"),
                known_files=[new],
            ),
            "old": row(
                "depth",
                [],
                architecture=taps,
                licence="CC-BY-NC-4.0",
                commercial=not closed,
                known_files=[known],
            ),
        }
    )


def run(dpt: FrontDoor, *words: str | Path, code: int = 0) -> str:
    return dpt("depth", "a.png", "-o", "out", "--format", "npy", *words, code=code).stderr


@pytest.fixture
def desk(dpt: FrontDoor) -> FrontDoor:
    dpt.photograph("a.png")
    rows(dpt)
    return dpt


def test_a_published_file_is_known_by_its_content_whatever_its_name(desk: FrontDoor) -> None:
    path = desk.weights("anything.bin", weights("anything"))
    assert "using the model new, which anything.bin fits" in run(desk, "--weights", path)


def test_a_file_with_a_published_name_is_taken_for_that_model(desk: FrontDoor) -> None:
    other = weights("anything").replace(b"format", b"Format")
    assert "using the model old" in run(desk, "--weights", desk.weights("old.pth", other))


def test_a_file_that_only_a_name_can_tell_asks_for_the_model(desk: FrontDoor) -> None:
    path = desk.weights("mine.pth", weights("anything").replace(b"format", b"Format"))
    assert "new, old. Choose one with --model" in run(desk, "--weights", path, code=2)
    run(desk, "--weights", path, "--model", "old")
    assert np.load("out/a_depth.npy").std() > 0


def test_a_published_file_is_refused_for_a_model_that_its_tensors_fit_too(desk: FrontDoor) -> None:
    path = desk.weights("given.pth", weights("anything"))
    error = run(desk, "--weights", path, "--model", "old", code=4).splitlines()[-1]
    assert "is the published file of new, not of old: use --model new" in error
    assert written_in(Path("out")) == set()
    run(desk, "--weights", path, "--model", "new")


@pytest.mark.parametrize(("given", "asked"), [("anything", "first"), ("midas", "new")])
def test_a_file_of_another_family_is_refused(desk: FrontDoor, given: str, asked: str) -> None:
    path = desk.weights("given.safetensors", weights(given).replace(b"format", b"Format"))
    error = run(desk, "--weights", path, "--model", asked, code=4).splitlines()[-1]
    assert error.startswith(f"Error: {path} does not fit the architecture of this model: ")
    assert written_in(Path("out")) == set()


def test_what_may_not_be_sold_is_said_once_and_never_downloaded(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    dpt.photograph("b.png")
    rows(dpt, closed=True)
    error = run(dpt, "--model", "old", code=4)
    assert "get old.pth from https://huggingface.co/Somebody/old" in error
    path = dpt.weights("old.pth", weights("anything").replace(b"format", b"Format"))
    told = dpt("depth", ".", "-o", "../out", "--weights", path).stderr
    assert told.count("CC-BY-NC-4.0") == 1
    listed = dpt("models", "list", "--commercial").stdout
    assert "new" in listed
    assert "old" not in listed


@pytest.mark.parametrize(("multiple", "code"), [("28", 0), ("16", 2), ("32", 2)])
def test_a_multiple_has_to_fit_the_patch(desk: FrontDoor, multiple: str, code: int) -> None:
    path = desk.weights("new.pth", weights("anything"))
    told = run(desk, "--weights", path, "--model", "new", "--multiple-of", multiple, code=code)
    assert (f"{multiple} is not a multiple of 14" in told) == bool(code)


def test_bench_compares_models_of_several_families(desk: FrontDoor) -> None:
    words = ("--resolution", "64", "--runs", "1", "--device", "cpu", "--json")
    document = json.loads(desk("bench", "--model", "first,new", *words).stdout)
    measured = [(it["model"], it["network_hw"]) for it in document["rows"]]
    assert measured == [("first", [64, 64]), ("new", [70, 70])]
