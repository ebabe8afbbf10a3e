"""A map as a browser reads it: sampled, in whole numbers, compressed."""

import base64
import zlib

import numpy as np
import numpy.typing as npt

# The longer side of what is kept [px]. Classes have edges, and compress to a tenth of depth.
DEPTH_SIDE_PX = 512
LABEL_SIDE_PX = 1024
# 0 stands for a pixel that is not finite.
_STEPS = 65534


def sampled(array: npt.NDArray[np.generic], side_px: int) -> npt.NDArray[np.generic]:
    """Return every n-th pixel of a map (H, W), none averaged, so that values stay the map's own.

    Pixel i of n along a side is the one under the middle of the i-th of n equal parts.
    """
    height, width = array.shape
    scale = min(1.0, side_px / max(height, width))
    rows, columns = (
        ((np.arange(n := max(1, round(length * scale))) + 0.5) * length / n).astype(np.intp)
        for length in (height, width)
    )
    return np.ascontiguousarray(array[rows[:, np.newaxis], columns])


def steps(values: npt.NDArray[np.float32], low: float, high: float) -> npt.NDArray[np.uint16]:
    """Return depth as 1 to 65535 between two values, uint16 (H, W); not finite is 0."""
    wide = values.astype(np.float64)
    is_known = np.isfinite(wide)
    scale = _STEPS / (high - low) if high > low else 0.0
    level = np.rint((np.where(is_known, wide, low) - low) * scale) + 1
    return np.where(is_known, np.clip(level, 1, _STEPS + 1), 0).astype(np.uint16)


def packed(array: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]) -> str:
    """Return whole numbers (H, W) as base64 of deflated bytes.

    Stored is each pixel's difference to its left neighbour, modulo 256 or 65536; of 16 bits all
    the high bytes come first.
    """
    change = array.copy()
    change[:, 1:] -= array[:, :-1]
    planes = (change >> 8, change & 255) if array.dtype == np.uint16 else (change,)
    data = b"".join(plane.astype(np.uint8).tobytes() for plane in planes)
    return base64.b64encode(zlib.compress(data, 6)).decode("ascii")
