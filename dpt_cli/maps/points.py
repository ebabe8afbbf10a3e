"""Turn depth and a focal length into coloured points in front of the camera."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

RGB = npt.NDArray[np.uint8]

_STRIP_ROWS = 256


@dataclass(frozen=True)
class Points:
    """Points in the camera's frame: x right, y down, z forward, the camera at the origin.

    Attributes:
        xyz_m: float32 (N, 3), positions [m], row by row of the map.
        rgb: uint8 (N, 3), their colours in sRGB; None where no photograph is at hand.
        num_on_edges: How many pixels were left out because they lie on a depth edge.
        num_thinned: How many more were left out to keep at most `max_points`.
    """

    xyz_m: npt.NDArray[np.float32]
    rgb: RGB | None
    num_on_edges: int
    num_thinned: int


def points_from_depth(
    depth_m: npt.NDArray[np.float32],
    focal_px: float,
    rgb: RGB | None = None,
    *,
    edge_threshold: float = 0.0,
    edge_px: int = 1,
    max_points: int = 0,
) -> Points:
    """Return one point per pixel that has a depth, lies on no depth edge and is not thinned out.

    The camera is a pinhole with square pixels and its axis through the middle of the map. The
    pixel in column u and row v of a map W wide and H high lies at
    x = (u - (W - 1) / 2) z / f, y = (v - (H - 1) / 2) z / f.

    Args:
        depth_m: Depth along the optical axis, float32 (H, W) [m]; pixels that are not finite, and
            those of 0 or less, have none.
        focal_px: The focal length f in pixels of the map [px].
        rgb: The photograph, uint8 (H', W', 3); of another size than the map, its nearest pixels.
        edge_threshold: See `on_depth_edge`; 0 keeps all.
        edge_px: See `on_depth_edge`.
        max_points: How many points to keep at most; 0 for all.

    Raises:
        ValueError: The focal length is not a positive number.
    """
    if not 0 < focal_px < np.inf:
        raise ValueError(f"the focal length is {focal_px} px; it must be a positive number")
    height, width = depth_m.shape
    keep = _has_depth(depth_m)
    num_valid = np.count_nonzero(keep)
    if edge_threshold > 0:
        for rows, surroundings in _strips(height, edge_px):
            is_edge = on_depth_edge(depth_m[surroundings], edge_threshold, edge_px)
            first = rows.start - surroundings.start
            keep[rows] &= ~is_edge[first : first + rows.stop - rows.start]
    num_left = np.count_nonzero(keep)
    kept = np.flatnonzero(keep)
    if 0 < max_points < num_left:
        kept = _evenly_spread(keep, max_points)
    v, u = np.divmod(kept, width)
    z = depth_m.ravel()[kept].astype(np.float64)
    xyz = np.empty((kept.size, 3), np.float32)
    xyz[:, 0] = (u - (width - 1) / 2) * z / focal_px
    xyz[:, 1] = (v - (height - 1) / 2) * z / focal_px
    xyz[:, 2] = z
    if rgb is not None:
        rows = (v * 2 + 1) * rgb.shape[0] // (2 * height)
        rgb = rgb[rows, (u * 2 + 1) * rgb.shape[1] // (2 * width)]
    return Points(xyz, rgb, int(num_valid - num_left), int(num_left - kept.size))


def on_depth_edge(
    depth_m: npt.NDArray[np.float32], threshold: float, reach_px: int = 1
) -> npt.NDArray[np.bool_]:
    """Return which pixels lie on a depth edge, where a network blurs near and far into one another.

    A pixel does where the farthest and the nearest depth around it differ by more than a share of
    its own depth. Its surroundings reach as far as one pixel of the network, so that enlarging a
    map does not turn its edges into slopes that pass.

    Args:
        depth_m: Depth (H, W) [m]; pixels without one do not count.
        threshold: The share, e.g. 0.04.
        reach_px: How far the surroundings reach to each side [px].
    """
    has_depth = _has_depth(depth_m)
    kernel = np.ones((2 * reach_px + 1, 2 * reach_px + 1), np.uint8)
    farthest = cv2.dilate(np.where(has_depth, depth_m, np.float32(0)), kernel)
    # OpenCV treats pixels outside the picture as farther than any other.
    nearest = cv2.erode(np.where(has_depth, depth_m, np.float32(np.inf)), kernel)
    is_edge: npt.NDArray[np.bool_] = has_depth & (farthest - nearest > threshold * depth_m)
    return is_edge


def _has_depth(depth_m: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    has_depth: npt.NDArray[np.bool_] = np.isfinite(depth_m) & (depth_m > 0)
    return has_depth


def _strips(height: int, reach_px: int) -> Iterator[tuple[slice, slice]]:
    """Yield rows, and the rows around them that they depend on, so that memory stays small."""
    for start in range(0, height, _STRIP_ROWS):
        stop = min(start + _STRIP_ROWS, height)
        yield slice(start, stop), slice(max(start - reach_px, 0), min(stop + reach_px, height))


def _evenly_spread(candidates: npt.NDArray[np.bool_], num_kept: int) -> npt.NDArray[np.intp]:
    """Return the flat indices of some candidates (H, W), spread evenly, the same ones every time.

    A stride along the rows would keep whole columns. Each pixel has a rank from its place alone,
    and the lowest ranks are kept, so that fewer points are always a part of more.

    Source: Martin Roberts, "The Unreasonable Effectiveness of Quasirandom Sequences" (2018): the
    fractional part of u / g + v / g^2 with g = 1.3247..., here in units of 2^-32.
    """
    height, width = candidates.shape
    u, v = np.arange(width, dtype=np.uint32), np.arange(height, dtype=np.uint32)[:, None]
    rank = u * np.uint32(3242174889) + v * np.uint32(2447445414)  # modulo 2^32
    last = np.partition(rank[candidates], num_kept - 1)[num_kept - 1]
    kept = np.flatnonzero(candidates & (rank <= last))
    # Far apart pixels of a huge picture may have the same rank.
    return kept[:num_kept]
