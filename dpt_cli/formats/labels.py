"""Writers of label maps, one per format."""

import json
import zipfile
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt

from dpt_cli.errors import InputError
from dpt_cli.formats.arrays import write_npy
from dpt_cli.formats.coco import regions
from dpt_cli.formats.files import Writer
from dpt_cli.formats.png import write_palette_png, write_png
from dpt_cli.maps.ade20k import COLORS, NAMES
from dpt_cli.maps.facts import describe, facts_of
from dpt_cli.maps.types import LabelMap

RGB = npt.NDArray[np.uint8]
Options = Mapping[str, Any]

_BLACK = (0, 0, 0)
# The value of pixels without a class: ADE20K's own where classes count from 1, mmsegmentation's and
# transformers' "ignore" where they count from 0.
_UNKNOWN = {0: 255, 1: 0}
_PALETTES = {
    0: (*COLORS, *(256 - len(COLORS)) * [_BLACK]),
    1: (_BLACK, *COLORS),
}
# The date of all entries in a zip file, the earliest possible: the same map gives the same bytes.
_NO_DATE = (1980, 1, 1, 0, 0, 0)


def overlay(file: Writer, label_map: LabelMap, rgb: RGB | None, options: Options) -> None:
    """Write the classes painted over the photograph, with a legend beside it if `legend`."""
    from dpt_cli.maps.colors import overlay_labels, with_legend

    assert rgb is not None
    selected = _selected(options)
    painted = overlay_labels(rgb, label_map, options["opacity"], selected)
    if options["legend"]:
        painted = with_legend(painted, label_map, selected)
    write_png(file, painted, describe(label_map))


def side(file: Writer, label_map: LabelMap, rgb: RGB | None, options: Options) -> None:
    """Write the photograph beside the classes' colours and their legend."""
    from dpt_cli.maps.colors import colorize_labels, with_legend
    from dpt_cli.maps.side import beside

    assert rgb is not None
    selected = _selected(options)
    picture = beside(rgb, colorize_labels(label_map, selected))
    write_png(file, with_legend(picture, label_map, selected), describe(label_map))


def labels(file: Writer, label_map: LabelMap, _rgb: RGB | None, options: Options) -> None:
    """Write a palette PNG: pixel values are class numbers, by default ADE20K's 1 to 150."""
    write_labels_png(file, label_map, _base(options, default=1))


def color(file: Writer, label_map: LabelMap, _rgb: RGB | None, options: Options) -> None:
    """Write the classes' colours alone."""
    from dpt_cli.maps.colors import colorize_labels

    write_png(file, colorize_labels(label_map, _selected(options)), describe(label_map))


def npy(file: Writer, label_map: LabelMap, _rgb: RGB | None, options: Options) -> None:
    """Write class numbers, uint8 (H, W), by default zero-based."""
    write_npy(file, _numbered(label_map.labels, _base(options, default=0)))


def masks(file: Writer, label_map: LabelMap, _rgb: RGB | None, options: Options) -> None:
    """Write a zip file with one PNG per class present, 255 where the class is and 0 elsewhere.

    It is one file rather than a folder, so that it is written as a whole or not at all, and no mask
    of an earlier run stays beside the new ones.
    """
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as masks_zip:
        for index in _present(label_map, options):
            mask = (label_map.labels == index) * np.uint8(255)
            text = {"dpt:class": NAMES[index], "dpt:pixel": "255 is the class, 0 is not"}
            png = BytesIO()
            write_png(png, mask, describe(label_map) | text)
            entry = zipfile.ZipInfo(NAMES[index].replace(" ", "_") + ".png", _NO_DATE)
            masks_zip.writestr(entry, png.getbuffer())
    file.write(archive.getbuffer())


def coco(file: Writer, label_map: LabelMap, _rgb: RGB | None, options: Options) -> None:
    """Write a COCO dataset of one image: an annotation per class present, run-length encoded."""
    base, facts = _base(options, default=1), facts_of(label_map)
    height, width = label_map.labels.shape
    present = _present(label_map, options)
    annotations = [
        {
            "id": number,
            "image_id": 1,
            "category_id": region.label + base,
            "segmentation": {"size": [height, width], "counts": region.counts},
            "area": region.area_px,
            "bbox": list(region.box_px),
            "iscrowd": 0,
        }
        for number, region in enumerate(
            (it for it in regions(label_map.labels) if it.label in present), start=1
        )
    ]
    image = {"id": 1, "file_name": facts.get("photograph") or "", "height": height, "width": width}
    content = {
        "info": {"description": "made by dpt", **facts, **_numbering(base)},
        "images": [image],
        "categories": [{"id": index + base, "name": name} for index, name in enumerate(NAMES)],
        "annotations": annotations,
    }
    _write_json(file, content)


def stats(file: Writer, label_map: LabelMap, _rgb: RGB | None, options: Options) -> None:
    """Write each class present with its pixels and its share of the map, the largest first.

    With `depth`, a depth map of the same photograph, each class gets the statistics of its depth.
    """
    base, depth_map = _base(options, default=1), options.get("depth")
    if depth_map is not None and depth_map.values.shape != label_map.labels.shape:
        (height, width), (labels_h, labels_w) = depth_map.values.shape, label_map.labels.shape
        raise InputError(
            f"the depth map is {width}x{height} px and the labels are {labels_w}x{labels_h} px; "
            "make both with the same --size"
        )
    counts = np.bincount(label_map.labels.ravel(), minlength=256)
    num_pixels = max(1, label_map.labels.size)
    # Stable, so that equal shares keep the order of the classes.
    order = np.argsort(-counts[: len(NAMES)], kind="stable")
    classes = [
        {
            "id": index + base,
            "name": NAMES[index],
            "pixels": int(counts[index]),
            "share": counts[index] / num_pixels,
            **(
                {}
                if depth_map is None
                else {"depth": _statistics(depth_map.values[label_map.labels == index])}
            ),
        }
        for index in order.tolist()
        if counts[index]
    ]
    num_unknown = int(counts[len(NAMES) :].sum())
    content = {
        "map": facts_of(label_map),
        "depth_map": None if depth_map is None else facts_of(depth_map),
        **_numbering(base),
        "classes": classes,
        "unknown_pixels": num_unknown,
        "unknown_share": num_unknown / num_pixels,
    }
    _write_json(file, content, indent=1)


def _statistics(values: npt.NDArray[np.float32]) -> dict[str, float | int | None]:
    """Return statistics of the finite values, in the depth map's unit; None if there are none."""
    finite = values[np.isfinite(values)].astype(np.float64)  # whose sums are exact enough
    found: dict[str, float | None] = dict.fromkeys(("min", "mean", "median", "max", "std"))
    if finite.size:
        found = {name: float(getattr(np, name)(finite)) for name in found}
    return {"pixels": finite.size, **found}


def write_labels_png(file: Writer, label_map: LabelMap, base: int = 1) -> None:
    """Write labels as a palette PNG in ADE20K's colours.

    Args:
        file: Takes the bytes.
        label_map: The map.
        base: The number of the first class. 1: ADE20K's numbers 1 to 150, and 0 for pixels without
            a class. 0: zero-based, and 255 for pixels without a class.
    """
    text = describe(label_map) | {key: str(it) for key, it in _numbering(base, "dpt:").items()}
    text["dpt:pixel"] = (
        f"ADE20K class, {base} to {len(NAMES) - 1 + base}; {_UNKNOWN[base]} is unknown"
    )
    write_palette_png(file, _numbered(label_map.labels, base), _PALETTES[base], text)


def _base(options: Options, default: int) -> int:
    """Return the number of the first class."""
    base: int | None = options["label_base"]
    return default if base is None else base


def _numbering(base: int, prefix: str = "") -> dict[str, int]:
    return {f"{prefix}label_base": base, f"{prefix}unknown": _UNKNOWN[base]}


def _numbered(labels_0: npt.NDArray[np.uint8], base: int) -> npt.NDArray[np.uint8]:
    """Return class numbers of zero-based labels, uint8 (H, W); 150 and above have no class."""
    table = np.full(256, _UNKNOWN[base], np.uint8)
    table[: len(NAMES)] = np.arange(len(NAMES)) + base
    return table[labels_0]


def _selected(options: Options) -> list[int] | None:
    """Return the indices of the selected classes; None for all."""
    classes = options["classes"]
    return None if classes is None else [NAMES.index(name) for name in classes]


def _present(label_map: LabelMap, options: Options) -> list[int]:
    """Return the indices of the selected classes that the map has."""
    counts = np.bincount(label_map.labels.ravel(), minlength=256)[: len(NAMES)]
    selected = _selected(options)
    present: list[int] = np.flatnonzero(counts).tolist()
    return present if selected is None else [index for index in present if index in selected]


def _write_json(file: Writer, content: Mapping[str, Any], indent: int | None = None) -> None:
    # ASCII, as names of photographs may hold bytes that are not UTF-8.
    file.write(json.dumps(content, allow_nan=False, indent=indent).encode("ascii") + b"\n")
