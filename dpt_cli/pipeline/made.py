"""Whether a picture in a folder is a map that dpt made: by the manifest beside it or its own text.

A run over a folder that holds its own output must not take that for photographs.
"""

from pathlib import Path

from dpt_cli.errors import OutputError
from dpt_cli.pipeline.manifest import claimed_outputs

# The first text of a PNG of ours stands right behind its header and palette.
_MARK = b"tEXtSoftware\0dpt"
_HEAD_BYTES = 1024
_PNG = b"\x89PNG\r\n\x1a\n"


class MadeByDpt:
    """Knows maps from photographs; reads each folder's manifest once."""

    def __init__(self) -> None:
        self._claimed: dict[Path, frozenset[Path]] = {}

    def __call__(self, picture: Path) -> bool:
        """Return whether a picture is a map: claimed by a manifest above it, or marked as one."""
        if picture.suffix.lower() != ".png":
            return False  # no picture format of ours
        return _is_marked(picture) or any(
            picture in self._claimed_in(folder) for folder in picture.parents
        )

    def _claimed_in(self, folder: Path) -> frozenset[Path]:
        if folder not in self._claimed:
            try:
                self._claimed[folder] = claimed_outputs(folder)
            except (OutputError, OSError):
                self._claimed[folder] = frozenset()
        return self._claimed[folder]


def _is_marked(picture: Path) -> bool:
    try:
        with picture.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return False
    return head.startswith(_PNG) and _MARK in head
