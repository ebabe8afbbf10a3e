"""`dpt segment`."""

from typing import TYPE_CHECKING, Any

import click

from dpt_cli.cli.options import RunOptions, run_options
from dpt_cli.cli.settings import SettingsCommand
from dpt_cli.cli.values import NameList
from dpt_cli.maps.ade20k import NAMES

if TYPE_CHECKING:
    from dpt_cli.checkpoint.specs import CheckpointSpec
    from dpt_cli.engine import RawOutput
    from dpt_cli.formats.files import Writer
    from dpt_cli.maps import LabelMap
    from dpt_cli.pipeline.local import RGB
    from dpt_cli.predict.predictor import Prepared

SUFFIXES = {
    "overlay": "_segment.png",
    "labels": "_labels.png",
    "color": "_color.png",
    "npy": "_labels.npy",
}


@click.command(cls=SettingsCommand)
@run_options(tuple(SUFFIXES), default_format="overlay")
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

    order = take_order("segment", RunOptions(**options), SUFFIXES)

    from dpt_cli.cli.run import run_task
    from dpt_cli.formats.arrays import write_npy
    from dpt_cli.formats.labels import write_ade20k_png
    from dpt_cli.formats.png import write_png
    from dpt_cli.maps.colors import colorize_labels, overlay_labels, with_legend
    from dpt_cli.maps.facts import describe
    from dpt_cli.predict.predictor import predict_labels

    selected = None if classes is None else [NAMES.index(name) for name in classes]

    def finish(
        raw: "RawOutput", prepared: "Prepared", _spec: "CheckpointSpec", weights: str
    ) -> "LabelMap":
        return predict_labels(raw, prepared, weights)

    def write(kind: str, file: "Writer", label_map: "LabelMap", rgb: "RGB | None") -> None:
        if kind == "overlay":
            assert rgb is not None
            painted = overlay_labels(rgb, label_map, opacity, selected)
            write_png(file, with_legend(painted, label_map, selected), describe(label_map))
        elif kind == "color":
            write_png(file, colorize_labels(label_map, selected), describe(label_map))
        elif kind == "npy":
            write_npy(file, label_map.labels)
        else:
            write_ade20k_png(file, label_map)

    settings = {"opacity": opacity, "classes": classes and sorted(classes)}
    run_task(order, finish, write, settings, keeps_photographs="overlay" in order.options.formats)
