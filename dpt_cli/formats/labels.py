"""A label map in each of its formats."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from dpt_cli.formats.arrays import write_npy
from dpt_cli.formats.files import Writer
from dpt_cli.formats.png import write_palette_png, write_png
from dpt_cli.maps.ade20k import COLORS, NAMES
from dpt_cli.maps.facts import describe
from dpt_cli.maps.types import LabelMap

RGB = npt.NDArray[np.uint8]
Options = Mapping[str, Any]


def overlay(file: Writer, label_map: LabelMap, rgb: RGB | None, options: Options) -> None:
    """Write the classes painted over the photograph, and beside it a legend unless unwanted."""
    from dpt_cli.maps.colors import overlay_labels, with_legend

    assert rgb is not None
    selected = _selected(options)
    painted = overlay_labels(rgb, label_map, options["opacity"], selected)
    if options["legend"]:
        painted = with_legend(painted, label_map, selected)
    write_png(file, painted, describe(label_map))


def labels(file: Writer, label_map: LabelMap, _rgb: RGB | None, _options: Options) -> None:
    """Write a palette PNG in ADE20K's numbers."""
    write_ade20k_png(file, label_map)


def color(file: Writer, label_map: LabelMap, _rgb: RGB | None, options: Options) -> None:
    """Write the classes' colours alone."""
    from dpt_cli.maps.colors import colorize_labels

    write_png(file, colorize_labels(label_map, _selected(options)), describe(label_map))


def npy(file: Writer, label_map: LabelMap, _rgb: RGB | None, _options: Options) -> None:
    """Write the labels as they are, uint8, zero-based."""
    write_npy(file, label_map.labels)


def _selected(options: Options) -> list[int] | None:
    """Return the indices of the classes to paint; None for all."""
    classes = options["classes"]
    return None if classes is None else [NAMES.index(name) for name in classes]


def write_ade20k_png(file: Writer, label_map: LabelMap) -> None:
    """Write labels as ADE20K numbers them: a palette PNG, pixel value 1 to 150, in its colours.

    Value 0 is ADE20K's "other objects", black, which no network here predicts.
    """
    text = describe(label_map) | {"dpt:pixel": "ADE20K class, 1 to 150; 0 is other"}
    write_palette_png(file, label_map.labels + np.uint8(1), ((0, 0, 0), *COLORS), text)
