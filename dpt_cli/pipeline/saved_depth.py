"""Depth maps that an earlier run saved, found by the photographs they were made of."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dpt_cli.errors import InputError
from dpt_cli.photos.source import Stamp, is_same
from dpt_cli.pipeline.manifest import MANIFEST_NAME, Manifest

if TYPE_CHECKING:
    from dpt_cli.maps import DepthMap

# The formats that hold a map's numbers, the exact and self-describing ones first.
_FORMATS = ("npz", "exr", "tiff", "npy", "pfm", "png16")


@dataclass(frozen=True)
class _Saved:
    """A saved map.

    Attributes:
        file: The file.
        stamp: Its stamp, as recorded.
        photograph_sha256: Hash of the photograph it was made of.
    """

    file: Path
    stamp: Stamp
    photograph_sha256: str


@dataclass(frozen=True)
class SavedDepth:
    """The depth maps of an output folder.

    Attributes:
        folder: The folder.
        by_photograph: For each photograph, its best file. Photographs are absolute, links followed.
    """

    folder: Path
    by_photograph: Mapping[str, _Saved]

    def check(self, photograph: Path, sha256: str) -> None:
        """Refuse a photograph without a depth map, or one that has changed since.

        Args:
            photograph: The photograph.
            sha256: Hash of its content now.

        Raises:
            InputError: It has none.
        """
        if self._of(photograph).photograph_sha256 != sha256:
            raise InputError(
                f"the photograph has changed since its depth map in {self.folder} was made; "
                "run dpt depth again"
            )

    def map_of(self, photograph: Path) -> "DepthMap":
        """Read a photograph's depth map.

        Raises:
            InputError: There is none, it cannot be read, or it has changed since it was made.
        """
        from dpt_cli.formats.read import read_map
        from dpt_cli.maps import DepthMap

        saved = self._of(photograph)
        result = read_map(saved.file)
        if not isinstance(result, DepthMap) or not is_same(saved.file, saved.stamp):
            raise InputError(f"{saved.file} has changed since dpt made it; run dpt depth again")
        return result

    def as_json(self, photograph: Path) -> Any:
        """Return what decides the depth map that is used, as a JSON value."""
        saved = self.by_photograph.get(os.path.realpath(photograph))
        return "missing" if saved is None else saved.stamp["sha256"]

    def _of(self, photograph: Path) -> _Saved:
        saved = self.by_photograph.get(os.path.realpath(photograph))
        if saved is None:
            raise InputError(
                f"{self.folder} has no depth map of it; make one with "
                f"dpt depth --format npz -o {self.folder}"
            )
        return saved


def saved_depth(folder: Path) -> SavedDepth:
    """Return the depth maps of an output folder, by its manifest.

    Raises:
        InputError: It has no manifest, or the manifest names no depth map with numbers.
        OutputError: The manifest is not one.
    """
    found: dict[str, tuple[int, _Saved]] = {}
    if (folder / MANIFEST_NAME).exists():
        with Manifest(folder, read_only=True) as manifest:
            for name, record in manifest.made():
                for rank, photograph, saved in _saved_maps(folder, name, record):
                    if photograph not in found or rank <= found[photograph][0]:
                        found[photograph] = rank, saved
    if not found:
        raise InputError(
            f"{folder} holds no depth maps that dpt can read back; make them with "
            f"dpt depth --format npz -o {folder}"
        )
    return SavedDepth(folder, {photograph: saved for photograph, (_, saved) in found.items()})


def _saved_maps(
    folder: Path, name: str, record: Mapping[str, Any]
) -> Iterator[tuple[int, str, _Saved]]:
    """Yield the saved map that an output is, with its rank among formats and its photograph."""
    try:
        kind = next(kind for kind, output in record["outputs"].items() if output == name)
        is_depth = record["facts"]["quantity"] in ("depth", "inverse_depth")
        saved = _Saved(folder / name, record["files"][kind], record["input"]["sha256"])
        photograph = record["input"]["path"]
    except (KeyError, TypeError, AttributeError, StopIteration):
        return
    if is_depth and kind in _FORMATS and isinstance(photograph, str):
        yield _FORMATS.index(kind), photograph, saved
