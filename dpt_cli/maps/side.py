"""The photograph beside its map, with a colour bar: a picture for people."""

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from dpt_cli.maps import DepthMap
from dpt_cli.maps.colors import colorize_depth

RGB = npt.NDArray[np.uint8]

_PAPER, _INK = 255, (32, 32, 32)
_NUM_TICKS = 5
_MAX_FIXED = 1e6  # from here on numbers are written with an exponent
# The lettering grows with the picture, so that it can be read when a large one is shown shrunk.
_LINES_PER_SIDE = 36
_MIN_LINE_PX = 20


def beside(rgb: RGB, picture: RGB) -> RGB:
    """Put a photograph to the left of a picture of it, on white, uint8 (H, W', 3) RGB.

    A photograph of another size is resized to the picture's.
    """
    height, width = picture.shape[:2]
    if rgb.shape != picture.shape:
        import cv2

        resized = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
        rgb = np.asarray(resized, np.uint8)
    gap = np.full((height, _line_px(height, width) // 2, 3), _PAPER, np.uint8)
    return np.hstack([rgb, gap, picture])


def depth_beside(
    rgb: RGB,
    depth_map: DepthMap,
    colormap: str,
    *,
    invert: bool,
    span: tuple[float, float] | None = None,
) -> RGB:
    """Put a photograph beside its depth map in colours and a bar of these colours.

    Args:
        rgb: The photograph, uint8 (H, W, 3).
        depth_map: The map.
        colormap: Any of matplotlib's names.
        invert: Whether far is bright.
        span: The values at the ends of the bar; None for the map's own range.

    Returns:
        uint8 (H', W', 3) RGB. The greatest value is at the top of the bar.
    """
    span = span or depth_map.span
    picture = beside(rgb, colorize_depth(depth_map, colormap, invert=invert, span=span))
    if span is None:
        return picture
    low, high = span
    line = _line_px(*depth_map.values.shape)
    margin = line
    height = max(picture.shape[0], 2 * margin + _NUM_TICKS * line)
    label = _written(_label(depth_map), line)
    height = max(height, label.shape[1])
    num_rows = height - 2 * margin
    # The bar is a map of its own, painted by the same function over the same range.
    ramp = np.linspace(high, low, num_rows).astype(np.float32)
    ramp[[0, -1]] = high, low
    bar_map = replace(depth_map, values=ramp[:, np.newaxis].repeat(line, axis=1))
    bar = colorize_depth(bar_map, colormap, invert=invert, span=span)
    ticks = [_written(text, line) for text in _ticks(low, high)]
    tick_width = max(tick.shape[1] for tick in ticks)
    width = line // 2 + line + line // 4 + tick_width + label.shape[0] + line // 4
    canvas = np.full((height, picture.shape[1] + width, 3), _PAPER, np.uint8)
    canvas[: picture.shape[0], : picture.shape[1]] = picture
    left = picture.shape[1] + line // 2
    canvas[margin : margin + num_rows, left : left + line] = bar
    right = left + line + line // 4
    middles = np.linspace(margin, margin + num_rows - 1, len(ticks)).round().astype(int)
    for middle, tick in zip(middles, ticks, strict=True):
        top = middle - tick.shape[0] // 2
        canvas[top : top + tick.shape[0], right : right + tick.shape[1]] = tick
        canvas[middle, left + line : right] = _INK
    turned = np.rot90(label)
    top = (height - turned.shape[0]) // 2
    canvas[top : top + turned.shape[0], right + tick_width :][:, : turned.shape[1]] = turned
    return canvas


def _label(depth_map: DepthMap) -> str:
    if depth_map.is_metric:
        return "depth [m]" if depth_map.calibration is None else "calibrated depth [m]"
    return "relative inverse depth (no unit, larger is nearer)"


def _ticks(low: float, high: float) -> list[str]:
    """Return values from the top of the bar to its bottom; one where the map is constant."""
    if high == low:
        return [f"{high:.4g}"]
    values = np.linspace(high, low, _NUM_TICKS)
    if max(abs(low), abs(high)) >= _MAX_FIXED or high - low < 1 / _MAX_FIXED:
        return [f"{value:.2e}" for value in values]
    num_decimals = max(0, 2 - math.floor(math.log10(high - low)))
    return [f"{value:.{num_decimals}f}" for value in values]


def _line_px(height: int, width: int) -> int:
    """Return the height of a line of text for a picture of a size [px]."""
    return max(_MIN_LINE_PX, round(math.sqrt(height * width) / _LINES_PER_SIDE))


def _written(text: str, line: int) -> RGB:
    """Return a line of text on white, uint8 (line, W, 3)."""
    import cv2

    font, stroke = cv2.FONT_HERSHEY_SIMPLEX, max(1, round(line / 16))
    scale = line * 0.5 / 21  # the font's capitals are about 21 px high at scale 1
    width = cv2.getTextSize(text, font, scale, stroke)[0][0] + line // 2
    paper = np.full((line, width, 3), _PAPER, np.uint8)
    base = round(line * 0.75)
    cv2.putText(
        paper, text, (line // 4, base), font, scale, _INK, thickness=stroke, lineType=cv2.LINE_AA
    )
    return paper
