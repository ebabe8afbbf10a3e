"""Drift equals calculations by hand."""

import math

import numpy as np
import numpy.typing as npt
import pytest

from dpt_cli.maps import DepthMap, LabelMap
from dpt_cli.metrics.drift import FARTHEST, absrel, aligned_absrel, changed_pixels, mean_drift

Values = npt.NDArray[np.float32]


def grid(*values: float) -> Values:
    return np.array([values], np.float32)


def test_absrel_by_hand() -> None:
    # The mean of a half, nothing and a quarter.
    assert absrel(grid(3, 4, 6), grid(2, 4, 8)) == pytest.approx(0.25)


def test_absrel_counts_only_pixels_with_a_reference() -> None:
    assert absrel(grid(3, 4, 9, 9), grid(2, 4, 0, -1)) == pytest.approx(0.25)


def test_the_aligned_absrel_by_hand() -> None:
    # Values 0, 1, 2 onto 1, 1, 4: the line of least squares is 0.5 + 1.5 x, so 0.5, 2 and 3.5.
    # In depth |1/a - 1/t| / (1/t) = |t - a| / a: 0.5/0.5, 1/2 and 0.5/3.5. All are nearer than
    # twenty times the nearest: inverse depths above 4 / 20.
    assert FARTHEST == 20
    expected = (1 + 0.5 + 1 / 7) / 3
    assert aligned_absrel(grid(0, 1, 2), grid(1, 1, 4)) == pytest.approx(expected)


def test_depth_ends_at_twenty_times_the_nearest() -> None:
    # The line is nearly the identity; inverse depths 0.01 and 0.02 lie beyond 20 / 20.
    values, reference = grid(20, 10, 0.02, 0.01), grid(20, 10, 0.01, 0.02)
    assert aligned_absrel(values, reference) == pytest.approx(0, abs=1e-5)
    # One pixel within the limit, and one that the line puts beyond every depth.
    values, reference = grid(20, 10, 15, 5, 3, -5), grid(20, 10, 15, 5, 0, 0)
    line = np.polyval(np.polyfit(values[0], reference[0], 1), values[0])
    assert line.min() < 0
    with np.errstate(divide="ignore"):
        depth = np.where(line > 0, np.minimum(1 / line, 20 / 20), 1)
        reference_depth = np.minimum(1 / reference[0], 20 / 20)
    expected = np.mean(np.abs(depth - reference_depth) / reference_depth)
    assert aligned_absrel(values, reference) == pytest.approx(expected)


@pytest.mark.parametrize(("scale", "shift"), [(1, 0), (3, 0), (0.1, 7), (1000, -5)])
def test_scale_and_shift_are_no_drift(scale: float, shift: float) -> None:
    reference = np.random.default_rng(0).uniform(0.1, 2, (30, 40)).astype(np.float32)
    # float32 rounds the values by 1e-7 of their size, and more after the shift.
    drift = aligned_absrel(reference * np.float32(scale) + np.float32(shift), reference)
    assert drift == pytest.approx(0, abs=1e-4)


def test_the_same_is_exactly_zero() -> None:
    reference = np.random.default_rng(0).uniform(0, 2, (30, 40)).astype(np.float32)
    assert aligned_absrel(reference, reference.copy()) == 0
    assert absrel(reference, reference.copy()) == 0


def test_the_fit_is_that_of_least_squares() -> None:
    random = np.random.default_rng(0)
    reference = random.uniform(0.5, 2, (30, 40))
    values = 3 * reference + random.normal(0, 0.2, (30, 40))
    columns = np.stack([values.ravel(), np.ones(values.size)], axis=1)
    (scale, shift), *_ = np.linalg.lstsq(columns, reference.ravel(), rcond=None)
    depth, reference_depth = 1 / (scale * values + shift), 1 / reference
    expected = np.mean(np.abs(depth - reference_depth) / reference_depth)
    assert aligned_absrel(values, reference) == pytest.approx(expected)


def test_a_constant_result_lies_at_the_mean() -> None:
    # Aligned to 2 everywhere: |1 - 2| / 2 and |3 - 2| / 2.
    assert aligned_absrel(grid(7, 7), grid(1, 3)) == pytest.approx(0.5)


def test_without_a_reference_there_is_no_number() -> None:
    assert math.isnan(aligned_absrel(grid(1, 2), grid(0, 0)))
    assert math.isnan(absrel(grid(1, 2), grid(0, 0)))


def test_changed_pixels_by_hand() -> None:
    labels = np.array([[0, 1, 2, 3]], np.uint8)
    assert changed_pixels(labels, np.array([[0, 1, 2, 149]], np.uint8)) == 0.25


def test_each_kind_of_map_has_its_measure_and_photographs_count_alike() -> None:
    def metric(*values: float) -> DepthMap:
        return DepthMap(grid(*values), "depth")

    def relative(*values: float) -> DepthMap:
        return DepthMap(grid(*values), "inverse_depth")

    def labels(*values: int) -> LabelMap:
        return LabelMap(np.array([values], np.uint8))

    assert mean_drift([metric(3)], [metric(2)]) == pytest.approx(0.5)
    assert mean_drift([relative(4, 6)], [relative(2, 3)]) == pytest.approx(0)
    assert mean_drift([labels(1, 2)], [labels(1, 3)]) == 0.5
    # One pixel, and two.
    assert mean_drift([metric(3), metric(2, 2)], [metric(2), metric(2, 2)]) == pytest.approx(0.25)
    with pytest.raises(TypeError):
        mean_drift([metric(3)], [labels(1)])
