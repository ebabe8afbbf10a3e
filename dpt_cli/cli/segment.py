"""`dpt segment`."""

from typing import Any

import click

from dpt_cli.cli.options import RunOptions, run_options
from dpt_cli.cli.settings import SettingsCommand
from dpt_cli.cli.values import NameList
from dpt_cli.formats.table import formats_of
from dpt_cli.maps.ade20k import NAMES


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
def segment(opacity: float, classes: tuple[str, ...] | None, **options: Any) -> None:
    """Write ADE20K segmentation maps of photographs.

    Files: STEM_segment.png (colours over the photograph, a legend beside it), STEM_labels.png
    (pixel value 1 to 150, ADE20K's numbers and colours), STEM_color.png (colours alone),
    STEM_labels.npy (uint8, zero-based).

    Example: dpt segment photo.jpg --classes sky,tree
    """
    from dpt_cli.cli.order import take_order

    order = take_order("segment", RunOptions(**options), {"opacity": opacity, "classes": classes})

    from dpt_cli.cli.run import run_task

    run_task(order)
