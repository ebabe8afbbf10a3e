"""The formats a map can be written in, one entry each.

Adding a format is one entry here, one writer in this folder and one round-trip test. Nothing heavy
is imported before a map is written: `--help` lists this table.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from dpt_cli.formats.depth import RGB
    from dpt_cli.formats.files import Writer
    from dpt_cli.maps.types import DepthMap, LabelMap

Task = Literal["depth", "segment"]


@dataclass(frozen=True)
class Format:
    """One kind of file.

    Attributes:
        task: Whose maps it takes.
        name: The word after `--format`.
        suffix: What follows a photograph's name.
        bytes_per_pixel: Size of the file, seen on photographs; a PNG's varies by a factor of two.
        options: What decides its bytes, besides the map.
        needs_photograph: Whether the photograph is painted into it.
    """

    task: Task
    name: str
    suffix: str
    bytes_per_pixel: float
    options: tuple[str, ...] = ()
    needs_photograph: bool = False

    def write(
        self,
        file: "Writer",
        result: "DepthMap | LabelMap",
        rgb: "RGB | None",
        options: Mapping[str, Any],
    ) -> Mapping[str, int]:
        """Write a map.

        Args:
            file: Takes the bytes.
            result: The map.
            rgb: The photograph, uint8 (H, W, 3), where it is needed.
            options: The values of `options`, and others that do not matter here.

        Returns:
            What is to be reported of the file: `clipped_px`, pixels beyond what it can hold.
        """
        module = {"depth": "dpt_cli.formats.depth", "segment": "dpt_cli.formats.labels"}[self.task]
        write = getattr(importlib.import_module(module), self.name)
        return write(file, result, rgb, options) or {}


_ALL = (
    Format("depth", "color", "_depth.png", 0.6, ("colormap", "invert")),
    Format("depth", "npy", "_depth.npy", 4.0),
    Format("depth", "pfm", "_depth.pfm", 4.0),
    Format("depth", "png16", "_depth16.png", 1.3),
    Format("depth", "side", "_depth_side.png", 2.5, ("colormap", "invert"), True),
    Format("segment", "overlay", "_segment.png", 1.6, ("opacity", "classes", "legend"), True),
    Format("segment", "side", "_segment_side.png", 2.0, ("classes",), True),
    Format("segment", "labels", "_labels.png", 0.1, ("label_base",)),
    Format("segment", "color", "_color.png", 0.15, ("classes",)),
    Format("segment", "npy", "_labels.npy", 1.0, ("label_base",)),
    Format("segment", "masks", "_masks.zip", 0.2, ("classes",)),
    Format("segment", "coco", "_coco.json", 0.02, ("classes", "label_base")),
    Format("segment", "stats", "_stats.json", 0.0, ("label_base",)),
)


# The options of formats, for those who do not name them.
DEFAULT_OPTIONS: Mapping[Task, Mapping[str, Any]] = {
    "depth": {"colormap": "inferno", "invert": False},
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
        format: A name of a format; None for the first whose files end like this one.
        photograph: uint8 (H, W, 3), for `overlay`.
        overwrite: Whether to replace a file that exists.
        **options: Of the format: `colormap`, `invert`; `opacity`, `classes`, `legend`,
            `label_base`.

    Raises:
        ValueError: No such format or option, or the photograph is missing.
        OutputError: The file exists or cannot be written.
    """
    from dpt_cli.formats.files import replacing

    task: Task = "segment" if hasattr(result, "labels") else "depth"
    known, path = formats_of(task), Path(path)
    fitting = [it for it in known.values() if it.suffix.endswith(path.suffix.lower() or "/")]
    entry = known.get(format) if format else next(iter(fitting), None)
    if entry is None:
        raise ValueError(f"no format {format or path.suffix!r}; there are {', '.join(known)}")
    wrong = set(options) - set(DEFAULT_OPTIONS[task])
    if wrong:
        raise ValueError(
            f"unknown options {sorted(wrong)}; there are {list(DEFAULT_OPTIONS[task])}"
        )
    if entry.needs_photograph and photograph is None:
        raise ValueError(f"{entry.name} is painted over the photograph, which is missing")
    with replacing(path, overwrite=overwrite) as file:
        entry.write(file, result, photograph, {**DEFAULT_OPTIONS[task], **options})


def formats_of(task: Task) -> dict[str, Format]:
    """Return a task's formats by name, the default first."""
    return {entry.name: entry for entry in _ALL if entry.task == task}
