"""The results: arrays that know what their numbers mean."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dpt_cli.maps.calibration import Calibration
    from dpt_cli.maps.camera import Camera
    from dpt_cli.maps.types import DepthMap, LabelMap, Provenance, Quantity

__all__ = ["Calibration", "Camera", "DepthMap", "LabelMap", "Provenance", "Quantity"]


def __getattr__(name: str) -> Any:
    # Imported on first use: the command line needs the names before it imports numpy.
    if name not in __all__:
        raise AttributeError(f"module 'dpt_cli.maps' has no attribute {name!r}")
    from dpt_cli.maps import types

    return getattr(types, name)
