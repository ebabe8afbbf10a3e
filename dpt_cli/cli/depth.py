"""`dpt depth`."""

from typing import Any

import click

from dpt_cli.cli.complete import complete_colormaps
from dpt_cli.cli.options import RunOptions, run_options
from dpt_cli.cli.settings import SettingsCommand
from dpt_cli.errors import InputError
from dpt_cli.formats.table import formats_of


@click.command(cls=SettingsCommand)
@run_options(tuple(formats_of("depth")), default_format="color")
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
    order = take_order("depth", run, {"colormap": colormap, "invert": invert})

    from dpt_cli.cli.run import run_task

    run_task(order)


def _check_colormap(name: str) -> None:
    from dpt_cli.maps.colormaps import TABLES

    if name.removesuffix("_r") in TABLES:
        return
    from dpt_cli.maps.colors import colormap_table

    try:
        colormap_table(name)
    except InputError as error:
        raise click.BadParameter(str(error), param_hint="--colormap") from error
