"""Carry out what `dpt depth` or `dpt segment` planned: report its events and exit."""

from collections.abc import Sequence
from contextlib import closing

import click

from dpt_cli.checkpoint.fetch import hush_hub
from dpt_cli.cli import memory
from dpt_cli.cli.dry_run import print_plan
from dpt_cli.cli.gallery import write_gallery
from dpt_cli.cli.order import Order
from dpt_cli.cli.report import what_made
from dpt_cli.engine import Engine
from dpt_cli.errors import INTERRUPTED, SOME_FAILED
from dpt_cli.pipeline.events import Done, Failed, Planned, Skipped
from dpt_cli.pipeline.plan import Job
from dpt_cli.pipeline.run import StoppedError
from dpt_cli.pipeline.single import Single


def run_task(order: Order) -> None:
    """Turn photographs into files and exit with the code of the run.

    Raises:
        DptError: The run could not begin or go on.
    """
    options, report, run = order.options, order.report, order.run
    is_whole = True  # the gallery
    hush_hub(progress_bars=not options.quiet)
    try:
        with report:
            todo = _report(order)
    except KeyboardInterrupt:
        report.interrupted()
        click.get_current_context().exit(INTERRUPTED)
    except StoppedError:
        report.summary(options.output, _what_made(order))
        raise
    if isinstance(run, Single):
        report.facts(_what_made(order))
    elif options.dry_run:
        print_plan(run, todo, report)
    else:
        report.summary(options.output, _what_made(order))
        if options.gallery and report.num_done + report.num_skipped:
            is_whole = write_gallery(
                options.output, force=options.force, quiet=options.quiet, as_json=options.as_json
            )
    if (report.num_failed and not options.dry_run) or not is_whole:
        click.get_current_context().exit(SOME_FAILED)


def _what_made(order: Order) -> Sequence[str]:
    is_calibrated = order.settings.known is not None
    return what_made(order.spec, order.run.engine, is_calibrated=is_calibrated)


def _report(order: Order) -> list[Job]:
    """Report every event; return the jobs that a dry run would process."""
    report = order.report
    planned: list[Job] = []
    precision = ""

    def on_loaded(engine: Engine) -> None:
        nonlocal precision
        precision = engine.precision
        memory.loaded(keep_freed=engine.device == "cpu")
        report.begin()

    with closing(order.run.events(report.say, on_loaded)) as events:
        for event in events:
            if isinstance(event, Planned):
                planned.append(event.job)
                report.planned(event.job)
            elif isinstance(event, Skipped):
                report.skipped(event.job)
            elif isinstance(event, Failed):
                report.failed(event)
            elif isinstance(event, Done):
                if event.facts["precision"] != precision:
                    report.redone_in_fp32(event.job, precision)
                report.done(event)
    return planned
