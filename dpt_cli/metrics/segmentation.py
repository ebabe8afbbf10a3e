"""Accuracy of label maps, from counts that are added up over a whole dataset."""

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]


def confusion(
    labels: npt.NDArray[np.integer], truth: npt.NDArray[np.integer], num_classes: int
) -> Counts:
    """Count the pixels of each pair of true and predicted class.

    Args:
        labels: Predicted classes (H, W), zero-based.
        truth: True classes (H, W), zero-based; what lies outside 0 to num_classes - 1 is unlabelled
            and does not count.
        num_classes: How many classes there are.

    Returns:
        int64 (num_classes, num_classes), rows by truth, columns by prediction.

    Raises:
        ValueError: A prediction is no class.
    """
    wanted = truth.astype(np.int64)
    is_labelled = (wanted >= 0) & (wanted < num_classes)
    predicted = labels[is_labelled].astype(np.int64)
    if predicted.size and not (predicted.min() >= 0 and predicted.max() < num_classes):
        raise ValueError(
            f"a predicted label is outside 0 to {num_classes - 1}: "
            f"{predicted.min()} to {predicted.max()}"
        )
    cells = wanted[is_labelled] * num_classes + predicted
    counts = np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)
    return counts.astype(np.int64)


def pixel_accuracy(counts: Counts) -> float:
    """Return the percentage of labelled pixels whose class is right; NaN where none is labelled.

    Source: zhanghang1989/PyTorch-Encoding, encoding/utils/metrics.py, `batch_pix_accuracy`.
    """
    total = counts.sum()
    return float(100 * np.trace(counts) / total) if total else float("nan")


def class_iou(counts: Counts) -> npt.NDArray[np.float64]:
    """Return the intersection over union of each class [%]; NaN where it is in neither map.

    Source: zhanghang1989/PyTorch-Encoding, encoding/utils/metrics.py, `batch_intersection_union`:
    predictions on unlabelled pixels do not count.
    """
    intersection = np.diag(counts).astype(np.float64)
    union = counts.sum(0) + counts.sum(1) - intersection
    there = union > 0
    iou = np.full(len(counts), np.nan)
    iou[there] = 100 * intersection[there] / union[there]
    return iou


def mean_iou(counts: Counts) -> float:
    """Return the mean of the classes' IoU [%]; NaN where there is none.

    parity: the authors' code counts a class that is in neither map as 0. On ADE20K's 2,000
    pictures all 150 are there, and the two agree.

    Source: zhanghang1989/PyTorch-Encoding, encoding/utils/metrics.py, `get_pixacc_miou`.
    """
    iou = class_iou(counts)
    there = iou[np.isfinite(iou)]
    return float(there.mean()) if there.size else float("nan")
