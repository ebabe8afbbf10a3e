"""Segmentation measures against torchmetrics and by hand."""

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from dpt_cli.metrics.segmentation import class_iou, confusion, mean_iou, pixel_accuracy


def test_the_counts_by_hand() -> None:
    labels, truth = np.array([[0, 1, 1, 2]], np.uint8), np.array([[0, 1, 2, 255]])
    counts = confusion(labels, truth, 3)
    assert counts.tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 0]]
    assert pixel_accuracy(counts) == pytest.approx(200 / 3)
    # The prediction of class 2 lies on an unlabelled pixel: it is in no union.
    assert class_iou(counts).tolist() == [100, 50, 0]
    assert mean_iou(counts) == 50


def test_a_class_in_neither_map_does_not_count() -> None:
    counts = confusion(np.array([[0]]), np.array([[0]]), 2)
    assert class_iou(counts)[0] == 100
    assert math.isnan(class_iou(counts)[1])
    assert mean_iou(counts) == 100


def test_without_a_labelled_pixel_there_is_no_number() -> None:
    counts = confusion(np.zeros((2, 2), np.uint8), np.full((2, 2), -1), 4)
    assert math.isnan(pixel_accuracy(counts))
    assert math.isnan(mean_iou(counts))


def test_a_prediction_that_is_no_class_is_an_error() -> None:
    with pytest.raises(ValueError, match="outside 0 to 3"):
        confusion(np.array([[4]]), np.array([[0]]), 4)


def test_measures_are_those_of_torchmetrics(shared_data: Path) -> None:
    from torchmetrics.functional.classification import (
        multiclass_accuracy,
        multiclass_confusion_matrix,
        multiclass_jaccard_index,
    )

    import dpt_cli.model.timm_parts  # noqa: F401  # torchmetrics imports torchvision too

    png = cv2.imread(str(shared_data / "ade20k" / "ADE_val_00000001.png"), cv2.IMREAD_UNCHANGED)
    assert png is not None
    truth = png.astype(np.int64) - 1
    # The truth moved by some pixels: every class is hit and missed somewhere.
    labels = np.roll(np.where(truth < 0, 0, truth), (9, 14), (0, 1)).astype(np.uint8)
    counts = confusion(labels, truth, 150)
    predicted, target = torch.from_numpy(labels.astype(np.int64)), torch.from_numpy(truth)
    expected = multiclass_confusion_matrix(predicted, target, 150, ignore_index=-1)
    np.testing.assert_array_equal(counts, expected.numpy())
    iou = multiclass_jaccard_index(predicted, target, 150, average="none", ignore_index=-1).numpy()
    there = np.isfinite(class_iou(counts))
    # torchmetrics computes in float32.
    np.testing.assert_allclose(class_iou(counts)[there], 100 * iou[there], rtol=1e-6)
    assert mean_iou(counts) == pytest.approx(100 * iou[there].astype(np.float64).mean(), rel=1e-6)
    accuracy = multiclass_accuracy(predicted, target, 150, average="micro", ignore_index=-1)
    assert pixel_accuracy(counts) == pytest.approx(100 * float(accuracy), rel=1e-6)
