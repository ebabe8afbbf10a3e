"""A run over many photographs: planned as a whole, then done event by event, and resumable.

It knows no terminal. The code that iterates over the events reports them.
"""

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dpt_cli.calibration.known import KnownDistances
from dpt_cli.checkpoint.choose import choose_model
from dpt_cli.checkpoint.registry import load_registry
from dpt_cli.checkpoint.specs import CheckpointSpec, Task
from dpt_cli.errors import DptError, InputError, OutputError, UnexpectedError
from dpt_cli.formats.entry import Format
from dpt_cli.formats.table import DEFAULT_OPTIONS, formats_of
from dpt_cli.photos.find import BadInput, Found, find_photographs
from dpt_cli.pipeline.events import Done, Event, Failed, Mapped, Planned, Skipped
from dpt_cli.pipeline.made import MadeByDpt
from dpt_cli.pipeline.plan import Job, check_folder, plan
from dpt_cli.pipeline.settings import EngineSettings, RunSettings, map_quantity
from dpt_cli.pipeline.shared_range import (
    RAW,
    SharedRange,
    formats_that_share,
    recorded_range,
    second_pass,
)
from dpt_cli.predict.arguments import check_multiple

if TYPE_CHECKING:
    from dpt_cli.engine import Engine
    from dpt_cli.pipeline.lazy_engine import LazyEngine
    from dpt_cli.pipeline.manifest import Manifest
    from dpt_cli.pipeline.record import Record
    from dpt_cli.predict.predictor import MapSize

# After this many failures in a row for the same unforeseen cause the next would fail too.
_MAX_IN_A_ROW = 5


class StoppedError(DptError):
    """More photographs failed than the user allows, or too many in a row for the same cause."""


@dataclass
class Run:
    """A planned run: its photographs and their outputs are known, and nothing is loaded.

    Attributes:
        spec: The weights' row.
        settings: What to make, and how.
        found: The photographs and other files that the inputs name.
        jobs: The photographs and their outputs.
        failures: Inputs that are no photographs, or whose output would overwrite an input.
        shared: How the run is split where its maps share one range; None where they do not.
        engine: The network, once the events have begun.
    """

    spec: CheckpointSpec
    settings: RunSettings
    found: Found
    jobs: list[Job]
    failures: tuple[BadInput, ...]
    shared: SharedRange | None = None
    engine: "LazyEngine | None" = field(default=None, init=False)

    @property
    def formats(self) -> list[Format]:
        """Return the formats to write."""
        known = formats_of(self.spec.task)
        return [known[name] for name in self.settings.formats]

    def events(
        self,
        notify: Callable[[str], None] = lambda _line: None,
        on_loaded: Callable[["Engine"], None] = lambda _engine: None,
    ) -> Generator[Event, None, None]:
        """Process the photographs and yield an event for each; closing the generator stops the run.

        Args:
            notify: Receives lines for the user: what is downloaded, loaded or converted.
            on_loaded: Called once the network is ready.

        Raises:
            OutputError: The output folder cannot be used.
            DptError: The weights or the device cannot be used.
            StoppedError: Too many photographs failed.
        """
        if not self.jobs:
            yield from map(_failed, self.failures)
            return
        from dpt_cli.formats.files import is_temporary
        from dpt_cli.pipeline.lazy_engine import LazyEngine
        from dpt_cli.pipeline.manifest import Manifest

        settings = self.settings
        self.engine = LazyEngine(self.spec, settings.engine, notify, on_loaded)
        with Manifest(settings.output, read_only=settings.dry_run) as manifest:
            if not settings.dry_run:
                manifest.sweep(is_temporary)
                if not manifest.is_locked:
                    notify(
                        f"{settings.output} is on a file system without locks: "
                        "do not start a second dpt that writes there"
                    )
            if settings.known is not None:
                for name in settings.known.check(job.photograph for job in self.jobs):
                    notify(
                        f"{settings.known.origin} has distances for {name}, which is not an input"
                    )
            if self.shared is None:
                yield from self._made(self.jobs, settings, manifest, self.engine)
            else:
                yield from self._in_two_passes(self.shared, manifest, self.engine, notify)

    def _in_two_passes(
        self,
        shared: SharedRange,
        manifest: "Manifest",
        engine: "LazyEngine",
        notify: Callable[[str], None],
    ) -> Iterator[Event]:
        """Run the network on all photographs, then write the formats that show their range."""
        from dpt_cli.pipeline.record import Record

        whole = {job.photograph: job for job in self.jobs}
        first_jobs = [shared.first_job(job) for job in self.jobs]
        num_failed, num_planned = 0, 0
        mapped: list[tuple[Job, Done | Skipped]] = []
        # Closed with this generator, so that what is being written when a run stops is recorded.
        with closing(self._made(first_jobs, shared.first, manifest, engine)) as events:
            for event in events:
                job = whole.get(event.job.photograph, event.job)
                if isinstance(event, (Done, Skipped)):
                    mapped.append((job, event))
                    if isinstance(event, Done):
                        yield Mapped(job)
                elif isinstance(event, Planned):
                    num_planned += 1
                    yield Planned(job)
                else:
                    num_failed += isinstance(event, Failed)
                    yield event
        if num_planned:
            notify("the range is known once all maps are made: files may be written again for it")
        span = recorded_range((job for job, _ in mapped), manifest)
        record = None
        if span is not None:
            record = Record(manifest, engine, self.spec, shared.second(span))
        for event in second_pass(mapped, record, shared):
            yield event
            if isinstance(event, Failed):
                num_failed += 1
                self._check(num_failed, ())

    def _made(
        self,
        jobs: Sequence[Job],
        settings: RunSettings,
        manifest: "Manifest",
        engine: "LazyEngine",
    ) -> Generator[Event, None, None]:
        """Decide on jobs, run the network, write their outputs and yield an event for each."""
        from dpt_cli.pipeline.record import Record

        record = Record(manifest, engine, self.spec, settings)
        num_failed, todo = 0, []
        for event in self._decided(jobs, record):
            if isinstance(event, Planned):
                todo.append(event.job)
                if settings.dry_run:
                    yield event
                continue
            num_failed += isinstance(event, Failed)
            yield event
        if settings.dry_run or not todo:
            return
        engine.load_ahead()
        in_a_row: list[tuple[object, ...]] = []
        # Closed before the manifest, so that what is being written when a run stops is recorded.
        with closing(self._done(todo, settings, record, engine)) as outcomes:
            for outcome in outcomes:
                if isinstance(outcome, Done):
                    in_a_row.clear()
                    yield outcome
                    continue
                record.failed(outcome)
                num_failed += 1
                yield outcome
                if isinstance(outcome.error, UnexpectedError):
                    in_a_row.append(outcome.error.place)
                else:
                    in_a_row.clear()
                self._check(num_failed, in_a_row)

    def _decided(self, jobs: Sequence[Job], record: "Record") -> Iterator[Event]:
        """Yield what will happen to each photograph; `Planned` for those to process."""
        from dpt_cli.pipeline.manifest import UNTOUCHED

        for bad in self.failures:
            failure = _failed(bad)
            if not self.settings.dry_run:
                record.failed(failure)
            yield failure
        for job in jobs:
            decision = "do" if self.settings.force else record.decide(job)
            if decision == "do":
                yield Planned(job)
            elif decision == "skip":
                yield Skipped(job)
            else:
                reason = f"{UNTOUCHED[decision]}; use --force to overwrite it"
                yield Failed(job, OutputError(reason))

    def _done(
        self,
        jobs: Sequence[Job],
        settings: RunSettings,
        record: "Record",
        engine: "LazyEngine",
    ) -> Generator[Done | Failed, None, None]:
        from dpt_cli.pipeline import local
        from dpt_cli.pipeline.stages import stages_of

        # A photograph that killed an earlier run goes last and alone, so that it costs no other.
        calm = [job for job in jobs if not record.num_deaths(job)]
        alone = sorted((job for job in jobs if record.num_deaths(job)), key=record.num_deaths)
        stages = stages_of(self.spec, settings, engine, record.read, record.write)
        return local.run(calm, stages, settings.batch_size, alone=alone)

    def _check(self, num_failed: int, in_a_row: Sequence[object]) -> None:
        settings = self.settings
        if settings.max_errors and num_failed >= settings.max_errors:
            raise StoppedError(
                f"stopped after {num_failed} errors (--max-errors); "
                "run the same command to continue"
            )
        if in_a_row and list(in_a_row[-_MAX_IN_A_ROW:]) == _MAX_IN_A_ROW * [in_a_row[-1]]:
            raise StoppedError(
                f"stopped: the last {_MAX_IN_A_ROW} photographs failed in the same unexpected way; "
                f"the tracebacks are in {settings.output / 'manifest.jsonl'}"
            )


def plan_run(spec: CheckpointSpec, inputs: Sequence[Path], settings: RunSettings) -> Run:
    """Find the photographs and determine every output, before anything is loaded.

    Raises:
        InputError: The inputs hold no photographs.
        OutputError: The output folder cannot be written.
        ArgumentError: Known distances are given for a metric model, or fit several photographs.
    """
    quantity = map_quantity(spec, settings)
    made = MadeByDpt()
    found = find_photographs(inputs, settings.output, made)
    if not (found.photographs or found.failures):
        names = ", ".join(str(path) for path in inputs[:3])
        raise InputError(f"no images in {names} ({passed_over(found)})")
    known = formats_of(spec.task)
    for name in settings.formats:
        known[name].check(quantity)
    sharing = formats_that_share(spec.task, settings, len(found.photographs))
    if sharing and RAW not in settings.formats:
        settings = replace(settings, formats=(*settings.formats, RAW))
    suffixes = {name: known[name].suffix for name in settings.formats}
    jobs, clashing = plan(
        found.photographs, settings.output, suffixes, made.names_in(settings.output)
    )
    if settings.known is not None:
        settings.known.check(job.photograph for job in jobs)
    check_folder(settings.output)
    shared = SharedRange(settings, sharing) if sharing else None
    return Run(spec, settings, found, jobs, (*found.failures, *clashing), shared)


def passed_over(found: Found) -> str:
    """Count the files of the given folders that are no photographs, in words."""
    num_videos = len(found.videos)
    counts = [
        (found.num_skipped - num_videos, "other file", ""),
        (num_videos, "video", ""),
        (found.num_made, "map", " made by dpt"),
    ]
    counted = [f"{n} {noun}{'' if n == 1 else 's'}{more}" for n, noun, more in counts if n]
    return ", ".join(counted) or "0 other files"


def run(
    task: Task,
    inputs: str | Path | Sequence[str | Path],
    *,
    output: str | Path = "dpt-out",
    formats: Sequence[str] | None = None,
    model: str | None = None,
    weights: str | Path | None = None,
    resolution: int | tuple[int, int] | None = None,
    multiple_of: int | None = None,
    batch_size: int = 1,
    device: str = "auto",
    precision: str = "auto",
    engine: str = "auto",
    offline: bool = False,
    force: bool = False,
    registry: str | Path | None = None,
    known: KnownDistances | None = None,
    fov: float | None = None,
    size: "MapSize" = "photo",
    **options: Any,
) -> Generator[Event, None, None]:
    """Turn photographs into files, as `dpt depth` and `dpt segment` do, and yield events.

    A run can be resumed: photographs are skipped that the manifest of the output folder lists as
    done with the same settings, if neither they nor their outputs have changed. It can be
    interrupted: after the generator is closed, or an exception in the loop, the files being written
    are completed, and the next run does the rest.

    Args:
        task: `depth` or `segment`.
        inputs: Files, folders and patterns.
        output: The output folder.
        formats: Names of formats; None for the default, `color` or `overlay`.
        model: A name that `dpt models list` shows; None for the model that `weights` fits, or else
            the task's default.
        weights: A weights file to use instead of the published one.
        resolution: What the network size aims at [px]: a side, or (height, width).
        multiple_of: As in `load`.
        batch_size: How many photographs share a batch.
        device: As in `load`, like `precision`, `engine` and `offline`.
        precision: See `device`.
        engine: See `device`.
        offline: See `device`.
        force: Redo what is done, and overwrite files that dpt did not write.
        registry: Another `weights.toml`.
        known: Distances that turn relative depth into metres, e.g. of `known_from_csv`.
        fov: Field of view along the longer side of photographs whose file has no focal length
            [degrees].
        size: Size of the maps: `photo`, `network`, or the longer side [px].
        **options: Options of the formats: `colormap`, `invert`, `range`, `percentile`,
            `edge_threshold`, `max_points`; `opacity`, `classes`, `legend`.

    Yields:
        `Skipped`, `Done` or `Failed` for each photograph, in the order in which they end; where
        all maps share one range, before that `Mapped` for each map that the network made.

    Raises:
        ValueError: An unknown format or option, or a format that is not true of these maps.
        DptError: The run cannot begin or go on; see `Run.events`.
    """
    file = Path(weights) if weights else None
    spec, _ = choose_model(load_registry(Path(registry) if registry else None), task, model, file)
    check_multiple(multiple_of, spec.architecture.patch_px)
    entries = formats_of(task)
    names = tuple(formats) if formats is not None else tuple(entries)[:1]
    for name in (*names, *options):
        if name not in (*entries, *DEFAULT_OPTIONS[task]):
            raise ValueError(f"unknown format or option {name!r}; formats: {', '.join(entries)}")
    given = [inputs] if isinstance(inputs, (str, os.PathLike)) else inputs
    settings = RunSettings(
        formats=names,
        output=Path(output),
        options={**DEFAULT_OPTIONS[task], **options},
        engine=EngineSettings(file, device, precision, engine, offline=offline),
        resolution=(resolution, resolution) if isinstance(resolution, int) else resolution,
        multiple_of=multiple_of,
        batch_size=batch_size,
        force=force,
        known=known,
        fov_deg=fov,
        size=size,
    )
    return plan_run(spec, [Path(it) for it in given], settings).events()


def _failed(bad: BadInput) -> Failed:
    return Failed(Job(bad.path, {}), InputError(bad.reason))
