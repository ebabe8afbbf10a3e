"""The same network, the same picture, through each engine in turn: medians and paired ratios.

python benchmarks/engines.py --weights FILE --model hybrid --runs 7
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import torch

from dpt_cli.api import find_weights, load_engine
from dpt_cli.checkpoint.load import load_network
from dpt_cli.engine.choice import has_openvino
from dpt_cli.registry import load_registry

Forward = Callable[[np.ndarray], object]


@click.command()
@click.option("--weights", type=click.Path(path_type=Path, exists=True), help="A local checkpoint.")
@click.option("--model", default="hybrid", show_default=True)
@click.option("--task", type=click.Choice(["depth", "segment"]), default="depth")
@click.option("--side", default=384, show_default=True, help="Of the square picture [px].")
@click.option("--runs", default=7, show_default=True)
def main(weights: Path | None, model: str, task: str, side: int, runs: int) -> None:
    """Time the plain network, the torch engine and OpenVINO, one after another, many times."""
    spec = load_registry().find(task, model)
    found = find_weights(
        spec, weights, offline=True, notify=lambda line: click.echo(line, err=True)
    )
    plain = load_network(found.path, spec.architecture)

    def run_plain(images: np.ndarray) -> object:
        with torch.inference_mode():
            return plain(torch.from_numpy(images)).numpy()

    engines: dict[str, Forward] = {"plain network": run_plain}
    names = ["torch", *(["openvino"] if has_openvino() else [])]
    for name in names:
        engines[f"{name} engine"] = load_engine(spec, found, "cpu", "fp32", name)
    images = np.random.default_rng(0).standard_normal((1, 3, side, side), dtype=np.float32)
    times: dict[str, list[float]] = {name: [] for name in engines}
    for number in range(runs + 1):
        for name, forward in engines.items():
            started = time.perf_counter()
            forward(images)
            if number:  # the first is the warm-up
                times[name].append(time.perf_counter() - started)
    for name, seconds in times.items():
        ratios = [base / own for base, own in zip(times["plain network"], seconds, strict=True)]
        click.echo(
            f"{name:>16}  {statistics.median(seconds):.3f} s  "
            f"{statistics.median(ratios):.2f} times the plain network's speed "
            f"({min(ratios):.2f} to {max(ratios):.2f})"
        )


if __name__ == "__main__":
    main()
