"""The options of depth formats, which `depth` and `convert` share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from dpt_cli.cli.complete import complete_colormaps
from dpt_cli.cli.options import with_options
from dpt_cli.cli.values import ValueRange
from dpt_cli.errors import InputError
from dpt_cli.formats.presets import PRESETS
from dpt_cli.formats.table import DEFAULT_OPTIONS

F = TypeVar("F", bound=Callable[..., Any])


def depth_options(function: F) -> F:
    """Add the options that decide how a depth map is written."""
    options = [
        click.option(
            "--for",
            "preset",
            type=click.Choice([preset.name for preset in PRESETS]),
            metavar="PROGRAM",
            help="Write files as a program reads them, instead of --format: "
            f"{', '.join(preset.name for preset in PRESETS)}.",
        ),
        click.option(
            "--colormap",
            default="inferno",
            show_default=True,
            callback=_check_colormap,
            shell_complete=complete_colormaps,
            help="Any name that matplotlib knows.",
        ),
        click.option("--invert", is_flag=True, help="Turn the colours round: far is bright."),
        click.option(
            "--range",
            "value_range",
            type=ValueRange(),
            metavar="A,B|folder",
            help="Values that get the first and the last colour, or 0 and 65535 in a relative "
            "png16; folder: one range for all maps, which are kept as npz.  [default: each map's "
            "own]",
        ),
        click.option(
            "--percentile",
            type=click.FloatRange(0, 50, max_open=True),
            metavar="P",
            help="Leave out the P per cent of pixels at each end of the colours' range.",
        ),
        click.option(
            "--edge-threshold",
            type=click.FloatRange(min=0),
            default=DEFAULT_OPTIONS["depth"]["edge_threshold"],
            show_default=True,
            metavar="SHARE",
            help="Drop points where the depth beside them differs by more than this share; "
            "0 keeps all.",
        ),
        click.option(
            "--max-points",
            type=click.IntRange(min=0),
            default=DEFAULT_OPTIONS["depth"]["max_points"],
            show_default=True,
            metavar="N",
            help="Thin a point cloud out evenly to N points; 0 keeps all.",
        ),
    ]

    return with_options(function, options)


def chosen_formats(formats: tuple[str, ...], preset: str | None, output: Path) -> tuple[str, ...]:
    """Return the formats to write: the preset's, those named, or the one an output file names.

    Raises:
        click.UsageError: Options exclude each other.
    """
    ctx = click.get_current_context()
    is_named = ctx.get_parameter_source("formats") is ParameterSource.COMMANDLINE
    if ctx.params.get("value_range") is not None and ctx.params.get("percentile") is not None:
        raise click.UsageError("--range and --percentile both set the range: give one")
    if preset is not None:
        if is_named:
            raise click.UsageError("--for and --format both name the format: give one")
        return (preset,)
    from dpt_cli.cli.pipe import formats_named

    return formats_named("depth", formats, output)


def _check_colormap(_ctx: click.Context, _param: click.Parameter, name: str) -> str:
    from dpt_cli.maps.colormaps import TABLES

    if name.removesuffix("_r") not in TABLES:
        from dpt_cli.maps.colors import colormap_table

        try:
            colormap_table(name)
        except InputError as error:
            raise click.BadParameter(str(error)) from error
    return name
