"""How sure the difference of two models is, by resampling the pictures it was measured on."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

_NUM_RESAMPLES = 2000
_SEED = 0


def mean_interval(values: npt.NDArray[np.floating], level: float = 0.95) -> tuple[float, float]:
    """Return the percentile bootstrap interval of a mean, always the same for the same values.

    Args:
        values: One number per picture, (N,), such as the difference of two models.
        level: The share of resampled means inside.

    Returns:
        Both ends; NaN where there are fewer than two values.

    Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, §13.3.
    """
    return interval(lambda chosen: float(values[chosen].mean()), len(values), level)


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
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
