"""Plan what `dpt depth` or `dpt segment` is asked to do, before any heavy import."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from dpt_cli.checkpoint.choose import choose_model
from dpt_cli.checkpoint.registry import load_registry
from dpt_cli.checkpoint.specs import CheckpointSpec, Task
from dpt_cli.cli.console import say
from dpt_cli.cli.gallery import for_gallery
from dpt_cli.cli.options import RunOptions
from dpt_cli.cli.pipe import is_single, plan_pipe
from dpt_cli.cli.report import Report, counted
from dpt_cli.photos.find import read_list
from dpt_cli.pipeline.run import Run, passed_over, plan_run
from dpt_cli.pipeline.settings import EngineSettings, RunSettings
from dpt_cli.pipeline.single import Single
from dpt_cli.predict.arguments import in_protocol


@dataclass(frozen=True)
class Order:
    """A run that is planned but not begun.

    Attributes:
        spec: The weights' row.
        options: The command's options.
        settings: What to make, and how.
        run: The run: over many photographs, or over a single one.
        report: Prints its progress.
    """

    spec: CheckpointSpec
    options: RunOptions
    settings: RunSettings
    run: Run | Single
    report: Report


def take_order(
    task: Task,
    options: RunOptions,
    format_options: Mapping[str, Any],
    **scene: Any,
) -> Order:
    """Find the photographs, plan their outputs, and print how many there are.

    Raises:
        DptError: The run cannot begin.
    """
    if options.gallery:
        options = for_gallery(task, options)
    registry = load_registry(options.registry)
    spec, remark = choose_model(registry, task, options.model, options.weights)
    if remark and not options.quiet:
        say(remark)
    _check_multiple(options.multiple_of, spec)
    spec = in_protocol(spec, options.photo_protocol, options.resolution, options.multiple_of)
    settings = RunSettings(
        formats=options.formats,
        output=options.output,
        options=format_options,
        engine=EngineSettings(
            options.weights,
            options.device,
            options.precision,
            options.engine,
            options.cuda_graphs,
            options.offline,
        ),
        resolution=options.resolution,
        multiple_of=options.multiple_of,
        batch_size=options.batch_size,
        force=options.force,
        dry_run=options.dry_run,
        max_errors=options.max_errors,
        **scene,
    )
    if is_single(options):
        single = plan_pipe(spec, options, settings)
        report = Report(1, options.quiet, options.verbose, options.as_json)
        report.say(f"1 photograph, {spec.title}")
        return Order(spec, options, settings, single, report)
    run = plan_run(spec, _inputs(options), settings)
    num_photographs = len(run.jobs) + len(run.failures)
    report = Report(num_photographs, options.quiet, options.verbose, options.as_json)
    has_more = run.found.num_skipped or run.found.num_made
    skipped = f" ({passed_over(run.found)} skipped)" if has_more else ""
    report.say(f"{counted(len(run.jobs), 'photograph')}{skipped}, {spec.title}")
    for path in run.found.skipped:
        report.ignored(path)
    return Order(spec, options, settings, run, report)


def _check_multiple(multiple_of: int | None, spec: CheckpointSpec) -> None:
    patch_px = spec.architecture.patch_px
    if multiple_of is not None and multiple_of % patch_px:
        raise click.BadParameter(
            f"{multiple_of} is no multiple of {patch_px}, the patch of {spec.name}: "
            f"give {patch_px}, {2 * patch_px}, {3 * patch_px} ...",
            param_hint="--multiple-of",
        )


def _inputs(options: RunOptions) -> tuple[Path, ...]:
    if options.nul and options.from_file is None:
        raise click.UsageError(
            "-0 says that the list of --from is separated by NUL: give a list with --from"
        )
    listed = read_list(options.from_file, nul=options.nul) if options.from_file else ()
    given = (*options.inputs, *listed)
    if not given:
        raise click.UsageError("no INPUT: name photographs or folders, or give a list with --from")
    return given
