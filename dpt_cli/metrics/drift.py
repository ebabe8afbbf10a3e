"""How far one result lies from another of the same photograph: 0 is the same."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from dpt_cli.maps import DepthMap, LabelMap
from dpt_cli.metrics.alignment import fit_scale_and_shift
from dpt_cli.metrics.depth import abs_rel

Maps = Iterable[DepthMap | LabelMap]

# Depth ends here, in multiples of the nearest: the usual caps of NYU (10 m) and KITTI (80 m) lie
# about as far beyond the nearest depth there. Without a limit, inverse depths near zero, where an
# unknown shift matters most, would decide the mean alone.
FARTHEST = 20.0


def measure_of(quantity: str) -> str:
    """Return the name of the measure that `drift` uses for a quantity of `OutputSpec`."""
    return {
        "inverse_depth": "aligned AbsRel",
        "depth": "AbsRel",
        "labels": "share of pixels that changed",
    }[quantity]


def mean_drift(results: Maps, references: Maps) -> float:
    """Return the mean over photographs of how far a result lies from its reference.

    Args:
        results: One map per photograph.
        references: The same photographs' maps at the weights' own resolution in fp32.
    """
    pairs = zip(results, references, strict=True)
    return float(np.mean([_drift(result, reference) for result, reference in pairs]))


def _drift(result: DepthMap | LabelMap, reference: DepthMap | LabelMap) -> float:
    if isinstance(result, LabelMap) and isinstance(reference, LabelMap):
        return changed_pixels(result.labels, reference.labels)
    if not isinstance(result, DepthMap) or not isinstance(reference, DepthMap):
        raise TypeError("a depth map has no distance from a label map")
    compare = absrel if reference.is_metric else aligned_absrel
    return compare(result.values, reference.values)


def absrel(depth_m: npt.NDArray[np.floating], reference_m: npt.NDArray[np.floating]) -> float:
    """Return the mean of |depth - reference| / reference over the pixels with a reference.

    Args:
        depth_m: Depth (H, W) [m].
        reference_m: Depth (H, W) [m]; zero and less are no reference.

    Returns:
        Zero or more; NaN where there is no reference at all.
    """
    has_reference = reference_m > 0
    return abs_rel(depth_m[has_reference], reference_m[has_reference].astype(np.float64))


def aligned_absrel(
    inverse_depth: npt.NDArray[np.floating], reference: npt.NDArray[np.floating]
) -> float:
    """Return AbsRel in depth after the best scale and shift of inverse depth.

    Both are unknown in relative inverse depth, so they are no drift. They are fitted by least
    squares in inverse depth; what lies beyond `FARTHEST` then counts as lying there.

    Args:
        inverse_depth: (H, W), unitless, larger is nearer.
        reference: (H, W), the same of the reference.

    Returns:
        Zero or more; NaN where the reference is zero everywhere.

    Source: DPT §4.1 and MiDaS (arXiv:1907.01341) §5, alignment in disparity, eq. 2 and 4.
    """
    target = reference.astype(np.float64)
    floor = target.max() / FARTHEST
    if floor <= 0:
        return float("nan")
    aligned = fit_scale_and_shift(inverse_depth, target)(inverse_depth)
    return abs_rel(1 / np.maximum(aligned, floor), 1 / np.maximum(target, floor))


def changed_pixels(labels: npt.NDArray[np.uint8], reference: npt.NDArray[np.uint8]) -> float:
    """Return the share of pixels whose class differs: one minus the pixel agreement."""
    return float(np.mean(labels != reference))
