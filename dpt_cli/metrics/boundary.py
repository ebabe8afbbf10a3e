"""Boundary F1: whether a depth map jumps where the truth does. Independent of scale."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]

_THRESHOLDS = np.linspace(1.05, 1.25, 10)
_NEAREST_M = 1e-6


def boundary_f1(
    depth_m: Floats, truth_m: Floats, is_valid: npt.NDArray[np.bool_] | None = None
) -> float:
    """Return the F1 of jumps between neighbouring pixels, the mean of ten thresholds.

    A jump is a ratio of inverse depth above the threshold, 1.05 to 1.25. Precision and recall are
    means over its four directions; larger thresholds weigh more, in proportion.

    Args:
        depth_m: Depth (H, W) [m].
        truth_m: Depth (H, W) [m].
        is_valid: Which pixels count, bool (H, W); a pair of neighbours counts where both do. None
            for all, which is the published measure.

    Returns:
        0 to 1; NaN where the truth has no jump at all, so that nothing can be found.

    Source: Depth Pro (arXiv:2410.02073), §3.2; apple/ml-depth-pro, eval/boundary_metrics.py,
    `SI_boundary_F1`.
    """
    predicted = 1 / np.maximum(depth_m, _NEAREST_M)
    wanted = 1 / np.maximum(np.where(np.isfinite(truth_m), truth_m, 1), _NEAREST_M)
    counted = np.ones(truth_m.shape, np.bool_) if is_valid is None else is_valid
    pairs = [
        (_ratios(predicted, axis), _ratios(wanted, axis), _neighbours(counted, axis))
        for axis in (0, 1)
    ]
    if not any(np.any(_jumps(ratio, both, _THRESHOLDS[0])) for _, ratio, both in pairs):
        return float("nan")
    scores = [_f1(pairs, threshold) for threshold in _THRESHOLDS]
    return float(np.average(scores, weights=_THRESHOLDS))


def _f1(pairs: list[tuple[Floats, Floats, npt.NDArray[np.bool_]]], threshold: float) -> float:
    recalls, precisions = [], []
    for predicted, wanted, both in pairs:
        for found, there in zip(
            _jumps(predicted, both, threshold), _jumps(wanted, both, threshold), strict=True
        ):
            num_hits = int(np.count_nonzero(found & there))
            recalls.append(num_hits / max(int(np.count_nonzero(there)), 1))
            precisions.append(num_hits / max(int(np.count_nonzero(found)), 1))
    recall, precision = np.mean(recalls), np.mean(precisions)
    return float(2 * recall * precision / (recall + precision)) if recall + precision else 0.0


def _ratios(values: Floats, axis: int) -> Floats:
    """Return each pixel's value divided by that of the pixel before it."""
    length = values.shape[axis]
    ratio: Floats = values.take(range(1, length), axis) / values.take(range(length - 1), axis)
    return ratio


def _neighbours(counted: npt.NDArray[np.bool_], axis: int) -> npt.NDArray[np.bool_]:
    length = counted.shape[axis]
    return counted.take(range(1, length), axis) & counted.take(range(length - 1), axis)


def _jumps(
    ratio: Floats, both: npt.NDArray[np.bool_], threshold: float
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return where inverse depth jumps up and where it jumps down."""
    return (ratio > threshold) & both, (1 / ratio > threshold) & both
