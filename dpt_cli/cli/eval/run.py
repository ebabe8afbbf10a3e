"""The course of `dpt eval`: every model and resolution on every pair; then the report."""

from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path

import click

from dpt_cli.checkpoint.fetch import hush_hub
from dpt_cli.checkpoint.registry import load_registry
from dpt_cli.checkpoint.specs import CheckpointSpec, Task
from dpt_cli.cli import memory
from dpt_cli.cli.console import say
from dpt_cli.cli.eval.measurement import Measurement
from dpt_cli.cli.eval.options import EvalOptions
from dpt_cli.cli.eval.report import report
from dpt_cli.cli.report import Report, counted
from dpt_cli.engine import Engine
from dpt_cli.errors import INTERRUPTED, SOME_FAILED, DptError
from dpt_cli.evaluation.depth import DepthScorer
from dpt_cli.evaluation.labels import LabelScorer
from dpt_cli.evaluation.pairs import Pairs
from dpt_cli.evaluation.run import EvalSettings, Evaluation, Scored
from dpt_cli.evaluation.saved import Others, SavedMaps
from dpt_cli.evaluation.stages import spec_by_protocol
from dpt_cli.evaluation.summary import Result
from dpt_cli.maps.types import Provenance
from dpt_cli.metrics.protocol import Protocol
from dpt_cli.pipeline.events import Done, Failed
from dpt_cli.pipeline.plan import Job


def run_eval(
    options: EvalOptions,
    specs: Sequence[CheckpointSpec],
    pairs: Pairs,
    protocol: Protocol,
    protocol_name: str,
    *,
    is_changed: bool,
    others: Others | None = None,
) -> None:
    """Measure, report, and end with the run's exit code.

    Args:
        options: The command's options.
        specs: The rows of the models to measure.
        pairs: Photographs and their truth.
        protocol: How depth is compared.
        protocol_name: `zero-shot`, `metric`, `single` or `multi-scale`.
        is_changed: Whether the user's options change the protocol.
        others: How saved maps of another program are read.

    Raises:
        DptError: Nothing could be measured, or nothing more.
    """
    hush_hub(progress_bars=not options.quiet)
    try:
        results = [
            _score_saved(options, folder, pairs, protocol, protocol_name, others)
            for folder in options.predictions
        ] or [
            _measure(options, spec, pairs, protocol, resolution)
            for spec in specs
            for resolution in options.resolution or (None,)
        ]
    except KeyboardInterrupt:
        say("Interrupted; the same command continues.")
        click.get_current_context().exit(INTERRUPTED)
    if not any(result.scores for result in results):
        raise DptError("no picture could be scored; each is named above")
    report(
        options,
        Measurement(options.dataset, protocol_name, protocol, is_changed),
        results,
        pairs,
    )
    if any(result.num_failed for result in results):
        click.get_current_context().exit(SOME_FAILED)


def _measure(
    options: EvalOptions,
    spec: CheckpointSpec,
    pairs: Pairs,
    protocol: Protocol,
    resolution: tuple[int, int] | None,
) -> Result:
    """Score every pair with one model at one resolution."""
    multi_scale = options.protocol if options.protocol in ("encnet", "lseg") else None
    settings = EvalSettings(
        output=options.scores,
        engine=options.engine_settings,
        protocol=protocol,
        multi_scale=multi_scale,  # type: ignore[arg-type]  # it is one of the two
        resolution=resolution,
        batch_size=options.batch_size,
        force=options.force,
    )
    evaluation = Evaluation(spec, pairs, settings)
    aim_hw = resolution or spec.input.target_hw
    several = len(options.resolution or ()) > 1
    title = f"{spec.name} {_size(aim_hw)}" if several else spec.name
    sized = spec_by_protocol(spec, protocol)
    result = Result(
        spec.id,
        title,
        aim_hw,
        sized.input.resize,
        sized.multiple_of,
        evaluation.engine_name,
        evaluation.precision,
    )
    progress = _progress(result, options, pairs)

    def on_loaded(engine: Engine) -> None:
        memory.loaded(keep_freed=engine.device == "cpu")
        progress.begin()

    _take(evaluation.events(progress.say, on_loaded), result, progress, pairs)
    result.weights = evaluation.weights
    return result


def _score_saved(
    options: EvalOptions,
    folder: Path,
    pairs: Pairs,
    protocol: Protocol,
    protocol_name: str,
    others: Others | None,
) -> Result:
    """Score the maps of a folder."""
    task: Task = "segment" if protocol_name in ("single", "multi-scale") else "depth"
    scorer = LabelScorer() if task == "segment" else DepthScorer(protocol)
    saved = SavedMaps(folder, task, pairs, scorer, others)
    result = Result(folder.name, str(folder), None)
    progress = _progress(result, options, pairs)
    progress.begin()
    _take(saved.events(), result, progress, pairs)
    if len(saved.made_by) == 1:
        made_by = next(iter(saved.made_by))
        result.weights, result.precision = made_by.weights, made_by.precision
        result.engine = made_by.engine or ""
        if _is_published(made_by, options):
            result.model = made_by.model or result.model
    return result


def _is_published(made_by: Provenance, options: EvalOptions) -> bool:
    """Return whether a map was made with the file that a model's published figures are of."""
    rows = load_registry(options.registry).rows
    return any(row.id == made_by.model and made_by.weights_sha256 in row.sha256s for row in rows)


def _progress(result: Result, options: EvalOptions, pairs: Pairs) -> Report:
    total = len(pairs.pairs) + len(pairs.failures)
    progress = Report(total, options.quiet, verbose=False, as_json=False)
    progress.say(f"{result.title}: {counted(len(pairs.pairs), 'picture')}")
    return progress


def _take(
    events: Generator[Scored | Failed, None, None],
    result: Result,
    progress: Report,
    pairs: Pairs,
) -> None:
    """Report every event, and keep the scores in the order of the data set."""
    with progress, closing(events):
        for event in events:
            if isinstance(event, Failed):
                progress.failed(event)
                result.num_failed += 1
                continue
            result.scores[event.pair.name] = event.scores
            if event.is_new:
                progress.done(Done(_job(event.pair.photograph), {}))
            else:
                progress.skipped(_job(event.pair.photograph))
    if progress.num_skipped:
        progress.say(f"{progress.num_skipped} of {len(pairs.pairs)} were scored before")
    # No result depends on the order in which threads end.
    order = [pair.name for pair in pairs.pairs if pair.name in result.scores]
    result.scores = {name: result.scores[name] for name in order}


def _size(hw: tuple[int, int]) -> str:
    height, width = hw
    return str(width) if height == width else f"{width}x{height}"


def _job(photograph: Path) -> Job:
    return Job(photograph, {})
