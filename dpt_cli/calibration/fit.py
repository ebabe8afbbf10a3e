"""The fit of `1 / z = scale * d + shift` to known distances, and the map it gives.

z is depth [m] and d is relative inverse depth. Networks trained on relative depth leave scale and
shift open, and both differ from photograph to photograph (Ranftl et al., arXiv:1907.01341, §5).
"""

from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from dpt_cli.errors import CalibrationError
from dpt_cli.maps import Calibration, DepthMap

Values = npt.NDArray[np.float64]
Method = Literal["affine", "scale only"]

# Distances closer together than this say little: an error of 1 % at each end would change the
# slope by 40 %.
_MIN_SPREAD = 0.05
# Three points cannot outvote one that is wrong.
_MIN_ROBUST = 4
# A line through two points cannot be tested. Scale alone can, and is kept up to this error.
_MAX_TWO_POINT_ERROR_PERCENT = 50.0
# Up to this many points are held out one by one; of more, at most so many in so many parts.
_MAX_ONE_BY_ONE, _MAX_HELD_OUT, _NUM_PARTS = 100, 2000, 20
# The starting line runs through two of this many points.
_MAX_STARTING = 30
# Tukey's biweight at 95 % efficiency, and the factor from a median error to a standard deviation.
_TUKEY, _SIGMA_PER_MEDIAN = 4.685, 1.4826
# The smallest deviation assumed, as a share of the inverse depth: few people measure better.
_MIN_SIGMA = 0.01


class _Line(NamedTuple):
    """A fit, and how many of its points got no weight."""

    scale: float
    shift: float
    num_outliers: int = 0


class _Errors(NamedTuple):
    """Medians of the absolute errors [m, %]."""

    metres: float
    percent: float


def calibrate(depth_map: DepthMap, points: npt.ArrayLike) -> DepthMap:
    """Turn a relative depth map into metres.

    Args:
        depth_map: Relative inverse depth.
        points: What is known, (N, 3): column and row in the upright photograph, of which the top
            left pixel is 0, 0; depth along the camera's axis [m].

    Returns:
        The map in metres; its `calibration` holds the fit and its error.

    Raises:
        CalibrationError: The map is metric, a point lies outside the photograph, or no fit is
            possible; see `fit`.
    """
    if depth_map.is_metric:
        raise CalibrationError("the map is in metres already; only relative depth is calibrated")
    table = np.asarray(points, np.float64)
    if table.ndim != 2 or table.shape[1] != 3:
        raise CalibrationError(f"expected points as (N, 3): x, y, metres; got {table.shape}")
    if not np.isfinite(table[:, :2]).all():
        raise CalibrationError("a known point has a column or a row that is no number")
    height, width = depth_map.provenance.photo_hw or depth_map.values.shape
    columns, rows = np.floor(table[:, :2]).astype(np.intp).T
    outside = (columns < 0) | (columns >= width) | (rows < 0) | (rows >= height)
    if outside.any():
        first = int(outside.argmax())
        raise CalibrationError(
            f"the point {columns[first]},{rows[first]} lies outside the upright photograph: "
            f"x runs from 0 to {width - 1}, y from 0 to {height - 1}"
        )
    map_height, map_width = depth_map.values.shape
    known = depth_map.values[
        (2 * rows + 1) * map_height // (2 * height), (2 * columns + 1) * map_width // (2 * width)
    ]
    found = fit(known, table[:, 2], depth_map.values)
    metres = np.float32(1) / _inverse_depth(depth_map.values, found.scale, found.shift)
    result = replace(depth_map, values=metres, quantity="depth", calibration=found)
    if depth_map.rounded_to is None or result.span is None:
        return result
    # 1/z = s * d + t, so a step of d is z**2 * s of them in z.
    return replace(result, rounded_to=depth_map.rounded_to * found.scale * result.span[1] ** 2)


def fit(
    inverse_depth: npt.ArrayLike, distance_m: npt.ArrayLike, everywhere: npt.NDArray[np.float32]
) -> Calibration:
    """Return the better of two fits to known distances: scale and shift, or scale only.

    Both minimise errors in inverse depth, where a network errs alike near and far, and both are
    robust from four points on. A fit that puts pixels of the map at infinity or beyond is ruled
    out; of two possible ones the smaller held-out error decides.

    Args:
        inverse_depth: The map's values at the points, (N,).
        distance_m: The depth there, (N,) [m].
        everywhere: The whole map.

    Raises:
        CalibrationError: Fewer than two points, a distance that is no positive number, points at
            one depth, points that are farther where the map is nearer, or both fits are ruled out.
    """
    values = np.asarray(inverse_depth, np.float64).ravel()
    distance = np.asarray(distance_m, np.float64).ravel()
    _check_points(values, distance)
    methods: tuple[Method, Method] = ("affine", "scale only")
    lines = {method: _fitted(values, 1 / distance, method) for method in methods}
    if min(line.scale for line in lines.values()) <= 0:
        raise CalibrationError(
            f"the {values.size} known points are farther where the map is nearer; check that each "
            "is X,Y, column before row, of the upright photograph"
        )
    ruled_out = {m: why for m, line in lines.items() if (why := _objection(line, everywhere))}
    if len(ruled_out) == len(lines):
        reasons = "; ".join(f"{method}: {why}" for method, why in ruled_out.items())
        raise CalibrationError(
            f"{values.size} known distances do not fit the map ({reasons}); check them, or add one "
            "in the farthest part of the picture"
        )
    errors = {m: _held_out_errors(values, distance, m) for m in lines if m not in ruled_out}
    method, reason = _better(errors, ruled_out)
    held_out = errors[method]
    if held_out is not None and not np.isfinite(held_out.percent):
        raise CalibrationError(
            f"the {values.size} known distances contradict one another: a fit to all except one "
            "puts the others at infinity; check them, or add more"
        )
    line, error = lines[method], held_out
    kind: Literal["leave-one-out", "20-fold", "residual"] | None
    kind = "leave-one-out" if values.size <= _MAX_ONE_BY_ONE else "20-fold"
    if values.size < _MIN_ROBUST:
        kind, error = "residual", _errors(_depth_m(values, line), distance)
        if values.size == 2 and method == "affine":
            kind = error = None
    return Calibration(
        scale=line.scale,
        shift=line.shift,
        num_points=values.size,
        error_m=error and error.metres,
        error_percent=error and error.percent,
        error_kind=kind,
        method=method,
        reason=reason,
        num_outliers=line.num_outliers,
    )


def _check_points(values: Values, distance: Values) -> None:
    if values.size != distance.size:
        raise CalibrationError(f"{values.size} points, but {distance.size} distances")
    bad = ~(np.isfinite(distance) & (distance > 0))
    if bad.any():
        raise CalibrationError(f"a known distance is {distance[bad][0]} m; it must be above 0")
    if not np.isfinite(values).all():
        raise CalibrationError("the map is not finite at a known point")
    if values.size < 2:
        raise CalibrationError(
            f"{'only one' if values.size else 'no'} distance was given: give at least two, one "
            "near and one far"
        )
    if distance.max() < (1 + _MIN_SPREAD) * distance.min():
        ends = dict.fromkeys(f"{end:.4g}" for end in (distance.min(), distance.max()))
        raise CalibrationError(
            f"all known points are {' to '.join(ends)} m away: add one that is much nearer or "
            "farther"
        )
    if values.max() == values.min():
        raise CalibrationError(
            f"the map is {values[0]:.6g} at all {values.size} known points, although their "
            "distances differ; add points elsewhere"
        )


def _objection(line: _Line, everywhere: npt.NDArray[np.float32]) -> str | None:
    """Return why a fit is ruled out, None where it is not."""
    beyond = _inverse_depth(everywhere, line.scale, line.shift) <= 0
    share = np.count_nonzero(beyond) / max(everywhere.size, 1)
    if not share:
        return None
    return f"{100 * share:.3g} % of the pixels would lie at infinity or behind the camera"


def _better(
    errors: dict[Method, _Errors | None], ruled_out: dict[Method, str]
) -> tuple[Method, str]:
    """Return the method to keep of those that are possible, and why."""
    for other, why in ruled_out.items():
        return next(iter(errors)), (
            f"fitted a scale without a shift: with a shift, {why}"
            if other == "affine"
            else f"fitted a scale and a shift: without a shift, {why}"
        )
    affine, scale_only = errors["affine"], errors["scale only"]
    assert scale_only is not None
    if affine is None:
        if scale_only.percent <= _MAX_TWO_POINT_ERROR_PERCENT:
            return "scale only", "two points fix only a scale: add a third to do better"
        return "affine", (
            "fitted a scale and a shift: without a shift, each of the two points predicts the "
            f"other with an error of {scale_only.percent:.3g} %"
        )
    if affine.percent <= scale_only.percent:
        return "affine", (
            f"fitted a scale and a shift (held-out error {affine.percent:.3g} %, without a shift "
            f"{scale_only.percent:.3g} %)"
        )
    return "scale only", (
        f"fitted a scale without a shift (held-out error {scale_only.percent:.3g} %, with a shift "
        f"{affine.percent:.3g} %)"
    )


def _held_out_errors(values: Values, distance: Values, method: Method) -> _Errors | None:
    """Return the errors at points that the fit did not see; None where none can be left out."""
    if values.size == 2 and method == "affine":
        return None
    if values.size > _MAX_ONE_BY_ONE:
        some = np.linspace(0, values.size - 1, min(values.size, _MAX_HELD_OUT)).astype(np.intp)
        values, distance = values[some], distance[some]
    parts = np.arange(values.size)
    if values.size > _MAX_ONE_BY_ONE:
        parts %= _NUM_PARTS
    predicted = np.empty_like(distance)
    for part in range(int(parts.max()) + 1):
        seen = parts != part
        line = _fitted(values[seen], 1 / distance[seen], method)
        predicted[~seen] = _depth_m(values[~seen], line)
    return _errors(predicted, distance)


def _errors(predicted: Values, distance: Values) -> _Errors:
    error = np.abs(predicted - distance)
    return _Errors(float(np.median(error)), float(100 * np.median(error / distance)))


def _depth_m(values: Values, line: _Line) -> Values:
    """Return z, infinite where the line does not reach."""
    inverse = line.scale * values + line.shift
    return np.divide(1, inverse, out=np.full_like(inverse, np.inf), where=inverse > 0)


def _inverse_depth(
    values: npt.NDArray[np.float32], scale: float, shift: float
) -> npt.NDArray[np.float32]:
    inverse: npt.NDArray[np.float32] = np.float32(scale) * values + np.float32(shift)
    return inverse


def _fitted(values: Values, inverse: Values, method: Method) -> _Line:
    """Fit by least squares; from four points on by an MM-estimate, which outliers do not move.

    It starts from the line that leaves the smallest residuals to just over half of the points, of
    all lines through two of them (least trimmed squares: it holds with nearly half of the points
    wrong), and refines it by weights that fall to zero as residuals grow (Tukey's biweight: without
    outliers it loses little to least squares). docs/calibration.md compares it with others.
    """
    weights = np.ones_like(values)
    if values.size < _MIN_ROBUST:
        return _Line(*_least_squares(values, inverse, weights, method))
    line, sigma = _starting_line(values, inverse, method)
    for _ in range(50):
        residuals = np.abs(line[0] * values + line[1] - inverse)
        weights = np.maximum(1 - (residuals / (_TUKEY * sigma)) ** 2, 0) ** 2
        before, line = line, _least_squares(values, inverse, weights, method)
        if np.allclose(before, line, rtol=1e-12, atol=0):
            break
    return _Line(*line, num_outliers=int(np.count_nonzero(weights == 0)))


def _starting_line(
    values: Values, inverse: Values, method: Method
) -> tuple[tuple[float, float], float]:
    """Return a line that fits most points, and the deviation from it of those that it fits."""
    order = np.argsort(values, kind="stable")
    some = order[np.linspace(0, values.size - 1, min(values.size, _MAX_STARTING)).astype(np.intp)]
    x, y = values[some], inverse[some]
    if method == "affine":
        first, second = np.triu_indices(some.size, k=1)
        differ = x[second] > x[first]
        first, second = first[differ], second[differ]
        if not first.size:
            return _least_squares(values, inverse, np.ones_like(values), method), 1.0
        scales = (y[second] - y[first]) / (x[second] - x[first])
        shifts = y[first] - scales * x[first]
    else:
        scales = y[x > 0] / x[x > 0]
        shifts = np.zeros_like(scales)
        if not scales.size:
            return (0.0, 0.0), 1.0
    residuals = np.sort(np.abs(scales[:, None] * x + shifts[:, None] - y), axis=1)
    num_fitted = some.size // 2 + 1
    best = int((residuals[:, :num_fitted] ** 2).sum(1).argmin())
    # Twice the usual factor: the line was chosen for small residuals, and few are left to judge by.
    median = residuals[best, num_fitted - 1]
    sigma = max(2 * _SIGMA_PER_MEDIAN * median, _MIN_SIGMA * np.median(inverse))
    return (float(scales[best]), float(shifts[best])), float(sigma)


def _least_squares(
    values: Values, inverse: Values, weights: Values, method: Method
) -> tuple[float, float]:
    """Return scale and shift that minimise the weighted squares of the residuals."""
    x, y = values, inverse
    total = weights.sum()
    if method == "affine" and total > 0:
        x, y = x - weights @ x / total, y - weights @ y / total
    spread = weights @ (x * x)
    scale = float(weights @ (x * y) / spread) if spread > 0 else 0.0
    shift = float(weights @ (inverse - scale * values) / total) if total > 0 else 0.0
    return scale, shift if method == "affine" else 0.0
