"""Which pictures an output folder holds, by its manifest and the files that are still as made."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from dpt_cli.formats.entry import Task
from dpt_cli.formats.table import formats_of
from dpt_cli.photos.source import is_same
from dpt_cli.pipeline.manifest import Manifest

Record = Mapping[str, Any]

PAGE_NAME = "index.html"
# By task, the formats that hold values; the most exact first, the smallest last.
VALUE_FORMATS: Mapping[Task, Sequence[str]] = {
    "depth": ("npy", "npz", "tiff", "exr", "pfm", "png16"),
    "segment": ("npy", "labels"),
}
# The formats that are pictures, those with the photograph's frame first.
_FRAMED_FORMATS = ("color", "gray")
_PICTURE_FORMATS = (*_FRAMED_FORMATS, "overlay", "side")

_STAMP = {"size", "mtime_ns", "sha256"}

# To be raised with every change of what is written per picture.
_VERSION = 2


def writer_of(task: Task, kind: str) -> str:
    """Return the format that a file is of, where `kind` may be a preset for one program."""
    entry = formats_of(task).get(kind)
    return entry.writer.rpartition(".")[2] or kind if entry else kind


@dataclass
class Layer:
    """One map of a photograph.

    Attributes:
        task: `depth` or `segment`.
        record: The manifest's line for it.
        files: Its files by format, relative to the output folder.
    """

    task: Task
    record: Record
    files: dict[str, str] = field(default_factory=dict)

    @property
    def value_format(self) -> str | None:
        """Return the format to read values from; None where no file holds them."""
        return self._first(VALUE_FORMATS[self.task])

    @property
    def picture_format(self) -> str | None:
        """Return the format to show where no file holds values; None where there is none."""
        return self._first(_PICTURE_FORMATS)

    @property
    def is_framed(self) -> bool:
        """Whether the picture has the photograph's frame; beside an overlay is its legend."""
        return self._first(_FRAMED_FORMATS) is not None

    def _first(self, wanted: Sequence[str]) -> str | None:
        writers = {writer_of(self.task, kind): kind for kind in self.files}
        return next((writers[writer] for writer in wanted if writer in writers), None)


@dataclass
class Picture:
    """A photograph and its maps.

    Attributes:
        name: The photograph's name, below the folder that its maps are in.
        photograph: The photograph; None where it is gone or was changed.
        layers: Its maps, in the order in which they were made.
        key: Equal for equal contents: the name of what is written for this picture.
    """

    name: str
    photograph: Path | None
    layers: list[Layer]
    key: str

    @property
    def has_values(self) -> bool:
        """Whether a file holds the values of every map."""
        return all(layer.value_format for layer in self.layers)


@dataclass(frozen=True)
class Contents:
    """What an output folder holds.

    Attributes:
        pictures: In natural order of their names.
        left_out: Files that it does not show, each with the reason.
    """

    pictures: list[Picture]
    left_out: list[tuple[Path, str]]


def contents_of(folder: Path, manifest: Manifest) -> Contents:
    """Return the pictures of an output folder."""
    layers: dict[tuple[str, str], dict[str, Layer]] = {}
    left_out: list[tuple[Path, str]] = []
    for name, kind, record in _made(manifest):
        if not is_same(folder / name, record["files"][kind]):
            left_out.append((folder / name, "gone or changed since dpt made it"))
            continue
        task = record["settings"]["task"]
        parent = name.rpartition("/")[0]
        of_photograph = layers.setdefault((record["input"]["path"], parent), {})
        layer = of_photograph.setdefault(_identity(record), Layer(task, record))
        layer.files[kind] = name
    pictures = []
    for (path, parent), found in layers.items():
        shown = [it for it in found.values() if it.value_format or it.picture_format]
        if shown:
            pictures.append(_picture(Path(path), parent, shown))
        for layer in (it for it in found.values() if it not in shown):
            needed = ", ".join((*VALUE_FORMATS[layer.task], *_PICTURE_FORMATS))
            reason = f"nothing to show; one of {needed} would be"
            left_out += [(folder / name, reason) for name in layer.files.values()]
    pictures.sort(key=lambda picture: (_natural(picture.name), picture.key))
    return Contents(pictures, left_out)


def _made(manifest: Manifest) -> Iterator[tuple[str, str, Record]]:
    """Yield every recorded map: its name, its format and its line of the manifest."""
    for name, record in manifest.made():
        try:
            kind = next(kind for kind, made in record["outputs"].items() if made == name)
            stamps = (record["input"], record["files"][kind])
            is_map = (
                record["settings"]["task"] in VALUE_FORMATS
                and isinstance(record["input"]["path"], str)
                and all(stamp.keys() >= _STAMP for stamp in stamps)
                and bool(record["facts"]["quantity"])
            )
        except (KeyError, TypeError, AttributeError, StopIteration):
            continue
        # A manifest from elsewhere must not make the page show files outside its folder.
        if not is_map or ".." in PurePosixPath(name).parts or name.startswith("/"):
            continue
        yield name, kind, record


def _picture(path: Path, parent: str, layers: list[Layer]) -> Picture:
    stamp = layers[-1].record["input"]
    name = f"{parent}/{path.name}" if parent else path.name
    photograph = path if is_same(path, stamp) else None
    made_of = [
        _VERSION,
        name,
        stamp["sha256"] if photograph else None,
        [[layer.task, layer.record, sorted(layer.files.items())] for layer in layers],
    ]
    key = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:20]
    return Picture(name, photograph, layers, key)


def _identity(record: Record) -> str:
    """Return what is equal for two files of one map, which two runs may have written."""
    facts = record.get("facts", {})
    same = [facts.get(name) for name in ("quantity", "min", "max", "network_hw", "precision")]
    return json.dumps([record["settings"]["task"], record.get("weights_sha256"), same])


def _natural(name: str) -> list[list[tuple[int, str]]]:
    """Return a sort key by which frame 2 comes before frame 10."""
    pieces = (re.split("([0-9]+)", part) for part in name.split("/"))
    return [
        [(int(it), "") if odd % 2 else (0, it) for odd, it in enumerate(part)] for part in pieces
    ]
