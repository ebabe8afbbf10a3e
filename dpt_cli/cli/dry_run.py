"""`--dry-run`: what a run would do and how much disk space it would take. Touches nothing."""

from collections.abc import Sequence
from pathlib import Path

from dpt_cli.checkpoint.fetch import locate
from dpt_cli.checkpoint.specs import CheckpointSpec
from dpt_cli.cli.report import Report, counted
from dpt_cli.errors import InputError
from dpt_cli.photos.headers import picture_size
from dpt_cli.photos.source import read_file
from dpt_cli.pipeline.plan import Job
from dpt_cli.pipeline.run import Run

_NUM_SAMPLES = 8


def print_plan(run: Run, todo: Sequence[Job], report: Report) -> None:
    """Print counts, sizes and formats on standard error."""
    spec, settings = run.spec, run.settings
    num_bytes = sum(job.photograph.stat().st_size for job in todo)
    report.say(
        f"would do {len(todo)} of {counted(len(run.jobs), 'photograph')} ({_size(num_bytes)}) as "
        f"{', '.join(settings.formats)} into {settings.output}"
    )
    report.say(f"weights: {spec.id}, {_weights(spec, settings.engine.weights)}")
    sizes_hw = _sample(todo)
    if sizes_hw:
        num_pixels = sum(height * width for height, width in sizes_hw) / len(sizes_hw)
        per_pixel = sum(entry.bytes_per_pixel for entry in run.formats)
        report.say(
            f"roughly {_size(len(todo) * num_pixels * per_pixel)} on disk, "
            f"from the sizes of {counted(len(sizes_hw), 'photograph')}"
        )


def _weights(spec: CheckpointSpec, given: Path | None) -> str:
    found = locate(spec)
    path = given or (found[1] if found else None)
    if path is None:
        return f"about {_size(4 * spec.num_parameters)}, to be downloaded"
    return f"{_size(path.stat().st_size)}, on this disk"


def _sample(jobs: Sequence[Job]) -> list[tuple[int, int]]:
    """Return the sizes of a few photographs, spread over the run, from their headers."""
    step = max(1, len(jobs) // _NUM_SAMPLES)
    sizes = []
    for job in jobs[::step][:_NUM_SAMPLES]:
        try:
            data, _ = read_file(job.photograph)
        except InputError:
            continue
        size = picture_size(data)
        if size is not None:
            sizes.append(size)
    return sizes


def _size(num_bytes: float) -> str:
    return f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:.1f} MB"
