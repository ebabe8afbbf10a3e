"""Writers of depth maps, one per format."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from dpt_cli.formats.arrays import strips, write_npy, write_npz, write_pfm
from dpt_cli.formats.files import Writer
from dpt_cli.formats.png import write_png
from dpt_cli.maps.facts import describe, facts_of
from dpt_cli.maps.types import DepthMap

RGB = npt.NDArray[np.uint8]
Options = Mapping[str, Any]

_MAX_UINT16 = 65535


def color(file: Writer, depth_map: DepthMap, _rgb: RGB | None, options: Options) -> None:
    """Write colours: `colormap` is any of matplotlib's names, `invert` makes far bright."""
    from dpt_cli.maps.colors import colorize_depth

    colormap, invert, span = options["colormap"], options["invert"], _span(depth_map, options)
    text = _view_text(depth_map, span, invert=invert) | {"dpt:colormap": colormap}
    write_png(file, colorize_depth(depth_map, colormap, invert=invert, span=span), text)


def gray(file: Writer, depth_map: DepthMap, _rgb: RGB | None, options: Options) -> None:
    """Write 8-bit grey, near white unless `invert`; in one channel or in three equal ones."""
    from dpt_cli.maps.colors import colorize_depth

    invert, span = options["invert"], _span(depth_map, options)
    levels = colorize_depth(depth_map, "gray", invert=invert, span=span)
    image = levels if options.get("channels") == 3 else np.ascontiguousarray(levels[..., 0])
    write_png(file, image, _view_text(depth_map, span, invert=invert))


def side(file: Writer, depth_map: DepthMap, rgb: RGB | None, options: Options) -> None:
    """Write the photograph beside the colours and a bar with the values they stand for."""
    from dpt_cli.maps.side import depth_beside

    assert rgb is not None
    colormap, invert, span = options["colormap"], options["invert"], _span(depth_map, options)
    picture = depth_beside(rgb, depth_map, colormap, invert=invert, span=span)
    write_png(file, picture, describe(depth_map))


def npy(file: Writer, depth_map: DepthMap, _rgb: RGB | None, _options: Options) -> None:
    """Write the values as they are, float32."""
    write_npy(file, depth_map.values)


def pfm(file: Writer, depth_map: DepthMap, _rgb: RGB | None, _options: Options) -> None:
    """Write the values as they are, float32."""
    write_pfm(file, depth_map.values)


def npz(file: Writer, depth_map: DepthMap, _rgb: RGB | None, _options: Options) -> None:
    """Write the values as they are, compressed, under the name of their quantity, and the facts."""
    write_npz(file, depth_map.quantity, depth_map.values, facts_of(depth_map))


def tiff(file: Writer, depth_map: DepthMap, _rgb: RGB | None, _options: Options) -> None:
    """Write the values as they are, float32, and the facts as ImageDescription."""
    from dpt_cli.formats.tiff import write_tiff

    write_tiff(file, depth_map.values, facts_of(depth_map))


def exr(file: Writer, depth_map: DepthMap, _rgb: RGB | None, _options: Options) -> None:
    """Write the values as they are as channel Z, and a view in R, G and B that is not black.

    The view is the nearness between the map's ends, 0 to 1, in half precision; viewers show
    values that are not finite as black.
    """
    from dpt_cli.formats.exr import write_exr

    view: npt.NDArray[Any] = np.zeros(depth_map.values.shape, np.float16)
    low, high = depth_map.span or (0.0, 0.0)
    if high > low:
        start, step = (high, low - high) if depth_map.is_metric else (low, high - low)
        for source, target in zip(strips(depth_map.values), strips(view), strict=True):
            share = (source.astype(np.float64) - start) / step
            target[...] = np.where(np.isfinite(share), share, 0)
    channels = {"R": view, "G": view, "B": view, "Z": depth_map.values}
    write_exr(file, channels, describe(depth_map))


def png16(file: Writer, depth_map: DepthMap, _rgb: RGB | None, options: Options) -> dict[str, Any]:
    """Write 16-bit grey; return the step it rounds to, and how many pixels it clips."""
    steps, hides = options.get("steps_per_metre", 1000), options.get("too_far") == "unknown"
    span = options["range"]
    num_clipped = write_depth_png16(file, depth_map, span, steps, hide_too_far=hides)
    low, high = span or depth_map.span or (0.0, 0.0)
    step = 1 / steps if depth_map.is_metric else (high - low) / _MAX_UINT16
    reported = {"clipped_px": num_clipped, "step": step}
    is_too_far = num_clipped and depth_map.is_metric
    return reported | ({"clipped_m": _MAX_UINT16 / steps} if is_too_far else {})


def write_depth_png16(
    file: Writer,
    depth_map: DepthMap,
    span: tuple[float, float] | None = None,
    steps_per_metre: int = 1000,
    *,
    hide_too_far: bool = False,
) -> int:
    """Write depth as 16-bit grey PNG.

    Depth [m] becomes whole steps, millimetres unless another number is given; 0 is unknown.
    Inverse depth spreads over 0 to 65535, larger is nearer; values beyond the range get its ends,
    and a constant map is 0. The text in the file says how to undo it. Values that are not finite
    become 0.

    Args:
        file: Takes the bytes.
        depth_map: The map.
        span: For inverse depth, what becomes 0 and 65535; None for the map's own range.
        steps_per_metre: For depth, the value of 1 m.
        hide_too_far: Whether depth beyond the last step becomes 0, unknown, rather than that step.

    Returns:
        How many finite pixels lie outside the first and the last step.
    """
    text = describe(depth_map)
    low, high = span or depth_map.span or (0.0, 0.0)
    if depth_map.is_metric:
        offset, scale = 0.0, float(steps_per_metre)
        steps_in_words = "millimetres" if steps_per_metre == 1000 else f"metres * {steps_per_metre}"
        text["dpt:steps_per_metre"] = str(steps_per_metre)
        text["dpt:pixel"] = f"{steps_in_words}, 0 is unknown"
    else:
        offset, scale = low, _MAX_UINT16 / (high - low) if high > low else 0.0
        text |= _range_text((low, high))
        text["dpt:pixel"] = "65535 * (value - dpt:low) / (dpt:high - dpt:low)"
    pixels, num_clipped = np.empty(depth_map.values.shape, np.uint16), 0
    for source, target in zip(strips(depth_map.values), strips(pixels), strict=True):
        values = source.astype(np.float64)
        values[~np.isfinite(values)] = offset
        steps = np.rint((values - offset) * scale)
        is_beyond = (steps < 0) | (steps > _MAX_UINT16)
        num_clipped += int(np.count_nonzero(is_beyond))
        if depth_map.is_metric and hide_too_far:
            steps[is_beyond] = 0
        target[...] = np.clip(steps, 0, _MAX_UINT16)
    if num_clipped:
        farthest = f"farther than {_MAX_UINT16 / steps_per_metre:.5g} m"
        beyond = (
            farthest if depth_map.is_metric else "outside the range, of which they have the end"
        )
        text["dpt:clipped"] = f"{num_clipped} pixels, {beyond}"
    write_png(file, pixels, text)
    return num_clipped


def _span(depth_map: DepthMap, options: Options) -> tuple[float, float] | None:
    """Return the values that get the first and the last colour."""
    if options["range"] is not None:
        low, high = options["range"]
        return low, high
    percent = options["percentile"]
    if percent is None or depth_map.span is None:
        return depth_map.span
    finite = depth_map.values[np.isfinite(depth_map.values)]
    low, high = np.percentile(finite, (percent, 100 - percent))
    return float(low), float(high)


def _view_text(
    depth_map: DepthMap, span: tuple[float, float] | None, *, invert: bool
) -> dict[str, str]:
    text = {"dpt:bright": "far" if invert else "near"} | (_range_text(span) if span else {})
    return describe(depth_map) | text


def _range_text(span: tuple[float, float]) -> dict[str, str]:
    """Return the values at both ends of the levels, in enough digits to restore them."""
    return {"dpt:low": f"{span[0]:.9g}", "dpt:high": f"{span[1]:.9g}"}
