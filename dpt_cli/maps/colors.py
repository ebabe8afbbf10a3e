"""Turn maps into pictures: colormap, palette, overlay, legend.

Works in strips of rows, so that a 50-megapixel map needs no second full-size float array. Must
not read, write, or change what a map says.
"""

import base64
import dataclasses
import difflib
import math
from collections.abc import Collection, Iterator

import numpy as np
import numpy.typing as npt

from dpt_cli.errors import InputError
from dpt_cli.maps import DepthMap, LabelMap
from dpt_cli.maps.ade20k import COLORS, NAMES
from dpt_cli.maps.colormaps import TABLES

_STRIP_ROWS = 64

# Legend: one row of text for each _ROWS_PER_SIDE-th of a square of the picture's area, which
# stays readable when a large picture is shown shrunk, and never below what the font needs.
_ROWS_PER_SIDE = 36
_MIN_ROW_PX = 20
_INK = (32, 32, 32)
_PAPER = 255


def colormap_table(name: str) -> npt.NDArray[np.uint8]:
    """Return any of matplotlib's colormaps, uint8 (256, 3), RGB order.

    Raises:
        InputError: Matplotlib has no colormap of this name.
    """
    base, reverse = name.removesuffix("_r"), name.endswith("_r")
    if base in TABLES:
        flat = np.frombuffer(base64.b64decode(TABLES[base]), np.uint8)
        return flat.reshape(256, 3)[:: -1 if reverse else 1]
    import matplotlib as mpl

    if name not in mpl.colormaps:
        known = {known.lower(): known for known in reversed(list(mpl.colormaps))}
        close = difflib.get_close_matches(name.lower(), known, n=1)
        hint = f"did you mean {known[close[0]]!r}?" if close else "try inferno, viridis or gray"
        raise InputError(f"unknown colormap {name!r}: {hint} (any name matplotlib knows will do)")
    rgba: npt.NDArray[np.float64] = np.asarray(mpl.colormaps[name](np.linspace(0, 1, 256)))
    return np.rint(rgba[:, :3] * 255).astype(np.uint8)


def colorize_depth(
    depth_map: DepthMap, colormap: str = "inferno", *, invert: bool = False
) -> npt.NDArray[np.uint8]:
    """Colour a depth map, uint8 (H, W, 3) RGB: near gets the colormap's end, far its beginning.

    That holds for inverse depth and for metres alike; `invert` turns it round. Colours span the
    map's own range. A constant map gets the first colour, pixels that are not finite are black.

    Raises:
        InputError: Matplotlib has no colormap of this name.
    """
    table = colormap_table(colormap)
    rgb = np.zeros((*depth_map.values.shape, 3), np.uint8)
    if depth_map.span is None:
        return rgb
    span = np.array(depth_map.span, np.float32)
    low, high = sorted(float(end) for end in _nearness(depth_map, span))
    ramp = table[::-1] if invert and high > low else table
    scale = 255 / (high - low) if high > low else 0.0
    for rows in _strips(rgb.shape[0]):
        # float64: the difference of two float32 may overflow.
        nearness = _nearness(depth_map, depth_map.values[rows]).astype(np.float64)
        unknown = ~np.isfinite(nearness)
        has_unknown = unknown.any()
        if has_unknown:
            nearness[unknown] = low
        rgb[rows] = _painted(np.rint((nearness - low) * scale).astype(np.uint8), ramp)
        if has_unknown:
            rgb[rows][unknown] = 0
    return rgb


def colorize_labels(
    label_map: LabelMap, classes: Collection[int] | None = None
) -> npt.NDArray[np.uint8]:
    """Paint each class in its ADE20K colour, uint8 (H, W, 3) RGB; other classes are black.

    `classes` are zero-based indices; None stands for all.
    """
    table = _color_table()
    table[~_selected(classes)] = 0
    return _painted(label_map.labels, table)


def overlay_labels(
    rgb: npt.NDArray[np.uint8],
    label_map: LabelMap,
    opacity: float = 0.5,
    classes: Collection[int] | None = None,
) -> npt.NDArray[np.uint8]:
    """Lay class colours over the photograph, uint8 (H, W, 3) RGB.

    `rgb` is the photograph, uint8 (H, W, 3). `opacity` in [0, 1]: 0 leaves the photograph, 1
    hides it. Pixels of classes that are not selected keep the photograph exactly.

    Raises:
        ValueError: The sizes differ, or the opacity is out of range.
    """
    if rgb.shape != (*label_map.labels.shape, 3):
        raise ValueError(f"rgb is {rgb.shape}, labels are {label_map.labels.shape}")
    if not 0 <= opacity <= 1:
        raise ValueError(f"opacity must lie in 0 to 1, not {opacity}")
    import cv2

    is_unselected = (~_selected(classes)).astype(np.uint8)
    blended = np.empty_like(rgb)
    for rows in _strips(rgb.shape[0]):
        labels = label_map.labels[rows]
        colors = _painted(labels, _color_table())
        cv2.addWeighted(rgb[rows], 1 - opacity, colors, opacity, gamma=0, dst=blended[rows])
        cv2.copyTo(rgb[rows], cv2.LUT(labels, is_unselected), dst=blended[rows])
    return blended


def with_legend(
    picture: npt.NDArray[np.uint8],
    label_map: LabelMap,
    classes: Collection[int] | None = None,
    min_share: float = 0.01,
) -> npt.NDArray[np.uint8]:
    """Put a legend to the right of a picture, uint8 (H', W', 3) RGB with H' >= H, W' >= W.

    The picture itself stays unchanged at the top left, so nothing of it is hidden. Listed are
    the selected classes that cover at least `min_share` of the map, largest first, each with its
    colour and percentage. A picture with none of them is returned as it is.
    """
    entries = _entries(label_map, classes, min_share)
    if not entries:
        return picture
    import cv2

    height, width = picture.shape[:2]
    row_px = max(_MIN_ROW_PX, round(math.sqrt(height * width) / _ROWS_PER_SIDE))
    font, stroke = cv2.FONT_HERSHEY_SIMPLEX, max(1, round(row_px / 16))
    # The font's capitals are about 21 px high at scale 1.
    scale = row_px * 0.5 / 21

    def text_width(text: str) -> int:
        return int(cv2.getTextSize(text, font, scale, stroke)[0][0])

    gap, swatch = row_px // 2, round(row_px * 0.7)
    name_width = max(text_width(NAMES[index]) for index, _ in entries)
    percent_width = max(text_width(percent) for _, percent in entries)
    column = gap + swatch + gap + name_width + gap + percent_width + gap
    num_rows = max(1, (height - gap) // row_px)
    num_columns = math.ceil(len(entries) / num_rows)

    # A very low picture gets a taller canvas rather than letters cut in half.
    canvas_height = max(height, row_px + gap)
    canvas = np.full((canvas_height, width + column * num_columns, 3), _PAPER, np.uint8)
    canvas[:height, :width] = picture
    for place, (index, percent) in enumerate(entries):
        left = width + gap + place // num_rows * column
        top = gap // 2 + place % num_rows * row_px + (row_px - swatch) // 2
        box = (left, top), (left + swatch - 1, top + swatch - 1)
        cv2.rectangle(canvas, *box, COLORS[index], thickness=cv2.FILLED)
        cv2.rectangle(canvas, *box, _INK, thickness=max(1, row_px // 40))
        base = top + (swatch + round(row_px * 0.5)) // 2
        right = left + swatch + gap + name_width + gap + percent_width - text_width(percent)
        for text, x in ((NAMES[index], left + swatch + gap), (percent, right)):
            cv2.putText(
                canvas, text, (x, base), font, scale, _INK, thickness=stroke, lineType=cv2.LINE_AA
            )
    return canvas


def _entries(
    label_map: LabelMap, classes: Collection[int] | None, min_share: float
) -> list[tuple[int, str]]:
    """Return the classes worth listing and their percentages in words, largest first."""
    counts = np.zeros(256, np.int64)
    for rows in _strips(label_map.labels.shape[0]):
        counts += np.bincount(label_map.labels[rows].ravel(), minlength=256)
    share = np.where(_selected(classes), counts / max(1, label_map.labels.size), 0)
    # Stable, so that equal shares keep the order of the classes.
    order = np.argsort(-share, kind="stable")
    return [
        (int(index), f"{share[index]:.1%}")
        for index in order
        if share[index] > 0 and share[index] >= min_share
    ]


def _selected(classes: Collection[int] | None) -> npt.NDArray[np.bool_]:
    """Return which of 256 label values are selected; values without a class never are."""
    selected = np.zeros(256, np.bool_)
    selected[list(range(len(COLORS)) if classes is None else classes)] = True
    return selected


def _color_table() -> npt.NDArray[np.uint8]:
    """Return the ADE20K colours for all values of a uint8, (256, 3) RGB, black beyond 149."""
    table = np.zeros((256, 3), np.uint8)
    table[: len(COLORS)] = COLORS
    return table


def _painted(indices: npt.NDArray[np.uint8], table: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return `table[indices]`, (H, W, 3); OpenCV looks up eight times as fast as NumPy."""
    import cv2

    colors = np.ascontiguousarray(table)[:, np.newaxis]  # (256, 1, 3)
    return np.asarray(cv2.applyColorMap(indices, colors), np.uint8)


def _nearness(depth_map: DepthMap, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return some of the map's values turned so that larger is nearer."""
    return dataclasses.replace(depth_map, values=values).nearness


def _strips(num_rows: int) -> Iterator[slice]:
    return (slice(start, start + _STRIP_ROWS) for start in range(0, num_rows, _STRIP_ROWS))
