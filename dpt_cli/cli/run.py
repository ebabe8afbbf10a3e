"""What `depth` and `segment` share: plan, load, run, report, exit."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt

from dpt_cli.api import Weights, find_weights, load_engine
from dpt_cli.batch import RGB, Failed, Stages, run
from dpt_cli.checkpoint.fetch import hush_hub, locate
from dpt_cli.cli.options import RunOptions
from dpt_cli.cli.report import Report
from dpt_cli.decode import read_rgb
from dpt_cli.engine import Engine, RawOutput
from dpt_cli.errors import InputError
from dpt_cli.inputs import find_photographs
from dpt_cli.plan import plan
from dpt_cli.predict import MapT, Prepared, infer, prepare
from dpt_cli.registry import load_registry
from dpt_cli.specs import CheckpointSpec, Task

_SOME_FAILED = 3

Finish = Callable[[RawOutput, Prepared, CheckpointSpec, str], MapT]
Write = Callable[[MapT, RGB, Mapping[str, Path]], None]


def run_task(
    task: Task,
    options: RunOptions,
    suffixes: Mapping[str, str],
    finish: Finish[MapT],
    write: Write[MapT],
) -> None:
    """Turn photographs into files and end with the run's exit code.

    Args:
        task: Which weights to choose from.
        options: The command's options.
        suffixes: What follows a photograph's name, for every format the command knows.
        finish: Raw output to map.
        write: Map, photograph and output paths by format to files.

    Raises:
        DptError: Nothing could be done, or nothing more.
    """
    spec = load_registry(options.registry).find(task, options.model)
    found = find_photographs(options.inputs, options.output)
    if not found.photographs:
        names = ", ".join(str(path) for path in options.inputs)
        raise InputError(f"no images in {names} ({found.num_skipped} other files)")
    chosen = {kind: suffixes[kind] for kind in options.formats}
    jobs = plan(found.photographs, options.output, chosen)

    with Report(len(jobs), options.quiet, options.verbose) as report:
        skipped = f" ({found.num_skipped} other files skipped)" if found.num_skipped else ""
        photographs = "1 photograph" if len(jobs) == 1 else f"{len(jobs)} photographs"
        report.say(f"{photographs}{skipped}, {spec.title}")
        engine = _LateEngine(spec, options, report)
        stages = Stages(
            decode=read_rgb,
            prepare=lambda rgb: prepare(rgb, spec, options.resolution, options.multiple_of),
            infer=lambda batch: infer(engine, batch),
            finish=lambda raw, prepared: finish(raw, prepared, spec, engine.label),
            write=write,
        )
        for outcome in run(jobs, stages, options.batch_size):
            if isinstance(outcome, Failed):
                report.failed(outcome)
                continue
            if outcome.result.precision != engine.precision:
                report.redone_in_fp32(outcome.job, engine.precision)
            report.done(outcome)
    report.summary(options.output, engine.facts())
    if report.num_failed:
        click.get_current_context().exit(_SOME_FAILED)


class _LateEngine:
    """An engine that is loaded with the first batch: where no input decodes, nothing is fetched."""

    def __init__(self, spec: CheckpointSpec, options: RunOptions, report: Report) -> None:
        self._spec = spec
        self._options = options
        self._report = report
        self._loaded: tuple[Engine, Weights] | None = None

    def __call__(self, images: npt.NDArray[np.float32]) -> list[RawOutput]:
        if self._loaded is None:
            self._loaded = self._load()
            self._report.begin()
        return self._loaded[0](images)

    def _load(self) -> tuple[Engine, Weights]:
        options, say = self._options, self._report.say
        hush_hub(progress_bars=not options.quiet)
        if options.weights is None and not options.offline and locate(self._spec) is None:
            say(f"Downloading the weights of {self._spec.id}")
        weights = find_weights(self._spec, options.weights, offline=options.offline, notify=say)
        say(f"Loading {weights.path.name}")
        return load_engine(self._spec, weights, options.device, options.precision), weights

    @property
    def device(self) -> str:
        return self._loaded[0].device if self._loaded else ""

    @property
    def precision(self) -> str:
        return self._loaded[0].precision if self._loaded else ""

    @property
    def label(self) -> str:
        return self._loaded[1].label if self._loaded else ""

    def facts(self) -> Sequence[str]:
        """Say which weights made the maps, how they were checked, and what the numbers mean."""
        if self._loaded is None:
            return ()
        engine, weights = self._loaded
        return (
            f"weights: {weights.label} (checked against: {weights.checked})",
            f"device: {engine.device}, {engine.precision}",
            f"numbers: {self._spec.meaning}",
        )
