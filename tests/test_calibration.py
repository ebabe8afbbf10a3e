"""Metres from relative depth: known scale and shift are found again, and nonsense is refused."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import dpt_cli
from dpt_cli import DepthMap
from dpt_cli.errors import CalibrationError

HW = (40, 60)
RNG = np.random.default_rng(seed=0)
SCALE, SHIFT = 0.05, 0.08
_Y, _X = np.mgrid[0 : HW[0], 0 : HW[1]]
# From 1 to 8: depths from 2.1 m to 7.7 m.
INVERSE = (1 + 7 * (_X / HW[1] + _Y / HW[0]) / 2).astype(np.float32)

Points = npt.NDArray[np.float64]


def relative(values: npt.NDArray[np.float32] = INVERSE) -> DepthMap:
    return DepthMap(values, "inverse_depth")


def known(count: int, shift: float = SHIFT, seed: int = 0) -> Points:
    """Return random pixels, the nearest and the farthest among them, with their true distances."""
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, HW[1], count), rng.integers(0, HW[0], count)
    x[:2], y[:2] = (0, HW[1] - 1), (0, HW[0] - 1)
    return np.column_stack([x, y, 1 / (SCALE * INVERSE[y, x].astype(np.float64) + shift)])


@pytest.mark.parametrize("count", [3, 4, 10, 500])
def test_scale_and_shift_are_found_again(count: int) -> None:
    result = dpt_cli.calibrate(relative(), known(count))
    found = result.calibration
    assert found is not None
    # float32 values: relative errors of 1e-7, tenfold by the spread of the points.
    assert (found.scale, found.shift) == pytest.approx((SCALE, SHIFT), rel=1e-5)
    assert (found.method, found.num_points, found.num_outliers) == ("affine", count, 0)
    assert (result.quantity, result.unit) == ("depth", "m")
    assert result.values == pytest.approx(1 / (SCALE * INVERSE + SHIFT), rel=1e-5)
    assert found.error_percent == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize(("count", "wrong"), [(5, 1), (8, 3), (60, 20)])
@pytest.mark.parametrize("factor", [0.1, 10])
@pytest.mark.parametrize("seed", range(3))
def test_wrong_points_do_not_move_the_fit(count: int, wrong: int, factor: float, seed: int) -> None:
    points = known(count, seed=seed)
    points[-wrong:, 2] *= factor
    found = dpt_cli.calibrate(relative(), points).calibration
    assert found is not None
    assert (found.scale, found.shift) == pytest.approx((SCALE, SHIFT), rel=1e-4)
    assert found.num_outliers == wrong


@pytest.mark.parametrize("count", [2, 3])
def test_scale_only_is_kept_where_no_shift_is_needed(count: int) -> None:
    points = known(count, shift=0)
    points[:, 2] *= 1 + 0.02 * np.random.default_rng(1).normal(size=count)
    found = dpt_cli.calibrate(relative(), points).calibration
    assert found is not None
    assert (found.method, found.shift) == ("scale only", 0)
    assert found.scale == pytest.approx(SCALE, rel=0.05)
    assert found.reason


def test_of_four_points_one_may_be_wrong() -> None:
    points = known(4, shift=0)
    points[3, 2] *= 10
    found = dpt_cli.calibrate(relative(), points).calibration
    assert found is not None
    assert (found.method, found.num_outliers) == ("scale only", 1)
    assert found.scale == pytest.approx(SCALE, rel=1e-5)


def test_two_points_that_contradict_one_scale_take_a_shift_whose_error_nobody_knows() -> None:
    found = dpt_cli.calibrate(relative(), known(2, shift=0.4)).calibration
    assert found is not None
    assert (found.scale, found.shift) == pytest.approx((SCALE, 0.4), rel=1e-5)
    assert (found.error_m, found.error_percent, found.error_kind) == (None, None, None)


@pytest.mark.parametrize(
    ("count", "kind"), [(3, "residual"), (4, "leave-one-out"), (101, "20-fold")]
)
def test_the_error_says_how_it_was_measured(count: int, kind: str) -> None:
    found = dpt_cli.calibrate(relative(), known(count)).calibration
    assert found is not None
    assert found.error_kind == kind


def test_the_leave_one_out_error_is_that_of_refitting_without_each_point() -> None:
    points = known(6)
    points[:, 2] *= 1 + 0.03 * RNG.normal(size=6)
    found = dpt_cli.calibrate(relative(), points).calibration
    assert found is not None
    assert found.method == "affine"
    errors = []
    for index, (x, y, metres) in enumerate(points):
        others = dpt_cli.calibrate(relative(), np.delete(points, index, axis=0)).calibration
        assert others is not None
        assert others.method == "affine"
        value = float(INVERSE[int(y), int(x)])
        errors.append(abs(1 / (others.scale * value + others.shift) - metres))
    assert found.error_m == pytest.approx(np.median(errors), rel=1e-6)


def test_points_count_pixels_of_the_photograph_where_the_map_has_another_size() -> None:
    small = DepthMap(INVERSE[::2, ::2], "inverse_depth", dpt_cli.Provenance(photo_hw=HW))
    points = known(6)
    points[:, :2] = points[:, :2] // 2 * 2
    points[:, 2] = 1 / (SCALE * INVERSE[tuple(points[:, 1::-1].astype(int).T)] + SHIFT)
    found = dpt_cli.calibrate(small, points).calibration
    assert found is not None
    assert (found.scale, found.shift) == pytest.approx((SCALE, SHIFT), rel=1e-5)


BEYOND = INVERSE.copy()
BEYOND[:4] = -9  # a tenth of the rows

REFUSED: dict[str, tuple[npt.NDArray[np.float32], Any, str]] = {
    "one point": (INVERSE, [[0, 0, 2]], "two or more"),
    "no points": (INVERSE, np.empty((0, 3)), "two or more"),
    "one depth": (INVERSE, [[0, 0, 2], [59, 39, 2.05]], "one depth"),
    "one value": (np.ones(HW, np.float32), [[0, 0, 2], [59, 39, 4]], "distances differ"),
    "far is near": (INVERSE, [[0, 0, 1], [30, 20, 4], [59, 39, 90], [58, 38, 80]], "farther where"),
    "beyond infinity": (BEYOND, known(5)[known(5)[:, 1] >= 4], "10 % of the pixels"),
    "right of it": (INVERSE, [[60, 0, 2], [0, 0, 4]], "60,0 lies outside"),
    "above it": (INVERSE, [[0, -1, 2], [0, 0, 4]], "0,-1 lies outside"),
    "no distance": (INVERSE, [[0, 0, 0], [59, 39, 4]], "above 0"),
    "not a number": (INVERSE, [[0, 0, np.nan], [59, 39, 4]], "above 0"),
    "no table": (INVERSE, [1, 2, 3], "N, 3"),
    "a hole": (np.full(HW, np.nan, np.float32), known(3), "not finite"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_gives_no_metres_is_refused_with_the_reason(case: str) -> None:
    values, points, reason = REFUSED[case]
    with pytest.raises(CalibrationError, match=reason):
        dpt_cli.calibrate(relative(values), points)


def test_a_metric_map_is_not_calibrated_again() -> None:
    with pytest.raises(CalibrationError, match="already"):
        dpt_cli.calibrate(DepthMap(INVERSE, "depth"), known(3))
