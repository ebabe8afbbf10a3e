"""`dpt depth`."""

from typing import TYPE_CHECKING, Any

import click

from dpt_cli.cli.complete import complete_colormaps
from dpt_cli.cli.options import RunOptions, run_options
from dpt_cli.cli.settings import SettingsCommand
from dpt_cli.errors import InputError

if TYPE_CHECKING:
    from dpt_cli.formats.files import Writer
    from dpt_cli.maps import DepthMap
    from dpt_cli.pipeline.local import RGB

SUFFIXES = {
    "color": "_depth.png",
    "npy": "_depth.npy",
    "pfm": "_depth.pfm",
    "png16": "_depth16.png",
}


@click.command(cls=SettingsCommand)
@run_options(tuple(SUFFIXES), default_format="color")
@click.option(
    "--colormap",
    default="inferno",
    show_default=True,
    shell_complete=complete_colormaps,
    help="Any name that matplotlib knows.",
)
@click.option("--invert", is_flag=True, help="Turn the colours round: far is bright.")
def depth(colormap: str, invert: bool, **options: Any) -> None:
    """Write depth maps of photographs.

    General weights give inverse depth: no unit, larger is nearer. hybrid-kitti and hybrid-nyu give
    metres. Files: STEM_depth.png (colour, near is bright), STEM_depth.npy and STEM_depth.pfm
    (float32, the numbers as they are), STEM_depth16.png (16 bits; relative: least to greatest,
    metric: millimetres).

    Example: dpt depth photos/ -o out/ --format color,npy
    """
    from dpt_cli.cli.order import take_order

    run = RunOptions(**options)
    if "color" in run.formats:
        _check_colormap(colormap)
    order = take_order("depth", run, SUFFIXES)

    from dpt_cli.cli.run import run_task
    from dpt_cli.formats.arrays import write_npy, write_pfm
    from dpt_cli.formats.depth import write_depth_png16
    from dpt_cli.formats.png import write_png
    from dpt_cli.maps.colors import colorize_depth
    from dpt_cli.maps.facts import describe
    from dpt_cli.predict.predictor import predict_depth

    def write(kind: str, file: "Writer", depth_map: "DepthMap", _rgb: "RGB | None") -> None:
        if kind == "color":
            text = describe(depth_map) | {
                "dpt:colormap": colormap,
                "dpt:bright": "far" if invert else "near",
            }
            write_png(file, colorize_depth(depth_map, colormap, invert=invert), text)
        elif kind == "npy":
            write_npy(file, depth_map.values)
        elif kind == "pfm":
            write_pfm(file, depth_map.values)
        else:
            write_depth_png16(file, depth_map)

    run_task(order, predict_depth, write, {"colormap": colormap, "invert": invert})


def _check_colormap(name: str) -> None:
    from dpt_cli.maps.colormaps import TABLES

    if name.removesuffix("_r") in TABLES:
        return
    from dpt_cli.maps.colors import colormap_table

    try:
        colormap_table(name)
    except InputError as error:
        raise click.BadParameter(str(error), param_hint="--colormap") from error
