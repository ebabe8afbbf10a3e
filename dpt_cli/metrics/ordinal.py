"""Agreement with people's judgement of which of two points is nearer."""

import numpy as np
import numpy.typing as npt


def whdr(
    inverse_depth_a: npt.NDArray[np.floating],
    inverse_depth_b: npt.NDArray[np.floating],
    is_a_nearer: npt.NDArray[np.bool_],
    weights: npt.NDArray[np.floating] | None = None,
) -> float:
    """Return the weighted share of point pairs whose order is wrong.

    A pair of equal depth is wrong: the judgements know no ties.

    Args:
        inverse_depth_a: The prediction at each pair's first point, (N,), larger is nearer.
        inverse_depth_b: The prediction at each pair's second point, (N,).
        is_a_nearer: The judgements, (N,).
        weights: How much each pair counts, (N,); None for alike, as in DIW.

    Returns:
        0 to 1; NaN where there is no pair.

    Source: Chen et al. 2016 (arXiv:1604.03901), §5. MiDaS' treatment of ties is not published.
    """
    if not is_a_nearer.size:
        return float("nan")
    is_right = np.where(
        is_a_nearer, inverse_depth_a > inverse_depth_b, inverse_depth_a < inverse_depth_b
    )
    return float(np.average(~is_right, weights=weights))
