"""Plan what `dpt depth` or `dpt segment` is asked to do, run it, report its events and exit."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dpt_cli.checkpoint.choose import choose_model
from dpt_cli.checkpoint.registry import load_registry
from dpt_cli.checkpoint.specs import CheckpointSpec, Task
from dpt_cli.cli import memory
from dpt_cli.cli.console import say
from dpt_cli.cli.gallery import for_gallery, write_gallery
from dpt_cli.cli.options import RunOptions
from dpt_cli.cli.pipe import is_single, plan_pipe
from dpt_cli.cli.report import Report, counted, what_made
from dpt_cli.errors import INTERRUPTED, SOME_FAILED
from dpt_cli.photos.find import read_list
from dpt_cli.pipeline.events import Done, Failed, Mapped, Planned, Skipped
from dpt_cli.pipeline.plan import Job
from dpt_cli.pipeline.run import Run, StoppedError, passed_over, plan_run
from dpt_cli.pipeline.settings import EngineSettings, RunSettings
from dpt_cli.pipeline.shared_range import RAW
from dpt_cli.pipeline.single import Single
from dpt_cli.predict.arguments import in_protocol

if TYPE_CHECKING:
    from dpt_cli.engine import Engine


def run_task(
    task: Task,
    options: RunOptions,
    format_options: Mapping[str, Any],
    remarks: Sequence[str] = (),
    **scene: Any,
) -> None:
    """Turn photographs into files and exit with the code of the run.

    Nothing heavy is imported before the run is planned, so that mistakes are reported at once.

    Args:
        task: The task.
        options: The options that both tasks share.
        format_options: The options of the formats.
        remarks: Lines to print once the run is planned.
        **scene: Further fields of `RunSettings`.

    Raises:
        DptError: The run cannot begin or go on.
    """
    if options.gallery:
        options = for_gallery(task, options)
    spec, remark = choose_model(
        load_registry(options.registry), task, options.model, options.weights
    )
    if remark and not options.quiet:
        say(remark)
    _check_multiple(options.multiple_of, spec)
    spec = in_protocol(spec, options.photo_protocol, options.resolution, options.multiple_of)
    settings = _settings(options, format_options, scene)
    run: Run | Single
    if is_single(options):
        run = plan_pipe(spec, options, settings)
    else:
        run = plan_run(spec, _inputs(options), settings)
    report = _report_of(run, options)
    if isinstance(run, Run) and run.shared is not None:
        report.say(
            f"one range for all maps, which are kept as {RAW}: give all photographs each time"
        )
    for line in remarks:
        report.say(line)
    _carry_out(run, options, report)


def _settings(
    options: RunOptions, format_options: Mapping[str, Any], scene: Mapping[str, Any]
) -> RunSettings:
    return RunSettings(
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
        size=options.size,
        **scene,
    )


def _check_multiple(multiple_of: int | None, spec: CheckpointSpec) -> None:
    patch_px = spec.architecture.patch_px
    if multiple_of is not None and multiple_of % patch_px:
        raise click.BadParameter(
            f"{multiple_of} is not a multiple of {patch_px}, the patch size of {spec.name}: "
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


def _report_of(run: Run | Single, options: RunOptions) -> Report:
    """Return the report of a run, with how many photographs there are as its first line."""
    if isinstance(run, Single):
        report = Report(1, options.quiet, options.verbose, options.as_json)
        report.say(f"1 photograph, {run.spec.title}")
        return report
    num_photographs = len(run.jobs) + len(run.failures)
    report = Report(num_photographs, options.quiet, options.verbose, options.as_json)
    has_more = run.found.num_skipped or run.found.num_made
    skipped = f" ({passed_over(run.found)} skipped)" if has_more else ""
    report.say(f"{counted(len(run.jobs), 'photograph')}{skipped}, {run.spec.title}")
    for path in run.found.skipped:
        report.ignored(path)
    return report


def _carry_out(run: Run | Single, options: RunOptions, report: Report) -> None:
    """Run, report the events and the summary, and exit."""
    from dpt_cli.checkpoint.fetch import hush_hub

    is_gallery_whole = True
    hush_hub(progress_bars=not options.quiet)
    try:
        with report:
            todo = _report_events(run, report)
    except KeyboardInterrupt:
        report.interrupted()
        click.get_current_context().exit(INTERRUPTED)
    except StoppedError:
        report.summary(options.output, _what_made(run))
        raise
    if isinstance(run, Single):
        report.facts(_what_made(run))
    elif options.dry_run:
        from dpt_cli.cli.dry_run import print_plan

        print_plan(run, todo, report)
    else:
        report.summary(options.output, _what_made(run))
        if options.gallery and report.num_done + report.num_skipped:
            is_gallery_whole = write_gallery(
                options.output, force=options.force, quiet=options.quiet, as_json=options.as_json
            )
    if (report.num_failed and not options.dry_run) or not is_gallery_whole:
        click.get_current_context().exit(SOME_FAILED)


def _what_made(run: Run | Single) -> Sequence[str]:
    is_calibrated = run.settings.known is not None
    return what_made(run.spec, run.engine, is_calibrated=is_calibrated)


def _report_events(run: Run | Single, report: Report) -> list[Job]:
    """Report every event; return the jobs that a dry run would process."""
    planned: list[Job] = []
    precision = ""

    def on_loaded(engine: "Engine") -> None:
        nonlocal precision
        precision = engine.precision
        memory.loaded(keep_freed=engine.device == "cpu")
        report.begin()

    with closing(run.events(report.say, on_loaded)) as events:
        for event in events:
            if isinstance(event, Planned):
                planned.append(event.job)
                report.planned(event.job)
            elif isinstance(event, Mapped):
                report.mapped()
            elif isinstance(event, Skipped):
                report.skipped(event.job)
            elif isinstance(event, Failed):
                report.failed(event)
            elif isinstance(event, Done):
                if precision and event.facts["precision"] != precision:
                    report.redone_in_fp32(event.job, precision)
                report.done(event)
    return planned
