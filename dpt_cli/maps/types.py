"""The results: arrays that know what their numbers mean.

A map is in the frame of the upright photograph. Nothing here reads, writes or computes depth.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

Quantity = Literal["inverse_depth", "depth"]


@dataclass(frozen=True)
class DepthMap:
    """A depth map in the photograph's frame.

    Attributes:
        values: float32 (H, W). Inverse depth (unitless, unknown scale and shift, larger is
            nearer) or depth [m] (smaller is nearer), as `quantity` says. Never normalised.
        quantity: `"inverse_depth"` or `"depth"`.
        weights: The weights that made it, e.g. `depth/hybrid` or `my_copy.pt`.
        network_hw: Height and width the network saw [px].
        precision: The arithmetic that made it: `fp32`, `fp16`, `bf16` or `int8`.
    """

    values: npt.NDArray[np.float32]
    quantity: Quantity
    weights: str
    network_hw: tuple[int, int]
    precision: str = "fp32"

    @property
    def is_metric(self) -> bool:
        """Whether the values are metres."""
        return self.quantity == "depth"

    @property
    def unit(self) -> str:
        """Return `m`, or `relative` where scale and shift are unknown."""
        return "m" if self.is_metric else "relative"

    @property
    def nearness(self) -> npt.NDArray[np.float32]:
        """Return the values turned so that larger is nearer, float32 (H, W); depth is negated."""
        return -self.values if self.is_metric else self.values

    @cached_property
    def span(self) -> tuple[float, float] | None:
        """Return the least and the greatest finite value, None where none is finite."""
        if not self.values.size:
            return None
        ends = self.values.min(), self.values.max()  # NaN where there is one
        if not np.isfinite(ends).all():
            finite = self.values[np.isfinite(self.values)]
            if not finite.size:
                return None
            ends = finite.min(), finite.max()
        return float(ends[0]), float(ends[1])


@dataclass(frozen=True)
class LabelMap:
    """A class for every pixel of the photograph.

    Attributes:
        labels: uint8 (H, W), zero-based ADE20K class indices, 0 to 149.
        weights: The weights that made it.
        network_hw: Height and width the network saw [px].
        precision: The arithmetic that made it.
    """

    labels: npt.NDArray[np.uint8]
    weights: str
    network_hw: tuple[int, int]
    precision: str = "fp32"
