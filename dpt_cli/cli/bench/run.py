"""Runs `dpt bench`: finds weights, photographs and settings, measures, and reports."""

from collections.abc import Mapping, Sequence
from functools import cache

import click

from dpt_cli.bench.loaded import RGB, Model
from dpt_cli.bench.loop import Bench
from dpt_cli.bench.machine import describe_machine
from dpt_cli.bench.peaks import PEAK_PRECISIONS, Peaks, measure_peaks
from dpt_cli.bench.rows import RANDOM, Setting
from dpt_cli.checkpoint.fetch import locate
from dpt_cli.checkpoint.specs import CheckpointSpec
from dpt_cli.cli import memory
from dpt_cli.cli.bench.options import BenchOptions
from dpt_cli.cli.bench.report import report
from dpt_cli.cli.console import say
from dpt_cli.engine.choice import no_graphs, resolve_engine
from dpt_cli.engine.torch.engine import TorchEngine, resolve_device, resolve_precision
from dpt_cli.errors import INTERRUPTED, SOME_FAILED, DeviceError, DptError, InputError
from dpt_cli.model.architectures import build_network
from dpt_cli.photos.decode import read_rgb
from dpt_cli.photos.find import Photograph, find_photographs
from dpt_cli.predict.conversion import PHOTOGRAPHS
from dpt_cli.predict.load import Weights, find_weights, load_engine


def run_bench(options: BenchOptions, specs: Sequence[CheckpointSpec]) -> None:
    """Measure, report, and end with the run's exit code.

    Args:
        options: The command's options.
        specs: The rows of the models to measure.

    Raises:
        DptError: Nothing could be measured, or the run had to stop.
    """
    weights = _weights(options, specs)
    photographs, num_bad = _photographs(options) if any(weights.values()) else ({}, 0)
    device = str(resolve_device(options.device))
    settings = _settings(options, specs, device)
    engine = _engine(options, weights, device, [setting.precision for setting in settings])
    if options.cuda_graphs and not device.startswith("cuda"):
        raise DeviceError(no_graphs(device))
    machine, peaks = describe_machine(device), dict[str, Peaks]()
    say(f"engine: {engine}{', CUDA graphs' if options.cuda_graphs else ''}")
    bench = Bench(
        load=lambda spec: _model(options, spec, weights[spec.id], device, engine),
        device=device,
        photographs=list(photographs.values()),
        peaks=peaks,
        num_runs=options.runs,
        notify=say,
    )
    interrupted, error = False, None
    try:
        for precision in dict.fromkeys(setting.precision for setting in settings):
            if precision not in PEAK_PRECISIONS:
                continue
            say(f"measuring this machine's peak in {precision}")
            peaks[precision] = measure_peaks(device, precision)
        bench.run(settings)
    except KeyboardInterrupt:
        interrupted = True
    except DptError as stopped:
        if not bench.rows:
            raise
        error = stopped
    report(options, engine, bench.rows, machine, peaks, list(photographs), interrupted=interrupted)
    if interrupted:
        num_measured = sum(row.is_measured for row in bench.rows)
        say(f"Interrupted: {num_measured} of {len(settings)} measured.")
        click.get_current_context().exit(INTERRUPTED)
    if error is None and not any(row.is_measured for row in bench.rows):
        error = DptError(f"nothing could be measured: {bench.rows[0].note}")
    if error is not None:
        raise error
    if num_bad or any(row.status == "failed" for row in bench.rows):
        click.get_current_context().exit(SOME_FAILED)


def _weights(options: BenchOptions, specs: Sequence[CheckpointSpec]) -> dict[str, Weights | None]:
    """Return each model's checked weights, or None if they are not on this disk."""
    found: dict[str, Weights | None] = {}
    for spec in specs:
        if options.weights is None and locate(spec) is None:
            say(
                f"{spec.id}: its weights are not on this disk and are not downloaded; random "
                "ones are timed, and there is no drift"
            )
            found[spec.id] = None
        else:
            found[spec.id] = find_weights(spec, options.weights, offline=True, notify=say)
    return found


def _photographs(options: BenchOptions) -> tuple[dict[str, RGB], int]:
    """Return the photographs for drift, by path, and how many could not be read.

    Raises:
        InputError: There are no photographs.
    """
    if options.no_drift:
        return {}, 0
    given = find_photographs(options.images or (PHOTOGRAPHS,)).photographs
    read = {photograph: _read(photograph) for photograph in given}
    usable = {
        str(photograph.path if options.images else photograph.relative): rgb
        for photograph, rgb in read.items()
        if rgb is not None
    }
    if not usable:
        names = ", ".join(map(str, options.images[:3]))
        raise InputError(f"no photograph to measure drift on in {names}")
    return usable, len(read) - len(usable)


def _read(photograph: Photograph) -> RGB | None:
    try:
        return read_rgb(photograph.path)
    except InputError as error:
        say(f"Failed: {error}")
        return None


def _settings(options: BenchOptions, specs: Sequence[CheckpointSpec], device: str) -> list[Setting]:
    """Return the settings to measure, each network size once, from small to large."""
    resolved = [resolve_precision(name, resolve_device(device)) for name in options.precision]
    settings: dict[tuple[object, ...], Setting] = {}
    for spec in specs:
        sizes = options.resolution or (spec.input.target_hw,)
        # The weights' own size comes before others that are rounded to the same network size.
        by_size = sorted(sizes, key=lambda size_hw: size_hw != spec.input.target_hw)
        every = [
            Setting(spec, size_hw, batch_size, precision)
            for precision in dict.fromkeys(resolved)
            for size_hw in by_size
            for batch_size in options.batch_size
        ]
        every.sort(key=lambda it: (resolved.index(it.precision), it.num_pixels, it.batch_size))
        for it in every:
            settings.setdefault((spec.id, it.network_hw, it.batch_size, it.precision), it)
    return list(settings.values())


def _engine(
    options: BenchOptions,
    weights: Mapping[str, Weights | None],
    device: str,
    precisions: Sequence[str],
) -> str:
    """Return the engine of all rows: `torch` or `openvino`.

    Raises:
        DeviceError: It is not installed, or cannot do what is asked.
    """
    engines = {resolve_engine(options.engine, device, precision) for precision in precisions}
    # Random weights are not worth a conversion.
    can_convert = None not in weights.values()
    if options.engine == "auto" and "int8" not in precisions:
        return "openvino" if engines == {"openvino"} and can_convert else "torch"
    if len(engines) > 1:
        raise DeviceError(
            "int8 runs on OpenVINO and half precision on torch: measure them in two runs"
        )
    if "openvino" in engines and not can_convert:
        raise DeviceError(
            "--engine openvino needs weights on this disk; random ones run on torch only"
        )
    return engines.pop()


def _model(
    options: BenchOptions, spec: CheckpointSpec, weights: Weights | None, device: str, engine: str
) -> Model:
    if engine == "openvino" and weights is not None:
        return Model(
            spec,
            weights.label,
            cache(lambda precision: load_engine(spec, weights, device, precision, engine, say)),
        )
    from dpt_cli.checkpoint.load import load_network

    if weights is None:
        network = build_network(spec.architecture).eval().requires_grad_(False)
    else:
        network = load_network(weights.path, spec.architecture, sha256=weights.sha256)
    label = weights.label if weights else RANDOM
    memory.loaded(keep_freed=False)  # freed memory would be measured as used

    def on_torch(precision: str) -> TorchEngine:
        # All precisions share one network, whose weights stay float32.
        return TorchEngine(network, device, precision, cuda_graphs=options.cuda_graphs)

    return Model(spec, label, on_torch)
