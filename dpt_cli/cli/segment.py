"""`dpt segment`."""

from typing import Any

import click

from dpt_cli.cli.console import put
from dpt_cli.cli.options import RunOptions, run_options
from dpt_cli.cli.settings import SettingsCommand
from dpt_cli.cli.values import NameList
from dpt_cli.formats.table import formats_of
from dpt_cli.maps.ade20k import NAMES


def _list_classes(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        for name in NAMES:
            put(name)
        ctx.exit()


@click.command(cls=SettingsCommand)
@run_options(tuple(formats_of("segment")), default_format="overlay")
@click.option(
    "--opacity",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="Of the colours over the photograph.",
)
@click.option(
    "--classes",
    type=NameList("class", NAMES),
    metavar="LIST",
    help="Paint these classes only, e.g. sky,person.",
)
@click.option(
    "--legend/--no-legend",
    default=True,
    show_default=True,
    help="Whether overlay names its classes, beside the photograph.",
)
@click.option(
    "--list-classes",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list_classes,
    help="Print the 150 classes, line N for pixel value N of STEM_labels.png, and exit.",
)
def segment(opacity: float, classes: tuple[str, ...] | None, legend: bool, **options: Any) -> None:
    """Write ADE20K segmentation maps of photographs.

    Files: STEM_segment.png (colours over the photograph, a legend beside it), STEM_labels.png
    (pixel value 1 to 150, ADE20K's numbers and colours), STEM_color.png (colours alone),
    STEM_labels.npy (uint8, zero-based).

    Example: dpt segment photo.jpg --classes sky,tree
    """
    from dpt_cli.cli.order import take_order

    order = take_order(
        "segment", RunOptions(**options), {"opacity": opacity, "classes": classes, "legend": legend}
    )
    unpainted = [kind for kind in order.options.formats if kind in ("labels", "npy")]
    if classes and unpainted:
        order.report.say(
            f"--classes changes no {' or '.join(unpainted)} file: they hold all classes"
        )
    if not legend and "overlay" not in order.options.formats:
        order.report.say("--no-legend changes nothing: only overlay has a legend")

    from dpt_cli.cli.run import run_task

    run_task(order)
