"""Depth measures against torchmetrics, SciPy and scikit-image, and against sums done by hand."""

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import scipy.stats
import skimage.metrics
import torch

from dpt_cli.metrics.alignment import align, fit_median, fit_scale, fit_scale_and_shift
from dpt_cli.metrics.bootstrap import mean_interval
from dpt_cli.metrics.boundary import boundary_f1
from dpt_cli.metrics.depth import MEASURES
from dpt_cli.metrics.ordinal import whdr
from dpt_cli.metrics.protocol import CROPS
from dpt_cli.metrics.valid import crop_slices, valid_pixels
from front_door import pixels

Floats = npt.NDArray[np.float64]
# Both sides compute in float64, in another order.
TOLERANCE = 1e-9


def of(*values: float) -> Floats:
    return np.array(values, np.float64)


@pytest.fixture(scope="module")
def measured(shared_data: Path) -> list[tuple[Floats, Floats]]:
    """Return pairs of depth [m] measured of the same scene at two moments: a crude prediction."""
    folder = shared_data / "depth_gt" / "slambook2_ch5"
    maps = [pixels(folder / f"depth{i}.pgm")[::3, ::3] / 1000 for i in range(1, 6)]
    pairs = []
    for depth, truth in zip(maps[1:], maps[:-1], strict=True):
        both = (depth > 0) & (truth > 0)
        pairs.append((depth[both], truth[both]))
    return pairs


# Truth 1, 2 and 4 m; predictions 1.2, 2 and 2 m: ratios 1.2, 1 and 2.
BY_HAND = {
    "abs_rel": (0.2 + 0 + 0.5) / 3,
    "sq_rel": (0.04 + 0 + 1) / 3,
    "rmse": math.sqrt((0.04 + 0 + 4) / 3),
    "rmse_log": math.sqrt((math.log(1.2) ** 2 + math.log(2) ** 2) / 3),
    "log10": (math.log10(1.2) + math.log10(2)) / 3,
    "silog": 100
    * math.sqrt(
        (math.log(1.2) ** 2 + math.log(2) ** 2) / 3 - ((math.log(1.2) - math.log(2)) / 3) ** 2
    ),
    "delta1": 2 / 3,
    "delta2": 2 / 3,
    "delta3": 2 / 3,
    "bad_pixels": 100 / 3,
}


@pytest.mark.parametrize("name", MEASURES)
def test_each_measure_by_hand(name: str) -> None:
    assert MEASURES[name](of(1.2, 2, 2), of(1, 2, 4)) == pytest.approx(BY_HAND[name], abs=TOLERANCE)


def test_a_ratio_of_exactly_the_threshold_is_neither_within_nor_bad() -> None:
    assert MEASURES["delta1"](of(1.25), of(1)) == 0
    assert MEASURES["bad_pixels"](of(1.25), of(1)) == 0


@pytest.mark.parametrize("name", MEASURES)
def test_no_pixel_gives_no_number(name: str) -> None:
    assert math.isnan(MEASURES[name](of(), of()))


def test_the_truth_itself_has_no_error(measured: list[tuple[Floats, Floats]]) -> None:
    truth = measured[0][1]
    perfect = {"delta1": 1, "delta2": 1, "delta3": 1}
    assert {name: measure(truth, truth) for name, measure in MEASURES.items()} == {
        name: perfect.get(name, 0) for name in MEASURES
    }


def test_measures_are_those_of_other_packages(measured: list[tuple[Floats, Floats]]) -> None:
    from torchmetrics.functional import mean_absolute_percentage_error, mean_squared_error

    import dpt_cli.model.timm_parts  # noqa: F401  # torchmetrics imports torchvision too

    for depth, truth in measured:
        depth_t, truth_t = torch.from_numpy(depth), torch.from_numpy(truth)
        error = np.log(depth) - np.log(truth)
        expected = {
            "abs_rel": float(mean_absolute_percentage_error(depth_t, truth_t)),
            "rmse": float(mean_squared_error(depth_t, truth_t, squared=False)),
            "rmse_log": math.sqrt(skimage.metrics.mean_squared_error(np.log(truth), np.log(depth))),
            "log10": scipy.stats.describe(np.abs(error)).mean / math.log(10),
            "silog": 100 * math.sqrt(scipy.stats.moment(error, order=2)),
            "delta1": scipy.stats.percentileofscore(np.exp(np.abs(error)), 1.25, "strict") / 100,
            "delta3": scipy.stats.percentileofscore(np.exp(np.abs(error)), 1.25**3, "strict") / 100,
        }
        found = {name: MEASURES[name](depth, truth) for name in expected}
        assert found == pytest.approx(expected, abs=1e-6)


def test_scale_and_shift_are_those_of_linear_regression(
    measured: list[tuple[Floats, Floats]],
) -> None:
    for depth, truth in measured:
        fit = fit_scale_and_shift(1 / depth, 1 / truth)
        line = scipy.stats.linregress(1 / depth, 1 / truth)
        assert (fit.scale, fit.shift) == pytest.approx((line.slope, line.intercept), abs=TOLERANCE)


def test_the_scale_alone_is_that_of_least_squares(measured: list[tuple[Floats, Floats]]) -> None:
    for depth, truth in measured:
        (scale,), *_ = np.linalg.lstsq((1 / depth)[:, None], 1 / truth, rcond=None)
        assert fit_scale(1 / depth, 1 / truth).scale == pytest.approx(scale, abs=TOLERANCE)


def test_the_median_scale_is_the_ratio_of_the_medians() -> None:
    assert fit_median(of(1, 2, 9), of(2, 4, 5)).scale == 2


@pytest.mark.parametrize("value", [0.1, 1 / 3, 12345.678])
def test_a_flat_prediction_has_no_positive_scale(value: float) -> None:
    fit = fit_scale_and_shift(np.full(1001, value), np.linspace(1, 2, 1001))
    assert (fit.scale, fit.is_positive) == (0, False)
    assert fit.shift == pytest.approx(1.5)


def test_a_map_turned_round_has_a_negative_scale() -> None:
    fit = fit_scale_and_shift(of(1, 2, 3), of(3, 2, 1))
    assert fit.scale == pytest.approx(-1)
    assert not fit.is_positive


def test_no_pixel_gives_no_fit() -> None:
    for fit in (fit_scale_and_shift(of(), of()), fit_scale(of(), of()), fit_median(of(), of())):
        assert math.isnan(fit.scale)
        assert not fit.is_positive


TRUTH = np.array([[1.0, 2.0, 4.0, np.nan]])
ALL = np.array([[True, True, True, False]])


@pytest.mark.parametrize(
    ("inverse_depth", "alignment", "expected"),
    [
        # Twice the truth's inverse depth, and shifted by 3: the fit undoes both.
        ([5.0, 4.0, 3.5, 3.25], "inverse-depth", [1, 2, 4, 8]),
        ([2.0, 1.0, 0.5, 0.25], "scale", [1, 2, 4, 8]),
        # Depths 3, 6, 12: the ratio of medians is 2 / 6.
        ([1 / 3, 1 / 6, 1 / 12, 1 / 24], "median", [1, 2, 4, 8]),
        ([1.0, 0.5, 0.2, 0.1], "none", [1, 2, 5, 10]),
        # At and behind infinity: at the cap. Nearer than the least depth: there.
        ([200.0, 0.5, 0.0, -1.0], "none", [0.1, 2, 10, 10]),
    ],
)
def test_alignments_by_hand(
    inverse_depth: list[float], alignment: str, expected: list[float]
) -> None:
    aligned, fit = align(np.array([inverse_depth]), TRUTH, ALL, alignment, min_m=0.1, max_m=10)  # type: ignore[arg-type]  # from a table
    assert fit.is_positive
    np.testing.assert_allclose(aligned, [expected], rtol=1e-12)


def test_the_cap_holds_after_the_fit() -> None:
    aligned, _ = align(np.array([[5.0, 4.0, 3.5, 3.01]]), TRUTH, ALL, "inverse-depth", max_m=10)
    assert aligned[0, 3] == 10


@pytest.mark.parametrize(
    ("crop", "hw", "expected"),
    [
        ("none", (375, 1242), (0, 375, 0, 1242)),
        ("garg", (375, 1242), (153, 371, 44, 1197)),
        ("eigen-kitti", (375, 1242), (124, 342, 44, 1197)),
        ("eigen-nyu", (480, 640), (45, 471, 41, 601)),
        ("kitti-benchmark", (375, 1242), (23, 375, 13, 1229)),
        ("kitti-benchmark", (352, 1216), (0, 352, 0, 1216)),
    ],
)
def test_crops_by_hand(crop: str, hw: tuple[int, int], expected: tuple[int, ...]) -> None:
    rows, columns = crop_slices(crop, hw)  # type: ignore[arg-type]  # from a table
    assert (rows.start, rows.stop, columns.start, columns.stop) == expected


@pytest.mark.parametrize(
    ("crop", "hw"), [("eigen-nyu", (240, 320)), ("kitti-benchmark", (351, 1300))]
)
def test_a_crop_that_does_not_fit_is_an_error(crop: str, hw: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="by"):
        crop_slices(crop, hw)  # type: ignore[arg-type]  # from a table


def test_every_crop_name_is_a_crop() -> None:
    assert all(crop_slices(crop, (480, 640))[0].stop > 0 for crop in CROPS if "kitti-" not in crop)


def test_limits_and_what_is_no_measurement_do_not_count() -> None:
    truth = np.array([[-1.0, 0.0, np.nan, np.inf, 0.5, 1.0, 9.99, 10.0]])
    assert valid_pixels(truth, min_m=0.5, max_m=10).tolist() == [[False] * 5 + [True, True, False]]
    assert not valid_pixels(np.zeros((4, 4))).any()


def test_the_crop_limits_what_counts() -> None:
    counted = valid_pixels(np.ones((480, 640)), crop="eigen-nyu")
    assert counted.sum() == (471 - 45) * (601 - 41)
    assert counted[45, 41]
    assert not counted[44, 41]


# One jump, of a factor of 2, between the second and the third column.
STEP = np.array([[1.0, 1.0, 2.0, 2.0]] * 3)


def test_the_boundary_score_by_hand() -> None:
    # The truth jumps in one direction of four: the means over directions are a quarter.
    assert boundary_f1(STEP, STEP) == pytest.approx(0.25)
    assert boundary_f1(7 * STEP, STEP) == pytest.approx(0.25)
    # One column off: nothing is found.
    assert boundary_f1(np.roll(STEP, 1, axis=1)[:, :3], STEP[:, :3]) == 0
    assert boundary_f1(np.ones_like(STEP), STEP) == 0


def test_jumps_beside_unmeasured_pixels_do_not_count() -> None:
    holes = np.ones(STEP.shape, bool)
    holes[:, 2] = False
    assert math.isnan(boundary_f1(STEP, np.where(holes, STEP, np.nan), holes))


def test_without_a_jump_in_the_truth_there_is_no_score() -> None:
    assert math.isnan(boundary_f1(STEP, np.ones_like(STEP)))


@pytest.mark.parametrize(
    ("a", "b", "is_a_nearer", "expected"),
    [
        ([2, 1], [1, 2], [True, False], 0),
        ([2, 1], [1, 2], [True, True], 0.5),
        ([1, 1], [1, 1], [True, False], 1),  # a tie is wrong
    ],
)
def test_whdr_by_hand(
    a: list[float], b: list[float], is_a_nearer: list[bool], expected: float
) -> None:
    assert whdr(of(*a), of(*b), np.array(is_a_nearer)) == expected


def test_pairs_may_weigh_differently_and_none_give_no_number() -> None:
    assert whdr(of(2, 1), of(1, 2), np.array([True, True]), of(3, 1)) == 0.25
    assert math.isnan(whdr(of(), of(), np.array([], bool)))


def test_the_interval_of_a_mean_is_that_of_scipys_bootstrap() -> None:
    values = np.random.default_rng(1).normal(0.3, 2, 200)
    low, high = mean_interval(values)
    expected = scipy.stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=2000, rng=np.random.default_rng(2)
    ).confidence_interval
    # Other resamples: their ends scatter by about a twentieth of the interval's width.
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=0.05 * (high - low))
    assert mean_interval(values) == (low, high)
    assert all(map(math.isnan, mean_interval(values[:1])))
