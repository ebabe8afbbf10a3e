"""What the page needs of a saved map: its values, and the pixels of its pictures."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from dpt_cli.errors import InputError
from dpt_cli.formats.read import read_saved
from dpt_cli.gallery.pictures import Layer

Values = npt.NDArray[Any]

_MAX_UINT16 = 65535


def values_of(folder: Path, layer: Layer) -> Values | None:
    """Return a map's values (H, W), labels zero-based; None where no file of it holds them.

    Values that a 16-bit picture only bounds, as they lie beyond its range, are NaN; of metres
    `read_saved` does that.

    Raises:
        InputError: The file cannot be read.
    """
    kind = layer.value_format
    if kind is None:
        return None
    path = folder / layer.files[kind]
    saved = read_saved(path)
    values, levels = saved.values, saved.stored
    # The numbers of a PNG are steps, which only the file itself explains.
    is_unexplained = saved.step is None and layer.task == "depth" and path.suffix == ".png"
    if values is None or levels is None or is_unexplained:
        if layer.picture_format:
            return None  # dpt 0.1 wrote 16-bit files without what their steps are
        raise InputError(f"{path}: it does not say what its numbers are ({saved.layout})")
    facts = layer.record["facts"]
    if saved.step is None or facts["quantity"] == "depth":
        return values
    low, high = np.float32(saved.facts["low"]), np.float32(saved.facts["high"])
    is_low = facts["min"] is not None and bool(low > np.float32(facts["min"]))
    is_high = facts["max"] is not None and bool(high < np.float32(facts["max"]))
    is_bound = (is_low & (levels == 0)) | (is_high & (levels == _MAX_UINT16))
    return np.where(is_bound, np.nan, values)


def pixels_of(path: Path) -> npt.NDArray[np.uint8]:
    """Return a picture as uint8 (H, W, 3) RGB.

    Raises:
        InputError: It cannot be read.
    """
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: {error}") from error
