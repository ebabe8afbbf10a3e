"""`dpt convert`."""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dpt_cli.cli.depth_options import chosen_formats, depth_options
from dpt_cli.cli.info import rounding, rounding_before
from dpt_cli.cli.options import debug_option
from dpt_cli.cli.scene import scene_options, take_scene
from dpt_cli.cli.values import InputPath, NameList
from dpt_cli.errors import INTERRUPTED, SOME_FAILED
from dpt_cli.formats.table import format_names, format_of, formats_of

if TYPE_CHECKING:
    from dpt_cli.cli.report import Report
    from dpt_cli.pipeline.convert import Conversion

_FORMATS = format_names("depth")

# What is lost, by the fact that holds the step.
_ROUNDINGS = {"rounded_to": "rounded before, to", "step": "16 bits round to"}


@click.command()
@click.argument("inputs", nargs=-1, required=True, metavar="IN...", type=InputPath())
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR|FILE",
    help="Where files are written, an input folder's tree kept; or one file.",
)
@click.option(
    "--format",
    "formats",
    type=NameList("format", _FORMATS),
    default="color",
    show_default=True,
    metavar="LIST",
    help=f"Comma-separated: {', '.join(_FORMATS)}.",
)
@depth_options
@scene_options
@click.option(
    "--photographs",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="Where the photographs are, for the colours of points and for side.",
)
@click.option(
    "-f", "--force", is_flag=True, help="Redo what is done, and overwrite files dpt did not make."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per map on stdout.")
@click.option("-q", "--quiet", is_flag=True, help="Print paths and errors only.")
@debug_option
def convert(
    inputs: tuple[Path, ...],
    output: Path,
    formats: tuple[str, ...],
    preset: str | None,
    value_range: Any,
    force: bool,
    as_json: bool,
    quiet: bool,
    photographs: Path | None,
    **painting: Any,
) -> None:
    """Write saved depth maps in other formats, colours or ranges, without the network.

    Reads .npz, .exr, .tiff and 16-bit .png files that dpt wrote, and .npy and .pfm files that the
    manifest of their folder describes. The files are those that 'dpt depth' would have written.

    Example: dpt convert dpt-out/ -o colours/ --range folder
    """
    from dpt_cli.cli.report import Report
    from dpt_cli.pipeline.convert import plan_conversion
    from dpt_cli.pipeline.saved import Additions

    names = chosen_formats(formats, preset, output)
    is_file = not output.is_dir() and format_of("depth", output) is not None
    if is_file:
        _check_file(inputs, output, names)
    if photographs is None:
        _check_shows_no_photograph(names)
    additions = Additions(**take_scene(painting), photographs=photographs)
    options = {**painting, "range": value_range}
    conversion = plan_conversion(
        inputs, output, names, options, is_file=is_file, force=force, additions=additions
    )
    num_maps = len(conversion.jobs) + len(conversion.failures)
    report = Report(num_maps, quiet, verbose=False, as_json=as_json)
    try:
        with report:
            roundings = _report(conversion, report)
    except KeyboardInterrupt:
        report.interrupted()
        click.get_current_context().exit(INTERRUPTED)
    report.summary(output, roundings)
    if report.num_failed:
        click.get_current_context().exit(SOME_FAILED)


def _check_shows_no_photograph(formats: tuple[str, ...]) -> None:
    for name in formats:
        entry = formats_of("depth")[name]
        if entry.needs_photograph and not entry.can_lack_photograph:
            raise click.UsageError(
                f"{name} shows the photograph: give its folder with --photographs"
            )


def _check_file(inputs: tuple[Path, ...], output: Path, formats: tuple[str, ...]) -> None:
    if len(inputs) != 1 or inputs[0].is_dir():
        raise click.UsageError(f"-o {output} names a file, which takes exactly one map")
    if len(formats) != 1:
        raise click.UsageError(f"-o {output} names one file: name one format with --format")
    extension = formats_of("depth")[formats[0]].extension
    if output.suffix.lower() != extension:
        raise click.UsageError(
            f"-o {output}: {formats[0]} is written as {extension}; choose another name or format"
        )


def _report(conversion: "Conversion", report: "Report") -> list[str]:
    """Report every event; return what was lost by rounding, one line each."""
    from dpt_cli.pipeline.events import Done, Failed

    coarsest: dict[str, Done] = {}
    with closing(conversion.events(report.say)) as events:
        for event in events:
            if isinstance(event, Done):
                report.done(event)
                for key in event.facts.keys() & _ROUNDINGS.keys():
                    known = coarsest.get(key)
                    if known is None or event.facts[key] > known.facts[key]:
                        coarsest[key] = event
            elif isinstance(event, Failed):
                report.failed(event)
            else:
                report.skipped(event.job)
    return [
        f"{_ROUNDINGS[key]} steps of "
        + (
            rounding_before(event.facts)
            if key == "rounded_to"
            else rounding(event.facts[key], event.facts)
        )
        + (f" in {event.job.photograph}, the coarsest" if report.num_done > 1 else "")
        for key, event in coarsest.items()
    ]
