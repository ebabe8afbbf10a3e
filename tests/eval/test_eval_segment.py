"""`dpt eval segment` through the command line, on a miniature ADE20K and a small network."""

import csv
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

import dpt_cli
import miniature_datasets as miniature
from dpt_cli.checkpoint.specs import InputSpec
from dpt_cli.engine import RawOutput
from dpt_cli.evaluation.multiscale import multiscale_scores
from dpt_cli.maps import LabelMap
from front_door import FrontDoor, pixels


def evaluated(dpt: FrontDoor, *arguments: str | Path, code: int = 0) -> dict[str, Any]:
    result = dpt("eval", "segment", *arguments, "--json", code=code)
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def test_the_counts_are_those_of_the_map(dpt: FrontDoor) -> None:
    miniature.ade20k(dpt.desk)
    options = ("--dataset", "ade20k", dpt.desk, "--protocol", "single", "--device", "cpu")
    found = evaluated(dpt, *options, "--csv", "out.csv", "--plot", "confusion.png")["results"][0]
    predictor = dpt_cli.load("small", task="segment", device="cpu", registry=dpt.registry)
    top = dpt.desk / "ADEChallengeData2016"
    right = labelled = 0
    hits, union = np.zeros(150), np.zeros(150)
    for photograph in sorted((top / "images/validation").iterdir()):
        labels = predictor(photograph).labels.astype(int)
        truth = pixels(top / f"annotations/validation/{photograph.stem}.png").astype(int) - 1
        right += int(((labels == truth) & (truth >= 0)).sum())
        labelled += int((truth >= 0).sum())
        for index in range(150):
            mine, theirs = (labels == index) & (truth >= 0), truth == index
            hits[index] += (mine & theirs).sum()
            union[index] += (mine | theirs).sum()
    measures = found["measures"]
    assert measures["pixel_accuracy"]["value"] == pytest.approx(100 * right / labelled)
    there = union > 0
    assert measures["mean_iou"]["value"] == pytest.approx(
        100 * float(np.mean(hits[there] / union[there]))
    )
    assert found["num_pixels"] == labelled
    with (dpt.desk / "out_classes.csv").open() as file:
        classes = list(csv.DictReader(file))
    assert len(classes) == 150
    assert sum(int(row["num_pixels"]) for row in classes) == labelled
    with (dpt.desk / "out_confusion.csv").open() as file:
        matrix = [list(row.values())[2:] for row in csv.DictReader(file)]
    assert np.array(matrix, int).sum() == labelled
    assert pixels(dpt.desk / "confusion.png").shape[2] == 3


def test_several_scales_say_what_is_not_published(dpt: FrontDoor) -> None:
    miniature.ade20k(dpt.desk)
    top = dpt.desk / "ADEChallengeData2016"
    (top / "images/validation/ADE_val_00000002.jpg").unlink()
    result = dpt("eval", "segment", "--dataset", "ade20k", dpt.desk, "--device", "cpu")
    assert "encnet" in result.stdout
    assert "not published" in result.stdout


class PixelNetwork:
    """An engine whose logits are the pixel's red and green: windows and scales change nothing."""

    name, device, precision, remark, num_at_once = "double", "cpu", "fp32", "", 1

    def __call__(self, images: npt.NDArray[np.float32]) -> list[RawOutput]:
        return [RawOutput(np.ascontiguousarray(image[:2]), "fp32") for image in images]


@pytest.mark.parametrize("hw", [(70, 100), (130, 90), (40, 230)])
def test_windows_cover_a_plain_photograph_alike(hw: tuple[int, int]) -> None:
    spec = InputSpec((96, 96), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    image = np.empty((3, *hw), np.float32)
    image[:] = np.array([0.3, -0.2, 0.9])[:, None, None]
    scores = multiscale_scores(PixelNetwork(), image, spec, "encnet")
    # Six scales of exp(logit + mirrored logit), each the mean over its windows.
    expected = np.broadcast_to(6 * np.exp([[[0.6]], [[-0.4]]]), scores.shape)
    np.testing.assert_allclose(scores, expected, rtol=1e-5)
    logits = multiscale_scores(PixelNetwork(), image, spec, "lseg")
    np.testing.assert_allclose(
        logits, np.broadcast_to([[[3.6]], [[-2.4]]], logits.shape), rtol=1e-5
    )


def test_a_truth_of_another_size_is_an_error_of_its_picture(dpt: FrontDoor) -> None:
    miniature.ade20k(dpt.desk)
    top = dpt.desk / "ADEChallengeData2016"
    np.save(dpt.desk / "small.npy", np.zeros((24, 32), np.uint8))
    photograph = top / "images/validation/ADE_val_00000001.jpg"
    options = ("--protocol", "single", "--device", "cpu")
    result = dpt("eval", "segment", photograph, dpt.desk / "small.npy", *options, code=1)
    assert "32 by 24" in result.stderr


def test_a_resolution_and_several_scales_exclude_each_other(dpt: FrontDoor) -> None:
    miniature.ade20k(dpt.desk)
    options = ("--dataset", "ade20k", dpt.desk, "--resolution", "96")
    assert "encnet" in dpt("eval", "segment", *options, code=2).stderr


@pytest.mark.parametrize("kind", ["grey", "labels", "labels from 0", "npy"])
def test_saved_classes_are_scored_against_each_kind_of_truth(dpt: FrontDoor, kind: str) -> None:
    miniature.write_rgb(dpt.desk / "photos/a.png", 0)
    labels = (np.arange(48 * 64) % 149).astype(np.uint8).reshape(48, 64)
    truth = labels.copy()
    truth[:2], truth[2:4] = 149, 255  # wrong, and without a class
    for folder in ("maps", "truth"):
        (dpt.desk / folder).mkdir()
    dpt_cli.save(LabelMap(labels), "maps/a_labels.png", "labels")
    if kind == "grey":  # as ADE20K ships them; 255 + 1 is its 0
        cv2.imwrite("truth/a.png", truth + np.uint8(1))
    elif kind == "npy":
        np.save("truth/a.npy", truth)
    else:
        base = 0 if kind == "labels from 0" else 1
        dpt_cli.save(LabelMap(truth), "truth/a.png", "labels", label_base=base)
    options = ("photos", "truth", "--predictions", "maps")
    found = evaluated(dpt, *options)["results"][0]
    assert found["num_pixels"] == 46 * 64
    assert found["protocol"] == "single"  # as dpt segment made them
    assert found["measures"]["pixel_accuracy"]["value"] == pytest.approx(100 * 44 / 46)
    assert "saved maps" in dpt("eval", "segment", *options).stdout


def test_numbers_that_are_no_class_are_named(dpt: FrontDoor) -> None:
    miniature.write_rgb(dpt.desk / "photos/a.png", 0)
    for folder in ("maps", "truth"):
        (dpt.desk / folder).mkdir()
    dpt_cli.save(LabelMap(np.zeros((48, 64), np.uint8)), "maps/a_labels.png", "labels")
    cv2.imwrite("truth/a.png", np.full((48, 64), 200, np.uint8))
    error = dpt("eval", "segment", "photos", "truth", "--predictions", "maps", code=1).stderr
    assert "200 is no ADE20K class: expected 1 to 150" in error
