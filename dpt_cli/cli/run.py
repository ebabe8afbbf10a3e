"""What `depth` and `segment` share: load, run, record, report, exit."""

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import click

from dpt_cli.cli.dry_run import tell_plan
from dpt_cli.cli.late_engine import Finish, LateEngine, Write
from dpt_cli.cli.options import RunOptions
from dpt_cli.cli.order import Order
from dpt_cli.cli.pipe import run_pipe
from dpt_cli.cli.report import Report
from dpt_cli.errors import DptError, InputError, OutputError, UnexpectedError
from dpt_cli.formats.files import Draft, is_temporary
from dpt_cli.maps.facts import facts_of
from dpt_cli.photos.decode import decode_rgb
from dpt_cli.photos.find import BadInput
from dpt_cli.photos.source import Stamp, read_stamped
from dpt_cli.pipeline.local import RGB, Done, Failed, Stages, run
from dpt_cli.pipeline.manifest import Manifest, Recipe
from dpt_cli.pipeline.plan import Job
from dpt_cli.predict.predictor import MapT, infer, prepare

_SOME_FAILED = 3
_INTERRUPTED = 130
# So many photographs in a row that fail for the same unforeseen cause: the next would, too.
_MAX_IN_A_ROW = 5

_UNTOUCHED = {
    "foreign": "output already exists and was not made from this photograph by dpt",
    "edited": "output was changed since dpt made it",
}


def run_task(
    order: Order,
    finish: Finish[MapT],
    write: Write[MapT],
    settings: Mapping[str, Any],
    *,
    keeps_photographs: bool = False,
) -> None:
    """Turn photographs into files and end with the run's exit code.

    Args:
        order: What to do.
        finish: Raw output to map.
        write: Writes a map in one format into a file.
        settings: The command's own options that decide the bytes of its files.
        keeps_photographs: Whether `write` needs the photograph.

    Raises:
        DptError: Nothing could be done, or nothing more.
    """
    spec, options, report = order.spec, order.options, order.report
    if order.is_piped:
        run_pipe(order, finish, write)
        return
    if not order.jobs:
        for bad in order.failures:
            report.failed(_failed(bad))
        report.summary(options.output, ())
        click.get_current_context().exit(_SOME_FAILED)
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
            if not manifest.is_locked:
                report.say(
                    f"{options.output} is on a file system without locks: "
                    "start no second dpt that writes there"
                )
        record = _Record(manifest, engine, {**shared, **settings}, write, force=options.force)
        todo = _undone(order, record)
        if options.dry_run:
            tell_plan(order.jobs, todo, spec, options, report)
            return
        if todo:
            engine.load_ahead()
        stages = Stages(
            read=record.read,
            decode=record.decode,
            prepare=lambda rgb: prepare(rgb, spec, options.resolution, options.multiple_of),
            load=engine.load,
            infer=lambda batch: infer(engine, batch),
            finish=lambda raw, prepared: finish(raw, prepared, spec, engine.weights.label),
            write=record.write,
            keeps_photographs=keeps_photographs,
        )
        try:
            with report:
                _run(todo, stages, options, engine, record, report)
        except KeyboardInterrupt:
            report.interrupted()
            click.get_current_context().exit(_INTERRUPTED)
        except _StoppedError:
            report.summary(options.output, engine.facts())
            raise
    report.summary(options.output, engine.facts())
    if report.num_failed:
        click.get_current_context().exit(_SOME_FAILED)


def _undone(order: Order, record: "_Record") -> list[Job]:
    """Return the jobs to do; report those done before and those that cannot be done."""
    todo = []
    for bad in order.failures:
        failure = _failed(bad)
        if not order.options.dry_run:
            record.failed(failure)
        order.report.failed(failure)
    for job in order.jobs:
        decision = "do" if order.options.force else record.decide(job)
        if decision == "do":
            todo.append(job)
        elif decision == "skip":
            order.report.skipped(job)
        else:
            error = OutputError(f"{_UNTOUCHED[decision]}; use --force to overwrite it")
            order.report.failed(Failed(job, error))
    return todo


def _failed(bad: BadInput) -> Failed:
    return Failed(Job(bad.path, {}), InputError(bad.reason))


def _run(
    jobs: Sequence[Job],
    stages: Stages[MapT],
    options: RunOptions,
    engine: LateEngine,
    record: "_Record",
    report: Report,
) -> None:
    # What a run died of before goes last, alone: it costs no other photograph again.
    calm = [job for job in jobs if not record.num_deaths(job)]
    alone = sorted((job for job in jobs if record.num_deaths(job)), key=record.num_deaths)
    in_a_row: list[tuple[object, ...]] = []
    # Closed before the manifest: what is being written when the run is stopped is still recorded.
    with closing(run(calm, stages, options.batch_size, alone=alone)) as outcomes:
        for outcome in outcomes:
            if isinstance(outcome, Done):
                in_a_row.clear()
                if outcome.facts["precision"] != engine.precision:
                    report.redone_in_fp32(outcome.job, engine.precision)
                report.done(outcome, engine.identity())
                continue
            record.failed(outcome)
            report.failed(outcome)
            if options.max_errors and report.num_failed >= options.max_errors:
                raise _StoppedError(
                    f"stopped after {report.num_failed} errors, as --max-errors says; "
                    "the same command continues"
                )
            if isinstance(outcome.error, UnexpectedError):
                in_a_row.append(outcome.error.place)
                if in_a_row[-_MAX_IN_A_ROW:] == _MAX_IN_A_ROW * in_a_row[-1:]:
                    raise _StoppedError(
                        f"stopped: the last {_MAX_IN_A_ROW} photographs failed in the same "
                        f"unexpected way; the tracebacks are in {options.output}/manifest.jsonl"
                    ) from outcome.error
            else:
                in_a_row.clear()


class _StoppedError(DptError):
    """More photographs failed than the user allows, or than makes sense to try."""


class _Record:
    """What is recorded of each photograph, on its way and in the folder's manifest."""

    def __init__(
        self,
        manifest: Manifest,
        engine: LateEngine,
        settings: Mapping[str, Any],
        write: Write[MapT],
        *,
        force: bool,
    ) -> None:
        self._manifest, self._engine = manifest, engine
        self._write: Write[Any] = write
        self._settings = dict(settings)
        self._force = force
        self._begun: dict[Path, tuple[Stamp, float]] = {}

    def decide(self, job: Job) -> str:
        # Without records or outputs nothing can be skipped, and the weights need not be known.
        may_be_done = self._manifest.num_records and any(map(os.path.lexists, job.outputs.values()))
        sha256 = self._engine.expected_sha256 if may_be_done else ""
        return self._manifest.decide(
            job.photograph, job.outputs, Recipe(self._settings, "", sha256)
        )

    def num_deaths(self, job: Job) -> int:
        return self._manifest.num_deaths(job.photograph)

    def read(self, job: Job) -> bytes:
        started = time.monotonic()
        self._manifest.reading(job.photograph)
        data, stamp = read_stamped(job.photograph)
        self._begun[job.photograph] = (stamp, started)
        return data

    def decode(self, data: bytes, _job: Job) -> RGB:
        return decode_rgb(data)

    def write(self, result: Any, rgb: RGB | None, job: Job) -> dict[str, Any]:
        """Write all outputs of a photograph, claim them, give them their names, record them."""
        stamp, started = self._begun.pop(job.photograph)
        manifest = self._manifest
        with ExitStack() as drafts:
            made: dict[str, Draft] = {}
            for kind, path in job.outputs.items():
                made[kind] = drafts.enter_context(Draft(path, manifest.folder))
                self._write(kind, made[kind], result, rgb)
            files = {kind: draft.finish() for kind, draft in made.items()}
            known = {kind: manifest.known(path) for kind, path in job.outputs.items()}
            for kind, draft in made.items():
                draft.check(known[kind], overwrite=self._force)
            manifest.begin(job.photograph, job.outputs, files)
            for kind, draft in made.items():
                draft.publish(known[kind], overwrite=self._force)
        seconds = round(time.monotonic() - started, 3)
        facts = {**facts_of(result), "device": self._engine.device, "seconds": seconds}
        weights = self._engine.weights
        recipe = Recipe(self._settings, weights.label, weights.sha256)
        manifest.done(job.photograph, stamp, job.outputs, files, recipe, facts)
        return facts

    def failed(self, outcome: Failed) -> None:
        self._begun.pop(outcome.job.photograph, None)
        error = outcome.error
        traceback = error.traceback if isinstance(error, UnexpectedError) else ""
        self._manifest.failed(outcome.job.photograph, str(error), traceback)
