"""Scale and shift that a prediction is given before its errors count."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dpt_cli.metrics.protocol import Alignment

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Fit:
    """aligned = scale * value + shift."""

    scale: float
    shift: float = 0.0

    @property
    def is_positive(self) -> bool:
        """Whether the fit keeps near pixels near.

        A scale of zero or less turns the map round or flattens it. The errors after such a fit may
        look good and mean nothing.
        """
        return self.scale > 0

    def __call__(self, values: Floats) -> npt.NDArray[np.float64]:
        """Return the aligned values."""
        aligned: npt.NDArray[np.float64] = self.scale * values.astype(np.float64) + self.shift
        return aligned


def fit_scale_and_shift(values: Floats, target: Floats) -> Fit:
    """Return the scale and shift of least squares.

    Where all values are equal, the scale is 0 and the shift the target's mean.

    Args:
        values: The pixels that count, any shape.
        target: The same pixels of the truth.

    Returns:
        NaN for both where no pixel counts.

    Source: MiDaS (arXiv:1907.01341), §5, eq. 2 to 4.
    """
    if not values.size:
        return Fit(float("nan"), float("nan"))
    # parity: the authors solve the normal equations of the raw sums, which gives the same line.
    # About the means it loses fewer digits, and equal values are exactly a variance of zero.
    centred = values.astype(np.float64).ravel()
    wanted = target.astype(np.float64).ravel()
    mean, target_mean = centred.mean(), wanted.mean()
    centred -= mean
    variance = float(centred @ centred)
    # What rounding the mean leaves of equal values is no variance.
    is_flat = variance <= values.size * (1e-12 * abs(mean)) ** 2
    scale = 0.0 if is_flat else float(centred @ (wanted - target_mean)) / variance
    return Fit(scale, float(target_mean - scale * mean))


def fit_scale(values: Floats, target: Floats) -> Fit:
    """Return the scale of least squares, without a shift; 0 where all values are 0.

    Returns:
        NaN where no pixel counts.
    """
    if not values.size:
        return Fit(float("nan"))
    flat = values.astype(np.float64).ravel()
    power = float(flat @ flat)
    return Fit(float(flat @ target.astype(np.float64).ravel()) / power if power > 0 else 0.0)


def fit_median(depth_m: Floats, truth_m: Floats) -> Fit:
    """Return the ratio of the medians, the scale of depth.

    Returns:
        NaN where no pixel counts.

    Source: Zhou et al. 2017 (arXiv:1704.07813), §4.1.
    """
    if not depth_m.size:
        return Fit(float("nan"))
    return Fit(float(np.median(truth_m) / np.median(depth_m)))


def align(
    inverse_depth: Floats,
    truth_m: Floats,
    is_valid: npt.NDArray[np.bool_],
    alignment: Alignment,
    *,
    min_m: float = 0.0,
    max_m: float,
) -> tuple[npt.NDArray[np.float64], Fit]:
    """Align a prediction with the truth and return it in metres.

    - `inverse-depth`: scale and shift by least squares in inverse depth.
    - `scale`: the scale alone by least squares in inverse depth.
    - `median`: the ratio of the medians of depth.
    - `none`: as it is.

    Args:
        inverse_depth: Prediction (H, W): relative, or [1/m].
        truth_m: Depth (H, W) [m].
        is_valid: Which pixels are fitted, bool (H, W).
        alignment: How.
        min_m: Predictions nearer than this lie here [m].
        max_m: Predictions farther than this, and those at or behind infinity, lie here [m].

    Returns:
        Depth (H, W) [m], within the limits; and the fit. NaN everywhere where no pixel counts.

    Source: MiDaS (arXiv:1907.01341), §6, for the limit; the authors' code floors inverse depth at
    1 / cap. cogaplex-bts/bts, utils/eval_with_pngs.py, for the limits of metric maps.
    """
    # Where inverse depth is zero or less, the prediction lies at or behind infinity.
    floor = 1 / max_m
    values = inverse_depth[is_valid]
    if alignment == "median":
        with np.errstate(divide="ignore"):
            depth_m = np.where(inverse_depth > 0, 1 / inverse_depth.astype(np.float64), np.inf)
        fit = fit_median(depth_m[is_valid], truth_m[is_valid])
        return np.clip(fit(depth_m), min_m, max_m), fit
    if alignment == "inverse-depth":
        fit = fit_scale_and_shift(values, 1 / truth_m[is_valid])
    elif alignment == "scale":
        fit = fit_scale(values, 1 / truth_m[is_valid])
    else:
        fit = Fit(1.0)
    aligned = 1 / np.maximum(fit(inverse_depth), floor)
    return np.maximum(aligned, min_m), fit
