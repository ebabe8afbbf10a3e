"""Time and peak memory of each network beside transformers', on the same photograph.

    python benchmarks/family.py anything-v2-small dinov2-small-nyu beit-base-384

Both sides read the same formula-filled file in the Hub's layout. They turn the same photograph,
resized to the same network size, into a map, on torch and the CPU in fp32, each in a process of its
own. They take turns, and medians are printed. On a busy machine the ratio of CPU times says more
than that of wall times. Needs transformers.
"""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

PHOTOGRAPH = ROOT / "dpt_cli" / "bundled" / "photographs" / "coffee.jpg"
SIDES = ("dpt", "transformers")
_UNITS = {"wall": "s", "cpu": "s", "memory": "GiB"}

RGB = npt.NDArray[np.uint8]


@click.command()
@click.argument("models", nargs=-1, required=True)
@click.option("--rounds", default=3, show_default=True, help="Processes per side.")
@click.option("--runs", default=3, show_default=True, help="Photographs per process, after one.")
def main(models: tuple[str, ...], rounds: int, runs: int) -> None:
    """Print a table: seconds per photograph and peak memory of both sides, and their ratios."""
    headings = ("model", *(f"{what}: {it}" for what in _UNITS for it in (*SIDES, "ratio")))
    click.echo(f"| {' | '.join(headings)} |\n| {' | '.join(['---'] * len(headings))} |")
    for model in models:
        with tempfile.TemporaryDirectory() as folder:
            _architecture_twin(model).write(Path(folder))
            found = [
                {side: _in_child(side, model, folder, runs) for side in SIDES}
                for _ in range(rounds)
            ]
        cells = []
        for what, unit in _UNITS.items():
            ours, theirs = (statistics.median(it[side][what] for it in found) for side in SIDES)
            cells += [f"{ours:.3g} {unit}", f"{theirs:.3g} {unit}", f"{ours / theirs:.2f}"]
        click.echo(f"| `{model}` | {' | '.join(cells)} |")


def _in_child(side: str, model: str, folder: str, runs: int) -> dict[str, float]:
    words = [sys.executable, __file__, "--child", side, model, folder, str(runs)]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _architecture_twin(model: str) -> Any:
    # Before transformers: it makes a torchvision importable that was built for another torch.
    import dpt_cli.model.timm_parts  # noqa: F401
    from dpt_cli.checkpoint.registry import load_registry
    from dpt_cli.model.architectures import ARCHITECTURES
    from family import twin

    spec = load_registry().find("depth", model)
    return twin(next(name for name, it in ARCHITECTURES.items() if it == spec.architecture))


def _child(side: str, model: str, folder: str, runs: int) -> None:
    """Measure one side in this process and print what was found."""
    from dpt_cli.photos.decode import read_rgb

    make = _ours if side == "dpt" else _theirs
    predict, rgb = make(model, Path(folder)), read_rgb(PHOTOGRAPH)
    predict(rgb)
    times = []
    for _ in range(runs):
        wall, cpu = time.perf_counter(), time.process_time()
        predict(rgb)
        times.append((time.perf_counter() - wall, time.process_time() - cpu))
    wall, cpu = (statistics.median(it) for it in zip(*times, strict=True))
    gibibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    click.echo(json.dumps({"wall": wall, "cpu": cpu, "memory": gibibytes}))


def _ours(model: str, folder: Path) -> Callable[[RGB], Any]:
    import dpt_cli

    weights = folder / "model.safetensors"
    return dpt_cli.load(model, weights=weights, device="cpu", precision="fp32", engine="torch")


def _theirs(model: str, folder: Path) -> Callable[[RGB], Any]:
    from dpt_cli.checkpoint.registry import load_registry
    from dpt_cli.photos.decode import read_rgb
    from dpt_cli.predict.preprocess import network_size

    network = _architecture_twin(model).load(folder)
    import torch
    from transformers import DPTImageProcessor

    spec = load_registry().find("depth", model)
    photo_hw = read_rgb(PHOTOGRAPH).shape[:2]
    # Its own rule is always "minimal", which gives Depth Anything half of its authors' pixels.
    height, width = network_size(
        (photo_hw[0], photo_hw[1]), spec.input.target_hw, spec.multiple_of, spec.input.resize
    )
    processor = DPTImageProcessor(
        size={"height": height, "width": width},
        resample=3,
        image_mean=spec.input.mean,
        image_std=spec.input.std,
    )

    @torch.inference_mode()
    def predict(rgb: RGB) -> Any:
        inputs = processor(images=rgb, return_tensors="pt")
        output = network(**inputs)
        sizes = [(rgb.shape[0], rgb.shape[1])]
        return processor.post_process_depth_estimation(output, target_sizes=sizes)

    return predict


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        _child(sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]))
    else:
        main()
