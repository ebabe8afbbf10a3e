"""One range for all maps of a run: it is known only once the network has made every map.

So a run has two passes. The first saves the maps, and writes the formats that show no range. The
second reads the maps back and writes the rest, as `--range A,B` would.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dpt_cli.checkpoint.specs import Task
from dpt_cli.errors import InputError, OutputError
from dpt_cli.formats.table import formats_of
from dpt_cli.pipeline.events import Done, Event, Failed, Planned, Skipped
from dpt_cli.pipeline.plan import Job
from dpt_cli.pipeline.settings import RunSettings

if TYPE_CHECKING:
    from dpt_cli.pipeline.manifest import Manifest
    from dpt_cli.pipeline.record import Record

FOLDER = "folder"  # the value of `range` that asks for one range
RAW = "npz"  # the format that keeps the maps


@dataclass(frozen=True)
class SharedRange:
    """How a run with one range is split.

    Attributes:
        settings: Of the whole run.
        formats: Names of the formats of the second pass, which show the range.
    """

    settings: RunSettings
    formats: tuple[str, ...]

    @property
    def first(self) -> RunSettings:
        """Return the settings of the first pass."""
        names = tuple(name for name in self.settings.formats if name not in self.formats)
        return replace(self.settings, formats=names)

    def second(self, span: tuple[float, float]) -> RunSettings:
        """Return the settings of the second pass, whose range is known."""
        options = {**self.settings.options, "range": span}
        return replace(self.settings, formats=self.formats, options=options)

    def first_job(self, job: Job) -> Job:
        """Return the part of a job that belongs to the first pass."""
        outputs = {kind: job.outputs[kind] for kind in self.first.formats}
        return Job(job.photograph, outputs)

    def second_job(self, job: Job) -> Job:
        """Return the part of a job that belongs to the second pass."""
        return Job(job.photograph, {kind: job.outputs[kind] for kind in self.formats})


def formats_that_share(task: Task, settings: RunSettings, num_maps: int) -> tuple[str, ...]:
    """Return the names of the formats that are written with one range for all maps."""
    entries = [formats_of(task)[name] for name in settings.formats]
    given = settings.options.get("range")
    wants = given is None and num_maps > 1 and any(entry.shares_range for entry in entries)
    if given != FOLDER and not wants:
        return ()
    return tuple(entry.name for entry in entries if "range" in entry.options)


def common_range(spans: Iterable[tuple[float, float] | None]) -> tuple[float, float] | None:
    """Return the least and the greatest value of maps; None where none has a finite value."""
    known = [span for span in spans if span is not None]
    if not known:
        return None
    return min(low for low, _ in known), max(high for _, high in known)


def recorded_range(jobs: Iterable[Job], manifest: "Manifest") -> tuple[float, float] | None:
    """Return the range of the maps that a folder keeps of some photographs."""
    facts = [manifest.made_as(job.outputs[RAW])["facts"] for job in jobs]
    return common_range(None if it["min"] is None else (it["min"], it["max"]) for it in facts)


def second_pass(
    mapped: Sequence[tuple[Job, Done | Skipped]], record: "Record | None", shared: SharedRange
) -> Iterator[Event]:
    """Write the formats that show the range, and yield one event per photograph for both passes.

    Args:
        mapped: The whole jobs of the photographs that have a map, and what the first pass yielded.
        record: Of the second pass; None where no map has a finite value.
        shared: How the run is split.
    """
    for job, first in mapped:
        if record is None:
            reason = "no photograph has a map with a finite value, so there is no range to share"
            yield Failed(job, InputError(reason))
            continue
        yield _second(job, first, record, shared)


def _second(job: Job, first: Done | Skipped, record: "Record", shared: SharedRange) -> Event:
    from dpt_cli.pipeline.local import guarded
    from dpt_cli.pipeline.manifest import UNTOUCHED

    rest = shared.second_job(job)
    decision = "do" if shared.settings.force else record.decide(rest)
    if decision == "skip":
        return first if isinstance(first, Done) else Skipped(job)
    if decision != "do":
        return Failed(job, OutputError(f"{UNTOUCHED[decision]}; use --force to overwrite it"))
    if shared.settings.dry_run:
        return Planned(rest)
    facts = guarded(rest, lambda: record.write_saved(job.outputs[RAW], rest))
    if isinstance(facts, Failed):
        record.failed(facts)
        return facts
    if isinstance(first, Skipped):
        return Done(rest, facts)
    seconds = round(first.facts["seconds"] + facts["seconds"], 3)
    return Done(job, {**first.facts, **facts, "seconds": seconds})
