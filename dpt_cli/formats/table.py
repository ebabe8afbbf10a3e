"""The formats a map can be written in, one entry each.

Adding a format is one entry here, one writer in this folder and one round-trip test. Nothing heavy
is imported before a map is written: `--help` lists this table.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dpt_cli.errors import ArgumentError, OutputError
from dpt_cli.formats.entry import Format, Task
from dpt_cli.formats.presets import PRESETS

if TYPE_CHECKING:
    from dpt_cli.formats.depth import RGB
    from dpt_cli.maps.types import DepthMap, LabelMap

_COLORS = ("colormap", "invert", "range", "percentile")

_ALL = (
    Format("depth", "color", "_depth.png", 0.6, "colours, near is bright", _COLORS),
    Format("depth", "npy", "_depth.npy", 4.0, "float32, unchanged, nothing else"),
    Format("depth", "pfm", "_depth.pfm", 4.0, "float32, unchanged, bottom row first"),
    Format(
        *("depth", "png16", "_depth16.png", 1.3),
        "16-bit grey; metric: millimetres, relative: least to greatest",
        ("range",),
    ),
    Format("depth", "npz", "_depth.npz", 3.5, "float32, unchanged, packed, with its description"),
    Format(
        *("depth", "exr", "_depth.exr", 5.0),
        "float32 channel Z, unchanged; R, G, B: a view, near is bright",
    ),
    Format("depth", "tiff", "_depth.tiff", 4.0, "float32, unchanged, with its description"),
    Format(
        *("depth", "gray", "_depth_gray.png", 0.3),
        "8-bit grey, near is white",
        ("invert", "range", "percentile"),
    ),
    Format(
        *("depth", "side", "_depth_side.png", 2.5),
        "the photograph, its colours and a bar with values",
        _COLORS,
        needs_photograph=True,
    ),
    *(
        Format(
            *("depth", name, suffix, 15.0),
            f"a coloured point cloud in metres: {axes}",
            ("edge_threshold", "max_points"),
            needs_photograph=True,
            can_lack_photograph=True,
            quantity="depth",
            writer=f"points.{name}",
        )
        for name, suffix, axes in (
            ("ply", "_points.ply", "x right, y down, z forward"),
            ("glb", "_points.glb", "x right, y up, z backward"),
        )
    ),
    Format(
        *("segment", "overlay", "_segment.png", 1.6),
        "the photograph, its classes painted over it, a legend",
        ("opacity", "classes", "legend"),
        needs_photograph=True,
    ),
    Format(
        *("segment", "side", "_segment_side.png", 2.0),
        "the photograph beside the colours of its classes",
        ("classes",),
        needs_photograph=True,
    ),
    Format(
        *("segment", "labels", "_labels.png", 0.1),
        "palette PNG with ADE20K's numbers",
        ("label_base",),
    ),
    Format("segment", "color", "_color.png", 0.15, "the colours of the classes", ("classes",)),
    Format("segment", "npy", "_labels.npy", 1.0, "uint8, zero-based", ("label_base",)),
    Format("segment", "masks", "_masks.zip", 0.1, "one PNG per class present", ("classes",)),
    Format(
        *("segment", "coco", "_coco.json", 0.04),
        "COCO annotations: run lengths, areas, boxes",
        ("classes", "label_base"),
    ),
    Format("segment", "stats", "_stats.json", 0.0, "the share of each class", ("label_base",)),
    *PRESETS,
)


# The values of options that are not given.
DEFAULT_OPTIONS: Mapping[Task, Mapping[str, Any]] = {
    "depth": {
        **{"colormap": "inferno", "invert": False, "range": None, "percentile": None},
        **{"edge_threshold": 0.04, "max_points": 1_000_000},
    },
    "segment": {"opacity": 0.5, "classes": None, "legend": True, "label_base": None},
}


def save(
    result: "DepthMap | LabelMap",
    path: str | Path,
    format: str | None = None,  # noqa: A002  # the word of the command line
    *,
    photograph: "RGB | None" = None,
    overwrite: bool = False,
    **options: Any,
) -> None:
    """Write a map to a file, whole or not at all.

    Args:
        result: The map.
        path: The file.
        format: The name of a format or preset; None for the first whose files end like this one.
        photograph: uint8 (H, W, 3), for formats that show it.
        overwrite: Whether to replace a file that exists.
        **options: Of the format: `colormap`, `invert`, `range`, `percentile`, `edge_threshold`,
            `max_points`; `opacity`, `classes`, `legend`, `label_base`.

    Raises:
        ValueError: No such format or option, the photograph is missing, or the format holds metres
            and the map does not.
        OutputError: The file exists or cannot be written.
    """
    from dpt_cli.formats.files import replacing

    task: Task = "segment" if hasattr(result, "labels") else "depth"
    known, path = formats_of(task), Path(path)
    entry = known.get(format) if format else format_of(task, path)
    if entry is None:
        raise ValueError(f"no format {format or path.suffix!r}; there are {', '.join(known)}")
    wrong = set(options) - set(DEFAULT_OPTIONS[task])
    if wrong:
        raise ValueError(
            f"unknown options {sorted(wrong)}; there are {list(DEFAULT_OPTIONS[task])}"
        )
    if photograph is None and entry.needs_photograph and not entry.can_lack_photograph:
        raise ValueError(f"{entry.name} is painted over the photograph, which is missing")
    if entry.quantity == "depth" and getattr(result, "quantity", None) != "depth":
        raise ArgumentError(
            f"{entry.name} holds metres, but this map is relative inverse depth: predict it with a "
            "metric model (see dpt models list), or use dpt_cli.calibrate"
        )
    if not overwrite and os.path.lexists(path):
        raise OutputError(f"{path} exists; pass overwrite=True to replace it")
    with replacing(path, overwrite=overwrite) as file:
        entry.write(file, result, photograph, {**DEFAULT_OPTIONS[task], **options})


def formats_of(task: Task) -> dict[str, Format]:
    """Return a task's formats by name, the default first and the presets last."""
    return {entry.name: entry for entry in _ALL if entry.task == task}


def format_names(task: Task) -> tuple[str, ...]:
    """Return the names of a task's formats, without presets."""
    return tuple(name for name, entry in formats_of(task).items() if not entry.read_by)


def format_of(task: Task, path: Path) -> Format | None:
    """Return the format that a file's name stands for: by its whole suffix, else its extension."""
    known = [entry for entry in formats_of(task).values() if not entry.read_by]
    name = path.name.lower()
    by_suffix = [entry for entry in known if name.endswith(entry.suffix)]
    by_extension = [entry for entry in known if name.endswith(entry.extension)]
    return next(iter(by_suffix + by_extension), None)
