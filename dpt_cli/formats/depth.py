"""A depth map in each of its formats."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from dpt_cli.formats.arrays import strips, write_npy, write_pfm
from dpt_cli.formats.files import Writer
from dpt_cli.formats.png import write_png
from dpt_cli.maps.facts import describe
from dpt_cli.maps.types import DepthMap

RGB = npt.NDArray[np.uint8]
Options = Mapping[str, Any]

_MAX_UINT16 = 65535


def color(file: Writer, depth_map: DepthMap, _rgb: RGB | None, options: Options) -> None:
    """Write colours: `colormap` is any of matplotlib's names, `invert` makes far bright."""
    from dpt_cli.maps.colors import colorize_depth

    colormap, invert = options["colormap"], options["invert"]
    text = describe(depth_map) | {
        "dpt:colormap": colormap,
        "dpt:bright": "far" if invert else "near",
    }
    write_png(file, colorize_depth(depth_map, colormap, invert=invert), text)


def side(file: Writer, depth_map: DepthMap, rgb: RGB | None, options: Options) -> None:
    """Write the photograph beside the colours and a bar that says what they stand for."""
    from dpt_cli.maps.side import depth_beside

    assert rgb is not None
    colormap, invert = options["colormap"], options["invert"]
    picture = depth_beside(rgb, depth_map, colormap, invert=invert)
    write_png(file, picture, describe(depth_map))


def npy(file: Writer, depth_map: DepthMap, _rgb: RGB | None, _options: Options) -> None:
    """Write the values as they are, float32."""
    write_npy(file, depth_map.values)


def pfm(file: Writer, depth_map: DepthMap, _rgb: RGB | None, _options: Options) -> None:
    """Write the values as they are, float32."""
    write_pfm(file, depth_map.values)


def png16(file: Writer, depth_map: DepthMap, _rgb: RGB | None, _options: Options) -> dict[str, int]:
    """Write 16-bit grey; return how many pixels lie beyond what it holds."""
    return {"clipped_px": write_depth_png16(file, depth_map)}


def write_depth_png16(file: Writer, depth_map: DepthMap) -> int:
    """Write depth as 16-bit grey PNG.

    Depth [m] becomes whole millimetres, at most 65535; 0 is unknown. Inverse depth spreads over
    0 to 65535 from the map's least to its greatest value, larger is nearer, and a constant map
    is 0; the text in the file says how to undo it. Values that are not finite become 0.

    Returns:
        How many finite pixels were farther than 65.535 m, which is written in their place.
    """
    text = describe(depth_map)
    low, high = depth_map.span or (0.0, 0.0)
    if depth_map.is_metric:
        offset, scale = 0.0, 1000.0
        text["dpt:pixel"] = "millimetres, 0 is unknown"
    else:
        offset, scale = low, _MAX_UINT16 / (high - low) if high > low else 0.0
        text["dpt:pixel"] = "65535 * (value - dpt:min) / (dpt:max - dpt:min)"
    pixels, num_clipped = np.empty(depth_map.values.shape, np.uint16), 0
    for source, target in zip(strips(depth_map.values), strips(pixels), strict=True):
        values = source.astype(np.float64)
        values[~np.isfinite(values)] = offset
        steps = np.rint((values - offset) * scale)
        num_clipped += int(np.count_nonzero(steps > _MAX_UINT16))
        target[...] = np.clip(steps, 0, _MAX_UINT16)
    if num_clipped:
        text["dpt:clipped"] = f"{num_clipped} pixels, farther than 65.535 m"
    write_png(file, pixels, text)
    return num_clipped
