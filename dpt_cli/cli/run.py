"""What `depth` and `segment` share: load, run, remember, report, exit."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from dpt_cli.batch import RGB, Failed, Stages, run
from dpt_cli.cli.dry_run import tell_plan
from dpt_cli.cli.facts import facts_of
from dpt_cli.cli.late_engine import Finish, LateEngine, Write
from dpt_cli.cli.options import RunOptions
from dpt_cli.cli.order import Order
from dpt_cli.cli.pipe import run_pipe
from dpt_cli.cli.report import Report
from dpt_cli.decode import read_rgb
from dpt_cli.errors import DptError, OutputError
from dpt_cli.manifest import Manifest, Recipe, Stamp, stamp_of
from dpt_cli.plan import Job
from dpt_cli.predict import MapT, infer, prepare
from dpt_cli.writers import is_temporary

_SOME_FAILED = 3
_INTERRUPTED = 130


def run_task(
    order: Order, finish: Finish[MapT], write: Write[MapT], settings: Mapping[str, Any]
) -> None:
    """Turn photographs into files and end with the run's exit code.

    Args:
        order: What to do.
        finish: Raw output to map.
        write: Map, photograph and output paths by format to files.
        settings: The command's own options that decide the bytes of its files.

    Raises:
        DptError: Nothing could be done, or nothing more.
    """
    spec, options, jobs, report = order.spec, order.options, order.jobs, order.report
    if order.is_piped:
        run_pipe(order, finish, write)
        return
    engine = LateEngine(spec, options, report)
    shared = {
        "task": order.task,
        "target_hw": list(options.resolution or spec.input.target_hw),
        "multiple_of": options.multiple_of,
        "precision": options.precision,
        "engine": options.engine,
    }
    with Manifest(options.output, read_only=options.dry_run) as manifest:
        if not options.dry_run:
            manifest.sweep(is_temporary)
        memory = _Memory(manifest, engine, {**shared, **settings}, write)
        todo = _undone(jobs, memory, report, force=options.force)
        if options.dry_run:
            tell_plan(jobs, todo, spec, options, report)
            return
        if todo:
            engine.load_ahead()
        stages = Stages(
            decode=memory.decode,
            prepare=lambda rgb: prepare(rgb, spec, options.resolution, options.multiple_of),
            load=engine.load,
            infer=lambda batch: infer(engine, batch),
            finish=lambda raw, prepared: finish(raw, prepared, spec, engine.weights.label),
            write=memory.write,
        )
        try:
            with report:
                _run(todo, stages, options, engine, memory, report)
        except KeyboardInterrupt:
            report.interrupted()
            click.get_current_context().exit(_INTERRUPTED)
        except _TooManyErrorsError:
            report.summary(options.output, engine.facts())
            raise
    report.summary(options.output, engine.facts())
    if report.num_failed:
        click.get_current_context().exit(_SOME_FAILED)


def _undone(jobs: Sequence[Job], memory: "_Memory", report: Report, *, force: bool) -> list[Job]:
    """Return the jobs to do; tell of those done before and of those in the way of others' files."""
    todo = []
    for job in jobs:
        decision = "do" if force else memory.decide(job)
        if decision == "do":
            todo.append(job)
        elif decision == "skip":
            report.skipped(job)
        else:
            error = OutputError("its output exists and was not made from it here; see --force")
            report.failed(Failed(job, error))
    return todo


def _run(
    jobs: Sequence[Job],
    stages: Stages[MapT],
    options: RunOptions,
    engine: "LateEngine",
    memory: "_Memory",
    report: Report,
) -> None:
    # Closed before the manifest: what is being written when the run is stopped is still recorded.
    with closing(run(jobs, stages, options.batch_size)) as outcomes:
        for outcome in outcomes:
            if isinstance(outcome, Failed):
                memory.failed(outcome)
                report.failed(outcome)
                if options.max_errors and report.num_failed >= options.max_errors:
                    raise _TooManyErrorsError(
                        f"stopped after {report.num_failed} errors, as --max-errors says; "
                        "the same command continues"
                    )
                continue
            if outcome.result.precision != engine.precision:
                report.redone_in_fp32(outcome.job, engine.precision)
            report.done(outcome, memory.seconds(outcome.job), engine.identity())


class _TooManyErrorsError(DptError):
    """More photographs failed than the user allows."""


class _Memory:
    """What a run remembers of each photograph, on its way and in the folder's manifest."""

    def __init__(
        self,
        manifest: Manifest,
        engine: "LateEngine",
        settings: Mapping[str, Any],
        write: Callable[..., None],
    ) -> None:
        self._manifest, self._engine, self._write = manifest, engine, write
        self._settings = dict(settings)
        self._begun: dict[Path, tuple[Stamp, float]] = {}
        self._seconds: dict[Path, float] = {}

    def decide(self, job: Job) -> str:
        # Without records or outputs nothing can be skipped, and the weights need not be known.
        may_be_done = self._manifest.num_records and any(map(os.path.lexists, job.outputs.values()))
        sha256 = self._engine.expected_sha256 if may_be_done else ""
        return self._manifest.decide(
            job.photograph, job.outputs, Recipe(self._settings, "", sha256)
        )

    def decode(self, job: Job) -> RGB:
        self._begun[job.photograph] = (stamp_of(job.photograph), time.monotonic())
        return read_rgb(job.photograph)

    def write(self, result: Any, rgb: RGB, job: Job) -> None:
        stamp, started = self._begun.pop(job.photograph)
        self._manifest.begin(job.photograph, job.outputs)
        self._write(result, rgb, job.outputs)
        seconds = round(time.monotonic() - started, 3)
        self._seconds[job.photograph] = seconds
        facts = {**facts_of(result), "device": self._engine.device, "seconds": seconds}
        self._manifest.done(job.photograph, stamp, job.outputs, self._recipe(), facts)

    def failed(self, outcome: Failed) -> None:
        self._begun.pop(outcome.job.photograph, None)
        self._manifest.failed(outcome.job.photograph, str(outcome.error))

    def seconds(self, job: Job) -> float:
        return self._seconds.pop(job.photograph)

    def _recipe(self) -> Recipe:
        weights = self._engine.weights
        return Recipe(self._settings, weights.label, weights.sha256)
