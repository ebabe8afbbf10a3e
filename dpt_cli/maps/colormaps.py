"""Colormaps by name. OpenCV has tables of the usual ones, and imports faster than matplotlib.

A test compares all 256 entries with matplotlib's. The command line checks names here, before it
imports numpy.
"""

from typing import TYPE_CHECKING

from dpt_cli.errors import InputError, did_you_mean

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# cv2.COLORMAP_INFERNO and so on: their numbers, as checking a name should not import cv2.
TABLES = {
    "inferno": 14,
    "magma": 13,
    "plasma": 15,
    "viridis": 16,
    "cividis": 17,
    "turbo": 20,
    "gray": None,  # the levels themselves
}


def colormap_table(name: str) -> "npt.NDArray[np.uint8]":
    """Return any of matplotlib's colormaps, uint8 (256, 3), RGB order.

    Raises:
        InputError: Matplotlib has no colormap of this name.
    """
    base, reverse = name.removesuffix("_r"), name.endswith("_r")
    if base in TABLES:
        return _short_cut(TABLES[base])[:: -1 if reverse else 1]
    import matplotlib as mpl
    import numpy as np

    if name not in mpl.colormaps:
        close = did_you_mean(name, reversed(list(mpl.colormaps)))
        hint = f"did you mean {close!r}?" if close else "try inferno, viridis or gray"
        raise InputError(f"unknown colormap {name!r}: {hint} (any name matplotlib knows will do)")
    rgba = np.asarray(mpl.colormaps[name](np.linspace(0, 1, 256)))
    table: npt.NDArray[np.uint8] = np.rint(rgba[:, :3] * 255).astype(np.uint8)
    return table


def _short_cut(number: int | None) -> "npt.NDArray[np.uint8]":
    import numpy as np

    levels = np.arange(256, dtype=np.uint8)[:, np.newaxis]  # (256, 1)
    if number is None:
        return levels.repeat(3, axis=1)
    import cv2

    bgr = np.asarray(cv2.applyColorMap(levels, number), np.uint8)
    return bgr.reshape(256, 3)[:, ::-1]
