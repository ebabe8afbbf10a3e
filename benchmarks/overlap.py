"""How far decoding and writing hide behind the network: wall time over the network's own time.

    python benchmarks/overlap.py --photos DIR --weights FILE [--model NAME] [--formats color,npy]

1.0 is a network that never waits. Needs two cores; the photographs should be large.
"""

import argparse
import tempfile
import time
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt
from click.testing import CliRunner

from dpt_cli.cli import dpt
from dpt_cli.engine import RawOutput
from dpt_cli.engine.torch_engine import TorchEngine


class Timed:
    """Sums the time inside an engine's calls and notes when the first began."""

    def __init__(self) -> None:
        self.seconds, self.first = 0.0, 0.0
        self._call = TorchEngine.__call__

    def __call__(self, engine: TorchEngine, images: npt.NDArray[np.float32]) -> list[RawOutput]:
        """Run and time one batch."""
        started = time.perf_counter()
        self.first = self.first or started
        outputs = self._call(engine, images)
        self.seconds += time.perf_counter() - started
        return outputs


def main() -> None:
    """Run the command once and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--model", default="hybrid")
    parser.add_argument("--formats", default="color,npy")
    options = parser.parse_args()
    timed = Timed()
    # A plain function: an instance would not be bound to the engine.
    TorchEngine.__call__ = lambda engine, images: timed(engine, images)  # type: ignore[method-assign]  # noqa: PLW0108
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["depth", str(options.photos), "-o", folder, "--model", options.model]
        chosen = ["--weights", str(options.weights), "--format", options.formats]
        result = CliRunner().invoke(dpt, [*arguments, *chosen])
        ended = time.perf_counter()
    if result.exit_code:
        raise SystemExit(result.output)
    wall = ended - timed.first
    click.echo(
        f"wall {wall:.1f} s, network {timed.seconds:.1f} s, ratio {wall / timed.seconds:.2f}"
    )


if __name__ == "__main__":
    main()
