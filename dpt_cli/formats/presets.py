"""Formats for one program each: `--for NAME` writes files as that program reads them.

A preset is the writer of another format with fixed options, for maps of one quantity.
"""

from typing import Any

from dpt_cli.formats.entry import Format

_COLOR_OPTIONS = ("range", "percentile")


def _depth_png(name: str, steps_per_metre: int, read_by: str) -> Format:
    """Return a preset of 16-bit PNG: whole steps of depth, 0 where it is unknown or too far."""
    return Format(
        *("depth", name, ".png", 1.3),
        f"16-bit grey: metres x {steps_per_metre}; 0 is unknown or beyond "
        f"{65535 / steps_per_metre:.5g} m",
        quantity="depth",
        writer="depth.png16",
        fixed=(("steps_per_metre", steps_per_metre), ("too_far", "unknown")),
        read_by=read_by,
    )


def _preset(name: str, suffix: str, size: float, holds: str, **more: Any) -> Format:
    return Format("depth", name, suffix, size, holds, **more)


PRESETS: tuple[Format, ...] = (
    _preset(
        *("controlnet", ".png", 0.9),
        "8 bits, three equal channels, least to greatest as 0 to 255, near is white",
        options=_COLOR_OPTIONS,
        writer="depth.gray",
        fixed=(("channels", 3), ("invert", False)),
        read_by="ControlNet: ComfyUI, A1111, diffusers",
    ),
    _preset(
        *("blender", ".exr", 6.0),
        "float32 channel Z: metres, near is small; R, G, B: a view, near is bright",
        quantity="depth",
        writer="depth.exr",
        read_by="Blender, Nuke: the depth (Z) socket",
    ),
    _depth_png("nerfstudio", 1000, "nerfstudio: depth_file_path, depth_unit_scale_factor 0.001"),
    _preset(
        *("3dgs", ".png", 1.3),
        "16-bit grey: relative inverse depth, near is large, one range for the folder",
        options=("range",),
        shares_range=True,
        quantity="inverse_depth",
        writer="depth.png16",
        read_by="3D Gaussian Splatting: train.py -d, make_depth_scale.py",
    ),
    _depth_png("open3d", 1000, "Open3D: depth_scale 1000; raise depth_trunc, which is 3 m"),
    _depth_png("ros", 1000, "ROS: 16UC1 depth images (REP 118)"),
    _depth_png("kitti", 256, "KITTI depth devkit and its loaders"),
    _depth_png("nyu", 1000, "NYU Depth v2 and ScanNet loaders"),
    _depth_png("tum", 5000, "TUM RGB-D tools, Open3D's create_from_tum_format"),
    _preset(
        *("midas", ".pfm", 4.0),
        "portable float map: relative inverse depth, near is large, bottom row first",
        quantity="inverse_depth",
        writer="depth.pfm",
        read_by="MiDaS and what reads its PFM",
    ),
)
