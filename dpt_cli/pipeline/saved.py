"""A saved depth map, read back with what the user adds: distances, a camera, the photograph."""

import glob
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dpt_cli.calibration.known import KnownDistances
from dpt_cli.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from dpt_cli.maps import DepthMap


@dataclass(frozen=True)
class Saved:
    """A saved map, and its photograph where one is wanted.

    Attributes:
        depth_map: The map, in metres where it could be calibrated.
        rgb: The photograph, uint8 (H, W, 3); None where none is wanted.
        recipe: What was added, as JSON values.
    """

    depth_map: "DepthMap"
    rgb: "npt.NDArray[np.uint8] | None"
    recipe: dict[str, Any]


@dataclass(frozen=True)
class Additions:
    """What the user adds to saved maps.

    Attributes:
        known: Distances that turn relative depth into metres; None for none.
        fov_deg: Field of view of maps that have no camera [degrees]; None where it is not known.
        photographs: The folder of the photographs; None where they are not wanted.
    """

    known: KnownDistances | None = None
    fov_deg: float | None = None
    photographs: Path | None = None

    def check(self, paths: Iterable[Path]) -> list[str]:
        """Return the names of known distances for which there is no map.

        Raises:
            ArgumentError: A name stands for several maps.
        """
        if self.known is None:
            return []
        names = []
        for path in paths:
            try:
                names.append(_photograph_of(path, read_depth(path)))
            except InputError:
                continue  # reported when it is converted
        return self.known.check(names)

    def read(self, path: Path) -> Saved:
        """Read a saved map.

        Raises:
            InputError: The map or its photograph cannot be read, or does not fit.
        """
        from dpt_cli.calibration.scene import with_scene

        depth_map = read_depth(path)
        name = _photograph_of(path, depth_map)
        recipe = {
            "known": None if self.known is None else self.known.as_json(name),
            "fov_deg": self.fov_deg,
        }
        rgb, recipe["photograph"] = self._photograph(path, depth_map)
        depth_map = with_scene(depth_map, name, self.known, self.fov_deg)
        return Saved(depth_map, rgb, recipe)

    def _photograph(
        self, path: Path, depth_map: "DepthMap"
    ) -> "tuple[npt.NDArray[np.uint8] | None, str | None]":
        """Return the photograph of a map and its hash; None where none is wanted."""
        from dpt_cli.photos.decode import decode_photo
        from dpt_cli.photos.source import read_stamped

        if self.photographs is None:
            return None, None
        name = depth_map.provenance.photograph
        if name is None:
            raise InputError(f"{path} does not say which photograph it was made from")
        found = [it for it in sorted(self.photographs.rglob(glob.escape(name))) if it.is_file()]
        # Of several, the one in a folder of the same name.
        found = [it for it in found if it.parent.name == path.parent.name] or found
        if len(found) != 1:
            raise InputError(
                f"{self.photographs} holds {len(found) or 'no'} photographs named {name}; "
                "expected one"
            )
        data, stamp = read_stamped(found[0])
        rgb = decode_photo(data).rgb
        expected = depth_map.provenance.photo_hw
        if expected is not None and rgb.shape[:2] != expected:
            raise InputError(
                f"{found[0]} is {rgb.shape[1]} x {rgb.shape[0]} pixels; the map was made from "
                f"{expected[1]} x {expected[0]}"
            )
        return rgb, str(stamp["sha256"])


NOTHING_ADDED = Additions()


def read_depth(path: Path) -> "DepthMap":
    """Return a saved depth map.

    Raises:
        InputError: It cannot be read, or is no depth map.
    """
    from dpt_cli.formats.read import map_of, read_saved
    from dpt_cli.maps import DepthMap

    result = map_of(read_saved(path), path)
    if not isinstance(result, DepthMap):
        raise InputError(f"{path}: it holds labels, and only depth maps are converted")
    return result


def _photograph_of(path: Path, depth_map: "DepthMap") -> Path:
    """Return a path by which known distances may name the photograph of a map."""
    return path.with_name(depth_map.provenance.photograph or path.name)
