"""How relative inverse depth was turned into metres."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Calibration:
    """A fit of `1 / z = scale * d + shift`: z is depth [m], d is relative inverse depth.

    Attributes:
        scale: Factor of the inverse depth [1/m].
        shift: What is added to it [1/m].
        num_points: How many known distances it was fitted to.
        error_m: Median error at those points [m]; None where nothing is left to measure it.
        error_percent: The same in per cent of the distance.
        error_kind: How the error was measured; None where it was not.
        method: Whether the shift was fitted as well.
        reason: What was fitted and why not the other method, in words.
        num_outliers: How many of the points had no influence, as they contradict the others.
    """

    scale: float
    shift: float
    num_points: int
    error_m: float | None = None
    error_percent: float | None = None
    error_kind: Literal["leave-one-out", "20-fold", "residual"] | None = None
    method: Literal["affine", "scale only"] = "affine"
    reason: str | None = None
    num_outliers: int = 0
