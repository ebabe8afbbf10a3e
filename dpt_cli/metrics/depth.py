"""Errors of depth [m] against the truth, over the pixels that count.

All functions take two arrays of one shape, prediction and truth, both positive and finite, and
return NaN where they are empty. Which pixels count is decided by `valid`.
"""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]


def abs_rel(depth_m: Floats, truth_m: Floats) -> float:
    """Return the mean of |depth - truth| / truth.

    Source: Eigen et al. 2014 (arXiv:1406.2283), §4; MiDaS (arXiv:1907.01341), §6.
    """
    return _mean(np.abs(depth_m - truth_m) / truth_m)


def sq_rel(depth_m: Floats, truth_m: Floats) -> float:
    """Return the mean of (depth - truth)² / truth [m].

    Source: cogaplex-bts/bts, utils/eval_with_pngs.py.
    """
    return _mean((depth_m - truth_m) ** 2 / truth_m)


def rmse(depth_m: Floats, truth_m: Floats) -> float:
    """Return the root of the mean squared error [m].

    Source: Eigen et al. 2014, §4.
    """
    return float(np.sqrt(_mean((depth_m - truth_m) ** 2)))


def rmse_log(depth_m: Floats, truth_m: Floats) -> float:
    """Return the root of the mean squared error of natural logarithms.

    Source: Eigen et al. 2014, §4.
    """
    return float(np.sqrt(_mean((np.log(depth_m) - np.log(truth_m)) ** 2)))


def log10(depth_m: Floats, truth_m: Floats) -> float:
    """Return the mean absolute error of decimal logarithms.

    Source: cogaplex-bts/bts, utils/eval_with_pngs.py.
    """
    return _mean(np.abs(np.log10(depth_m) - np.log10(truth_m)))


def silog(depth_m: Floats, truth_m: Floats) -> float:
    """Return 100 times the standard deviation of the error of natural logarithms.

    Some others weight the mean error by a half instead of one, or leave out the factor of 100.

    Source: KITTI depth benchmark; cogaplex-bts/bts, utils/eval_with_pngs.py.
    """
    if not truth_m.size:
        return float("nan")
    # The variance directly: the difference of two large means would lose digits.
    return float(100 * np.std(np.log(depth_m) - np.log(truth_m), dtype=np.float64))


def within(depth_m: Floats, truth_m: Floats, power: int = 1) -> float:
    """Return the share of pixels with max(depth / truth, truth / depth) < 1.25**power.

    Source: Eigen et al. 2014, §4: δ1, δ2 and δ3 for the powers 1, 2 and 3.
    """
    return _mean(_ratio(depth_m, truth_m) < 1.25**power)


def bad_pixels(depth_m: Floats, truth_m: Floats) -> float:
    """Return the percentage of pixels with max(depth / truth, truth / depth) > 1.25.

    Source: MiDaS (arXiv:1907.01341), §6, δ > 1.25; DPT, table 1.
    """
    return 100 * _mean(_ratio(depth_m, truth_m) > 1.25)


MEASURES: Mapping[str, Callable[[Floats, Floats], float]] = {
    "abs_rel": abs_rel,
    "sq_rel": sq_rel,
    "rmse": rmse,
    "rmse_log": rmse_log,
    "log10": log10,
    "silog": silog,
    "delta1": lambda depth_m, truth_m: within(depth_m, truth_m, 1),
    "delta2": lambda depth_m, truth_m: within(depth_m, truth_m, 2),
    "delta3": lambda depth_m, truth_m: within(depth_m, truth_m, 3),
    "bad_pixels": bad_pixels,
}
"""The measures of single pixels by name."""


def _ratio(depth_m: Floats, truth_m: Floats) -> Floats:
    return np.maximum(depth_m / truth_m, truth_m / depth_m)


def _mean(values: npt.NDArray[np.floating] | npt.NDArray[np.bool_]) -> float:
    return float(np.mean(values, dtype=np.float64)) if values.size else float("nan")
