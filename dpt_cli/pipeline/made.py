"""What manifests say before a run: which pictures dpt made, and which names are in use.

A run over a folder that holds its own output must not take its maps for photographs.
"""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from dpt_cli.checkpoint.specs import TASKS
from dpt_cli.errors import OutputError
from dpt_cli.formats.table import formats_of
from dpt_cli.pipeline.manifest import Manifest

# How the pictures that dpt writes begin, and what names their software in the first bytes: a text
# right behind a PNG's header and palette, a tag of a TIFF.
_MARKS = {
    b"\x89PNG\r\n\x1a\n": b"tEXtSoftware\0dpt",
    b"II*\0": b"\x31\x01\x02\0\x04\0\0\0dpt\0",
}
_HEAD_BYTES = 1024
_SUFFIXES = tuple({entry.suffix for task in TASKS for entry in formats_of(task).values()})


class MadeByDpt:
    """Tells maps from photographs; reads each folder's manifest once."""

    def __init__(self) -> None:
        self._manifests: dict[Path, Manifest] = {}
        self._claimed: dict[Path, frozenset[Path]] = {}

    def __call__(self, picture: Path) -> bool:
        """Return whether a picture is a map: claimed by a manifest above it, or marked as one."""
        if picture.suffix.lower() not in (".png", ".tif", ".tiff"):
            return False  # dpt writes no other pictures
        return _is_marked(picture) or any(
            picture in self._claimed_in(folder) for folder in picture.parents
        )

    def names_in(self, folder: Path) -> Callable[[Path, Path], bool] | None:
        """Return a function of a stem and a photograph: whether outputs have that stem already.

        Outputs of any format or task count, as they keep the name of a photograph together. None if
        the folder has no outputs.
        """
        manifest = self._manifest(folder)
        by_stem: dict[str, list[str]] = defaultdict(list)
        for name in manifest.names:
            for suffix in _SUFFIXES:
                if name.endswith(suffix):
                    by_stem[name.removesuffix(suffix)].append(name)

        if not by_stem:
            return None

        def is_named(stem: Path, photograph: Path) -> bool:
            names = by_stem.get(stem.as_posix(), ())
            return any(manifest.is_of(name, photograph) for name in names)

        return is_named

    def _claimed_in(self, folder: Path) -> frozenset[Path]:
        if folder not in self._claimed:
            names = self._manifest(folder).names
            self._claimed[folder] = frozenset(folder / name for name in names)
        return self._claimed[folder]

    def _manifest(self, folder: Path) -> Manifest:
        if folder not in self._manifests:
            self._manifests[folder] = manifest = Manifest(folder, read_only=True)
            try:
                with manifest:
                    pass  # entering reads it
            except (OutputError, OSError):
                pass  # not a manifest: it claims nothing
        return self._manifests[folder]


def _is_marked(picture: Path) -> bool:
    try:
        with picture.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return False
    return any(head.startswith(start) and mark in head for start, mark in _MARKS.items())
