"""Times OpenVINO in fp32 and bf16, in turns within one process, on a CPU with bf16 in hardware.

    python benchmarks/bf16.py --work DIR

Weights are filled by formula: times do not depend on them. `dpt bench` measures the drift.
"""

import os
import sys
import time
from pathlib import Path
from statistics import median

import click
import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

_PRECISIONS = ("fp32", "bf16")


@click.command()
@click.option("--work", type=click.Path(path_type=Path, resolve_path=True), required=True)
@click.option("--models", default="large,hybrid", show_default=True)
@click.option("--turns", default=7, show_default=True)
def main(work: Path, models: str, turns: int) -> None:
    """Print the medians, and the ratio within a turn with its range."""
    os.environ["HF_HOME"] = str(work / "home")
    for model in models.split(","):
        seconds, difference = _measure(model, work, turns)
        fp32, bf16 = (median(seconds[precision]) for precision in _PRECISIONS)
        ratios = [one / other for one, other in zip(*seconds.values(), strict=True)]
        click.echo(
            f"{model}: fp32 {fp32:.2f} s, bf16 {bf16:.2f} s, {median(ratios):.2f} times as fast "
            f"({min(ratios):.2f} to {max(ratios):.2f}), relative difference {difference:.0e}"
        )


def _measure(model: str, work: Path, turns: int) -> tuple[dict[str, list[float]], float]:
    """Return the seconds of each turn by precision, and how far the outputs lie apart."""
    import torch

    from dpt_cli.checkpoint.registry import load_registry
    from dpt_cli.predict.load import find_weights, load_engine
    from published import authors_checkpoint

    spec = load_registry().find("depth", model)
    file = work / f"{model}.pt"
    if not file.exists():
        work.mkdir(parents=True, exist_ok=True)
        torch.save(authors_checkpoint(f"{model}-depth"), file)
    weights = find_weights(spec, file, offline=True, notify=click.echo)
    engines = {
        precision: load_engine(spec, weights, "cpu", precision, "openvino", click.echo)
        for precision in _PRECISIONS
    }
    image = np.random.default_rng(0).standard_normal((1, 3, 384, 384), dtype=np.float32)
    fp32, bf16 = (engine(image)[0].values for engine in engines.values())  # the warm-up
    seconds: dict[str, list[float]] = {precision: [] for precision in _PRECISIONS}
    for _ in range(turns):
        for precision, engine in engines.items():
            started = time.perf_counter()
            engine(image)
            seconds[precision].append(time.perf_counter() - started)
    return seconds, float(np.linalg.norm(bf16 - fp32) / np.linalg.norm(fp32))


if __name__ == "__main__":
    main()
