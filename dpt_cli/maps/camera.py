"""The camera that took a photograph, as far as depth needs it."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Camera:
    """A pinhole camera with square pixels, its principal point in the middle of the map.

    Attributes:
        focal_px: Focal length in pixels of the map [px].
        source: Where that number comes from: the photograph's EXIF, the user, or an assumption.
    """

    focal_px: float
    source: Literal["exif", "option", "default"]
