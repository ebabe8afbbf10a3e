"""`dpt segment`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dpt_cli.cli.console import put
from dpt_cli.cli.options import RunOptions, run_options
from dpt_cli.cli.settings import SettingsCommand
from dpt_cli.cli.values import NameList
from dpt_cli.formats.table import formats_of
from dpt_cli.maps.ade20k import NAMES
from dpt_cli.photos.find import STDIN

if TYPE_CHECKING:
    from dpt_cli.pipeline.saved_depth import SavedDepth


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
    help="Opacity of the colours over the photograph.",
)
@click.option(
    "--classes",
    type=NameList("class", NAMES),
    metavar="LIST",
    help="Paint or write only these classes, e.g. sky,person.",
)
@click.option(
    "--legend/--no-legend",
    default=True,
    show_default=True,
    help="Whether overlay has a legend beside the photograph.",
)
@click.option(
    "--label-base",
    type=click.IntRange(0, 1),
    metavar="0|1",
    help="Number of the first class: by default 0 in npy and 1 elsewhere. Pixels without a class "
    "are 255 where classes start at 0, and 0 where they start at 1.",
)
@click.option(
    "--depth-stats",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Output folder of dpt depth for the same photographs: stats gets the depth of each class.",
)
@click.option(
    "--list-classes",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list_classes,
    help="Print the 150 classes, line N for class N when counted from 1, and exit.",
)
def segment(
    opacity: float,
    classes: tuple[str, ...] | None,
    legend: bool,
    label_base: int | None,
    depth_stats: Path | None,
    **options: Any,
) -> None:
    """Write ADE20K segmentation maps of photographs.

    Files: STEM_segment.png (colours over the photograph, a legend beside it), STEM_labels.png
    (pixel value 1 to 150, ADE20K's numbers and colours), STEM_color.png (colours alone),
    STEM_labels.npy (uint8, zero-based), STEM_segment_side.png (the photograph beside the colours),
    STEM_masks.zip (one PNG per class), STEM_coco.json (COCO run lengths, areas and boxes),
    STEM_stats.json (the share of each class, and with --depth-stats its depth).

    Example: dpt segment photo.jpg --classes sky,tree
    """
    format_options = {
        "opacity": opacity,
        "classes": classes,
        "legend": legend,
        "label_base": label_base,
    }
    from dpt_cli.cli.pipe import formats_named

    options["formats"] = formats_named("segment", options["formats"], options["output"])
    run, known, remarks = RunOptions(**options), formats_of("segment"), []
    all_classes = [kind for kind in run.formats if "classes" not in known[kind].options]
    if classes and all_classes:
        remarks.append(f"--classes does not apply to {' or '.join(all_classes)}: they hold all")
    for option, flag, is_given in (
        ("legend", "--no-legend", not legend),
        ("label_base", "--label-base", label_base is not None),
    ):
        takers = [kind for kind in known if option in known[kind].options]
        if is_given and not set(takers) & set(run.formats):
            remarks.append(f"{flag} has no effect: it applies to {', '.join(takers)}")

    from dpt_cli.cli.run import run_task

    run_task("segment", run, format_options, remarks, depth=_saved_depth(depth_stats, run))


def _saved_depth(folder: Path | None, run: RunOptions) -> "SavedDepth | None":
    if folder is None:
        return None
    if "stats" not in run.formats:
        raise click.UsageError("--depth-stats is for --format stats: name that format")
    if STDIN in run.inputs:
        raise click.UsageError(
            "--depth-stats finds a depth map by the path of its photograph: give the path, not '-'"
        )
    from dpt_cli.pipeline.saved_depth import saved_depth

    return saved_depth(folder)
