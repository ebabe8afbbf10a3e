"""The course of `dpt eval`: every model and resolution on every pair; then the report."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import click

from dpt_cli.checkpoint.fetch import hush_hub
from dpt_cli.checkpoint.specs import CheckpointSpec
from dpt_cli.cli import memory
from dpt_cli.cli.eval.measurement import Measurement
from dpt_cli.cli.eval.options import EvalOptions
from dpt_cli.cli.eval.report import report
from dpt_cli.cli.report import Report, counted
from dpt_cli.engine import Engine
from dpt_cli.errors import INTERRUPTED, SOME_FAILED, DptError
from dpt_cli.evaluation.pairs import Pairs
from dpt_cli.evaluation.run import EvalSettings, Evaluation
from dpt_cli.evaluation.stages import spec_by_protocol
from dpt_cli.evaluation.summary import Result
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
) -> None:
    """Measure, report, and end with the run's exit code.

    Args:
        options: The command's options.
        specs: The rows of the models to measure.
        pairs: Photographs and their truth.
        protocol: How depth is compared.
        protocol_name: `zero-shot`, `metric`, `single` or `multi-scale`.
        is_changed: Whether the user's options change the protocol.

    Raises:
        DptError: Nothing could be measured, or nothing more.
    """
    hush_hub(progress_bars=not options.quiet)
    try:
        results = [
            _measure(options, spec, pairs, protocol, resolution)
            for spec in specs
            for resolution in options.resolution or (None,)
        ]
    except KeyboardInterrupt:
        click.echo("Interrupted; the same command continues.", err=True)
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
    progress = Report(
        len(pairs.pairs) + len(pairs.failures), options.quiet, verbose=False, as_json=False
    )
    progress.say(f"{title}: {counted(len(pairs.pairs), 'picture')}")

    def on_loaded(engine: Engine) -> None:
        memory.loaded(keep_freed=engine.device == "cpu")
        progress.begin()

    with progress, closing(evaluation.events(progress.say, on_loaded)) as events:
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
    result.weights = evaluation.weights
    # In the order of the data set, so that no result depends on the threads.
    order = [pair.name for pair in pairs.pairs if pair.name in result.scores]
    result.scores = {name: result.scores[name] for name in order}
    return result


def _size(hw: tuple[int, int]) -> str:
    height, width = hw
    return str(width) if height == width else f"{width}x{height}"


def _job(photograph: Path) -> Job:
    return Job(photograph, {})
