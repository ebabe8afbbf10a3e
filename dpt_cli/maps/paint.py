"""Turn numbers into colours by a table of 256.

This works in strips of rows, so that a 50-megapixel map needs no second full-size float array.
"""

from collections.abc import Collection, Iterator

import numpy as np
import numpy.typing as npt

from dpt_cli.maps.ade20k import COLORS

_STRIP_ROWS = 64
RGB = npt.NDArray[np.uint8]


def painted_depth(
    values: npt.NDArray[np.float32],
    span: tuple[float, float] | None,
    table: RGB,
    *,
    larger_is_nearer: bool,
    invert: bool = False,
) -> RGB:
    """Return depth as colours, uint8 (H, W, 3) RGB: near gets the end of the table.

    Args:
        values: float32 (H, W); pixels that are not finite are black.
        span: The values that get the first and the last colour; None where no value is finite.
        table: uint8 (256, 3) RGB; a constant map gets its first colour.
        larger_is_nearer: Whether it is inverse depth.
        invert: Whether far gets the end of the table.
    """
    rgb = np.zeros((*values.shape, 3), np.uint8)
    if span is None:
        return rgb
    low, high = span
    ramp = table[::-1] if invert and high > low else table
    scale = 255 / (high - low) if high > low else 0.0
    farthest = low if larger_is_nearer else high
    if not larger_is_nearer:
        scale = -scale
    for rows in strips(rgb.shape[0]):
        unknown = ~np.isfinite(values[rows])
        # float64: the difference of two float32 may overflow.
        levels = np.subtract(values[rows], farthest, dtype=np.float64)
        has_unknown = unknown.any()
        if has_unknown:
            levels[unknown] = 0
        levels *= scale
        np.rint(levels, out=levels).clip(0, 255, out=levels)
        rgb[rows] = painted(levels.astype(np.uint8), ramp)
        if has_unknown:
            rgb[rows][unknown] = 0
    return rgb


def painted_labels(labels: npt.NDArray[np.uint8], classes: Collection[int] | None = None) -> RGB:
    """Return zero-based classes in their ADE20K colours, (H, W, 3); others are black."""
    table = color_table()
    table[~selected(classes)] = 0
    return painted(labels, table)


def selected(classes: Collection[int] | None) -> npt.NDArray[np.bool_]:
    """Return which of 256 label values are selected; values without a class never are."""
    chosen = np.zeros(256, np.bool_)
    chosen[list(range(len(COLORS)) if classes is None else classes)] = True
    return chosen


def color_table() -> RGB:
    """Return the ADE20K colours for all values of a uint8, (256, 3) RGB, black beyond 149."""
    table = np.zeros((256, 3), np.uint8)
    table[: len(COLORS)] = COLORS
    return table


def painted(indices: npt.NDArray[np.uint8], table: RGB) -> RGB:
    """Return `table[indices]`, (H, W, 3); OpenCV looks up eight times as fast as NumPy."""
    import cv2

    colors = np.ascontiguousarray(table)[:, np.newaxis]  # (256, 1, 3)
    return np.asarray(cv2.applyColorMap(indices, colors), np.uint8)


def resized(rgb: RGB, size_hw: tuple[int, ...]) -> RGB:
    """Return a picture, uint8 (H, W, 3), in the size of a map; unchanged if it has that size."""
    import cv2

    height, width = size_hw
    if rgb.shape[:2] == (height, width):
        return rgb
    return np.asarray(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def strips(num_rows: int) -> Iterator[slice]:
    """Return slices of rows that together are all of them."""
    return (slice(start, start + _STRIP_ROWS) for start in range(0, num_rows, _STRIP_ROWS))
