"""What the user knows of a scene, applied to a depth map."""

from dataclasses import replace
from pathlib import Path

from dpt_cli.calibration.known import KnownDistances
from dpt_cli.maps import Camera, DepthMap


def with_scene(
    depth_map: DepthMap, photograph: Path, known: KnownDistances | None, fov_deg: float | None
) -> DepthMap:
    """Return a depth map with its camera, and in metres, as far as the user knows them.

    Args:
        depth_map: The map; a camera that it has already stays.
        photograph: The path by which `known` may name its photograph.
        known: Distances for calibration; None for none.
        fov_deg: Field of view along the longer side [degrees]; None where it is not known. It gives
            a stretched map no camera, as that has a focal length for each side.

    Raises:
        CalibrationError: The known distances give no metres.
    """
    if fov_deg is not None and depth_map.camera is None and not depth_map.is_stretched:
        camera = Camera.from_fov(fov_deg, depth_map.values.shape, "option")
        depth_map = replace(depth_map, camera=camera)
    return depth_map if known is None else known.calibrate(depth_map, photograph)
