"""The camera that took a photograph, as far as depth needs it."""

import math
from dataclasses import dataclass
from typing import Literal, Self

from dpt_cli.errors import ArgumentError

Source = Literal["exif", "option", "default"]
# What is assumed of a photograph without a focal length: about a 31 mm lens on 35 mm film, between
# a phone's main camera (24 to 28 mm) and a normal lens (50 mm).
DEFAULT_FOV_DEG = 60.0


@dataclass(frozen=True)
class Camera:
    """A pinhole camera with square pixels, its principal point in the middle of the map.

    Attributes:
        focal_px: Focal length in pixels of the map [px].
        source: Where that number comes from: the photograph's EXIF, the user, or an assumption.
    """

    focal_px: float
    source: Source

    @classmethod
    def from_fov(cls, fov_deg: float, map_hw: tuple[int, ...], source: Source) -> Self:
        """Return a camera with a field of view along the longer side of the map.

        Args:
            fov_deg: The field of view, above 0 and below 180 [degrees].
            map_hw: Height and width of the map [px].
            source: Where the field of view comes from.

        Raises:
            ArgumentError: The field of view is not above 0 and below 180.
        """
        if not 0 < fov_deg < 180:
            raise ArgumentError(f"a field of view of {fov_deg} degrees; it is above 0, below 180")
        return cls(max(map_hw) / 2 / math.tan(math.radians(fov_deg) / 2), source)
