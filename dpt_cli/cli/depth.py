"""`dpt depth`."""

from typing import Any

import click

from dpt_cli.cli.depth_options import chosen_formats, depth_options
from dpt_cli.cli.options import RunOptions, run_options
from dpt_cli.cli.scene import scene_options, take_scene
from dpt_cli.cli.settings import SettingsCommand
from dpt_cli.formats.table import format_names


@click.command(cls=SettingsCommand)
@run_options(format_names("depth"), default_format="color")
@depth_options
@scene_options
def depth(
    preset: str | None,
    colormap: str,
    invert: bool,
    value_range: Any,
    percentile: float | None,
    edge_threshold: float,
    max_points: int,
    **options: Any,
) -> None:
    """Write depth maps of photographs.

    General models give inverse depth: no unit, larger is nearer. For metres, use a metric model
    (see 'dpt models list') or --known. STEM_depth.png has colours, near is bright; npy, npz, pfm,
    exr and tiff hold the numbers as they are; png16 has 16 bits; ply and glb are point clouds.
    'dpt formats' lists every format and preset.

    Example: dpt depth photos/ -o out/ --format color,npy
    """
    options["formats"] = chosen_formats(options["formats"], preset, options["output"])
    scene = take_scene(options)
    run = RunOptions(**options)
    painting = {
        "colormap": colormap,
        "invert": invert,
        "range": value_range,
        "percentile": percentile,
        "edge_threshold": edge_threshold,
        "max_points": max_points,
    }

    from dpt_cli.cli.run import run_task

    run_task("depth", run, painting, **scene)
