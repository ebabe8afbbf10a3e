"""Turn maps into pictures: colormap, palette, overlay, legend.

Nothing here reads or writes files, or changes a map.
"""

import math
from collections.abc import Collection

import numpy as np
import numpy.typing as npt

from dpt_cli.maps import DepthMap, LabelMap
from dpt_cli.maps.ade20k import COLORS, NAMES
from dpt_cli.maps.colormaps import colormap_table
from dpt_cli.maps.paint import (
    color_table,
    painted,
    painted_depth,
    painted_labels,
    selected,
    strips,
)

__all__ = ["colorize_depth", "colorize_labels", "colormap_table", "overlay_labels", "with_legend"]

# Legend: one row of text for each _ROWS_PER_SIDE-th of a square of the picture's area, which
# stays readable when a large picture is shown shrunk, and never below what the font needs.
_ROWS_PER_SIDE = 36
_MIN_ROW_PX = 20
_INK = (32, 32, 32)
_PAPER = 255


def colorize_depth(
    depth_map: DepthMap,
    colormap: str = "inferno",
    *,
    invert: bool = False,
    span: tuple[float, float] | None = None,
) -> npt.NDArray[np.uint8]:
    """Colour a depth map, uint8 (H, W, 3) RGB: near gets the colormap's end, far its beginning.

    That holds for inverse depth and for metres alike; `invert` turns it round. Colours cover
    `span`, the map's own range unless given; values beyond it get the colours of its ends. A
    constant map gets the first colour, pixels that are not finite are black.

    Raises:
        InputError: Matplotlib has no colormap of this name.
    """
    return painted_depth(
        depth_map.values,
        span or depth_map.span,
        colormap_table(colormap),
        larger_is_nearer=not depth_map.is_metric,
        invert=invert,
    )


def colorize_labels(
    label_map: LabelMap, classes: Collection[int] | None = None
) -> npt.NDArray[np.uint8]:
    """Paint each class in its ADE20K colour, uint8 (H, W, 3) RGB; other classes are black.

    `classes` are zero-based indices; None stands for all.
    """
    return painted_labels(label_map.labels, classes)


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

    is_unselected = (~selected(classes)).astype(np.uint8)
    blended = np.empty_like(rgb)
    for rows in strips(rgb.shape[0]):
        labels = label_map.labels[rows]
        colors = painted(labels, color_table())
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
    for rows in strips(label_map.labels.shape[0]):
        counts += np.bincount(label_map.labels[rows].ravel(), minlength=256)
    share = np.where(selected(classes), counts / max(1, label_map.labels.size), 0)
    # Stable, so that equal shares keep the order of the classes.
    order = np.argsort(-share, kind="stable")
    return [
        (int(index), f"{share[index]:.1%}")
        for index in order
        if share[index] > 0 and share[index] >= min_share
    ]
