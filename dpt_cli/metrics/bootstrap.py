"""How sure the difference of two models is, by resampling the pictures it was measured on."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

_NUM_RESAMPLES = 2000
_SEED = 0
_MAX_AT_ONCE = 2**20  # numbers, so that memory does not grow with the pictures


def mean_interval(values: npt.NDArray[np.floating], level: float = 0.95) -> tuple[float, float]:
    """Return the percentile bootstrap interval of a mean, always the same for the same values.

    Args:
        values: One number per picture, (N,), such as the difference of two models.
        level: The share of resampled means inside.

    Returns:
        Both ends; NaN where there are fewer than two values.

    Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, §13.3.
    """
    num_pictures = len(values)
    if num_pictures < 2:
        return float("nan"), float("nan")
    random = np.random.default_rng(_SEED)
    rows = max(1, _MAX_AT_ONCE // num_pictures)
    means: list[npt.NDArray[np.floating]] = []
    for start in range(0, _NUM_RESAMPLES, rows):
        size = min(rows, _NUM_RESAMPLES - start), num_pictures
        means.append(values[random.integers(0, num_pictures, size)].mean(1))
    return _ends(np.concatenate(means), level)


def interval(
    statistic: Callable[[npt.NDArray[np.intp]], float], num_pictures: int, level: float = 0.95
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of any statistic of a set of pictures.

    Args:
        statistic: Gets the pictures of a resample by index, some of them several times.
        num_pictures: How many pictures there are.
        level: The share of resampled statistics inside.
    """
    if num_pictures < 2:
        return float("nan"), float("nan")
    random = np.random.default_rng(_SEED)
    found = [
        statistic(random.integers(0, num_pictures, num_pictures)) for _ in range(_NUM_RESAMPLES)
    ]
    return _ends(np.array(found), level)


def _ends(found: npt.NDArray[np.floating], level: float) -> tuple[float, float]:
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
