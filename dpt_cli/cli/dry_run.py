"""`--dry-run`: what would be done, and roughly what it would take; touches nothing."""

from collections.abc import Sequence

from dpt_cli.checkpoint.fetch import locate
from dpt_cli.checkpoint.specs import CheckpointSpec
from dpt_cli.cli.options import RunOptions
from dpt_cli.cli.report import Report, counted
from dpt_cli.errors import InputError
from dpt_cli.photos.decode import read_rgb
from dpt_cli.pipeline.plan import Job
from dpt_cli.predict.preprocess import network_size

_NUM_SAMPLES = 8
# Of the process beside the weights: torch, OpenCV, the photographs on their way.
_BASE_BYTES = 0.6e9


def tell_plan(
    jobs: Sequence[Job],
    todo: Sequence[Job],
    spec: CheckpointSpec,
    options: RunOptions,
    report: Report,
) -> None:
    """Name the outputs on stdout; say counts, sizes, formats and estimates on stderr."""
    for job in todo:
        report.planned(job)
    num_bytes = sum(job.photograph.stat().st_size for job in todo)
    report.say(
        f"would do {len(todo)} of {counted(len(jobs), 'photograph')} ({_size(num_bytes)}) as "
        f"{', '.join(options.formats)} into {options.output}"
    )
    here = "on this disk" if options.weights or locate(spec) else "to be downloaded"
    report.say(f"weights: {spec.id}, {_size(4 * spec.num_parameters)}, {here}")
    sizes_hw = _sample(todo)
    if sizes_hw:
        _tell_estimates(len(todo), sizes_hw, spec, options, report)


def _sample(jobs: Sequence[Job]) -> list[tuple[int, int]]:
    """Return the sizes of a few photographs, spread over the run; those that decode."""
    step = max(1, len(jobs) // _NUM_SAMPLES)
    sizes = []
    for job in jobs[::step][:_NUM_SAMPLES]:
        try:
            height, width, _ = read_rgb(job.photograph).shape
        except InputError:
            continue
        sizes.append((height, width))
    return sizes


def _tell_estimates(
    num_photographs: int,
    sizes_hw: Sequence[tuple[int, int]],
    spec: CheckpointSpec,
    options: RunOptions,
    report: Report,
) -> None:
    from dpt_cli.bench.estimate import ACTIVATION_BYTES_PER_PIXEL, output_bytes, seconds_each
    from dpt_cli.bench.peaks import PEAK_PRECISIONS
    from dpt_cli.engine.torch.engine import resolve_device, resolve_precision

    target_hw = options.resolution or spec.input.target_hw
    networks_hw = [network_size(size, target_hw, options.multiple_of) for size in sizes_hw]
    num_pixels = sum(height * width for height, width in sizes_hw) / len(sizes_hw)
    disk = num_photographs * output_bytes(spec.task, options.formats, num_pixels)
    largest = max(height * width for height, width in networks_hw) * options.batch_size
    memory = 4 * spec.num_parameters + _BASE_BYTES + ACTIVATION_BYTES_PER_PIXEL * largest
    device = resolve_device(options.device)
    precision = resolve_precision(options.precision, device)
    # int8 takes less: how much less is not known before there are such weights.
    by = precision if precision in PEAK_PRECISIONS else "fp32"
    seconds = num_photographs * seconds_each(spec.architecture, networks_hw, str(device), by)
    report.say(
        f"roughly, from {len(sizes_hw)} of them: {_size(disk)} on disk, {_size(memory)} of memory, "
        f"{_duration(seconds)} on {device}"
    )


def _size(num_bytes: float) -> str:
    return f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:.1f} MB"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
