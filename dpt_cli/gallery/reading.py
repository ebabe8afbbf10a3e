"""Read back a saved map, as the values that it was made of."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from dpt_cli.errors import InputError
from dpt_cli.gallery.pictures import Layer

Values = npt.NDArray[Any]


def values_of(folder: Path, layer: Layer) -> Values | None:
    """Return a map's values (H, W); None where no file of it holds them.

    Raises:
        InputError: The file cannot be read.
    """
    kind = layer.value_format
    if kind is None:
        return None
    path = folder / layer.files[kind]
    if kind == "npy":
        try:
            array: Values = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: {error}") from error
    else:
        array = pixels_of(path)
    if kind == "png16":
        array = _depth_of_png16(array, layer.record["facts"])
    if layer.task == "segment":
        base = layer.record["settings"].get("label_base")
        # Unknown is 255, or where classes count from 1 it is 0, which becomes 255.
        array = array - np.uint8((1 if kind == "labels" else 0) if base is None else base)
    if array.ndim != 2:
        raise InputError(f"{path}: expected height and width, not the shape {array.shape}")
    return array


def pixels_of(path: Path) -> npt.NDArray[Any]:
    """Return a PNG's pixels: grey and palette indices as stored, (H, W); colours (H, W, 3) RGB.

    Raises:
        InputError: It cannot be read.
    """
    try:
        with Image.open(path) as image:
            pixels: npt.NDArray[Any] = np.asarray(image)
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: {error}") from error
    return pixels


def _depth_of_png16(pixels: Values, facts: Mapping[str, Any]) -> Values:
    levels = pixels.astype(np.float32)
    if facts.get("quantity") == "depth":
        # 0 is unknown; where pixels were clipped, 65535 is only a lower bound.
        levels[(pixels == 0) | ((pixels == 65535) & bool(facts.get("clipped_px")))] = np.nan
        return levels / np.float32(1000)
    low, high = facts["min"] or 0.0, facts["max"] or 0.0
    return np.float32(low) + levels * np.float32((high - low) / 65535)
