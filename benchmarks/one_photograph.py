"""One photograph through DPT on a CPU: `dpt` beside transformers, with the same weights.

    python benchmarks/one_photograph.py compare --photo PHOTO --work FOLDER

Runs of the two alternate, so that a busy machine is busy for both. transformers takes square
inputs alone, so both get the middle square of the photograph and see it at 384 x 384.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import click

# No torch up here: the process that measures must be small, as a child's peak memory counts from
# the moment of its fork.

T = TypeVar("T")

_ROOT = Path(__file__).resolve().parents[1]
_SIDE_PX = 384
_MODELS = ("large", "hybrid")

_LARGE = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "backbone_out_indices": [5, 11, 17, 23],
    "neck_hidden_sizes": [256, 512, 1024, 1024],
}
_HYBRID = {
    "is_hybrid": True,
    "neck_hidden_sizes": [256, 512, 768, 768],
    "reassemble_factors": [1, 1, 1, 0.5],
}

_path = click.Path(path_type=Path, resolve_path=True)


@dataclass(frozen=True)
class Row:
    """One measured quantity of one network; the runs of both sides in the order they were made."""

    model: str
    quantity: str
    ours: Sequence[float]
    theirs: Sequence[float]

    def __str__(self) -> str:
        ratios = [ours / theirs for ours, theirs in zip(self.ours, self.theirs, strict=True)]
        spread = f" ({min(ratios):.2f} to {max(ratios):.2f})" if len(ratios) > 1 else ""
        return (
            f"| {self.model} | {self.quantity} | {median(self.ours):.2f} "
            f"| {median(self.theirs):.2f} | {median(ratios):.2f}{spread} |"
        )


@click.group()
def main() -> None:
    """Measure `dpt` beside transformers; `compare` is the command to run."""


@main.command()
@click.option("--photo", type=_path, required=True, help="Any photograph.")
@click.option("--work", type=_path, required=True, help="A folder for weights (2 GB) and maps.")
@click.option("--runs", type=click.IntRange(min=1), default=5, show_default=True)
@click.option(
    "--models", default=",".join(_MODELS), show_default=True, help="Comma-separated networks."
)
def compare(photo: Path, work: Path, runs: int, models: str) -> None:
    """Measure both and print a table; weights are filled by formula on first use."""
    # Where `dpt` remembers hashes; none of ours belongs among the user's.
    os.environ["HF_HOME"] = str(work / "home")
    lines = [
        "| network | | dpt | transformers | dpt / transformers |",
        "| --- | --- | --- | --- | --- |",
    ]
    remarks = []
    for model in models.split(","):
        folder = work / model
        square = work / "square.png"
        _call("prepare", model, folder, photo, square)
        rows, difference = _measure(model, folder, square, runs)
        lines += map(str, rows)
        remarks.append(f"{model}: raw outputs for one input differ by {difference:.1e} (relative).")
    click.echo("\n".join([*lines, "", *remarks]))


def _measure(model: str, folder: Path, square: Path, runs: int) -> tuple[list[Row], float]:
    maps = folder / "maps"
    weights = folder / "model.safetensors"
    ours = [sys.executable, "-m", "dpt_cli", "depth", str(square), "-o", str(maps)]
    ours += ["--model", model, "--weights", str(weights), "--resolution", str(_SIDE_PX)]
    ours += ["--format", "npy", "--device", "cpu", "--quiet"]
    theirs = _own_command("transformers-depth", folder, square, maps / "theirs.npy")
    pairs = [(_watch(ours), _watch(theirs)) for _ in range(runs)]
    wall_s, cpu_s, peak_gb = (
        [[side[index] for side in column] for column in zip(*pairs, strict=True)]
        for index in range(3)
    )
    warm = json.loads(_call("forwards", model, folder, square, str(runs)))
    rows = [
        Row(model, "one photograph, whole process [s]", *wall_s),
        Row(model, "its CPU time [s]", *cpu_s),
        Row(model, "its peak memory, mapped weights included [GB]", *peak_gb),
        Row(model, "load, file in the disk cache [s]", *warm["load_s"]),
        Row(model, "first forward [s]", *warm["first_s"]),
        Row(model, "a forward after that [s]", *warm["forward_s"]),
    ]
    return rows, warm["difference"]


def _own_command(*arguments: str | Path) -> list[str]:
    return [sys.executable, __file__, *map(str, arguments)]


def _environment() -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(_ROOT), str(_ROOT / "tests")]),
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }


def _call(*arguments: str | Path) -> str:
    finished = subprocess.run(
        _own_command(*arguments), check=True, env=_environment(), stdout=subprocess.PIPE, text=True
    )
    return finished.stdout


def _watch(command: list[str]) -> tuple[float, float, float]:
    """Run a command; return its wall time [s], CPU time [s] and peak resident memory [GB]."""
    started = time.perf_counter()
    process = subprocess.Popen(
        command, env=_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise click.ClickException(f"exit code {process.returncode}: {' '.join(command)}")
    unit = 1 if sys.platform == "darwin" else 1024
    return wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit / 1e9


# The commands below run in processes of their own.


def _import_transformers() -> Any:
    """Import transformers also where torchvision was built for another torch than this one."""
    import torch

    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        # As dpt_cli/model/timm_parts.py does, but without the time it takes to import timm.
        for name in ("torchvision::nms", "torchvision::qnms"):
            torch.library.define(name, "(Tensor dets, Tensor scores, float threshold) -> Tensor")
    import transformers

    return transformers


@main.command(hidden=True)
@click.argument("model")
@click.argument("folder", type=_path)
@click.argument("photo", type=_path)
@click.argument("square", type=_path)
def prepare(model: str, folder: Path, photo: Path, square: Path) -> None:
    """Write the middle square of the photograph, and a folder that from_pretrained takes."""
    from safetensors.torch import save_file

    from dpt_cli.decode import read_rgb
    from dpt_cli.writers import write_png
    from published import transformers_checkpoint

    folder.mkdir(parents=True, exist_ok=True)
    rgb = read_rgb(photo)
    side = min(rgb.shape[:2])
    top, left = (rgb.shape[0] - side) // 2, (rgb.shape[1] - side) // 2
    write_png(square, rgb[top : top + side, left : left + side])

    weights = folder / "model.safetensors"
    if not weights.exists():
        part = weights.with_suffix(".part")
        save_file(transformers_checkpoint(f"{model}-depth"), part, {"format": "pt"})
        part.rename(weights)
    transformers = _import_transformers()
    config = transformers.DPTConfig(**(_LARGE if model == "large" else _HYBRID))
    config.save_pretrained(folder)
    # What the published repositories say: squashed to a square, bilinear.
    processor = transformers.DPTImageProcessor(
        size={"height": _SIDE_PX, "width": _SIDE_PX},
        resample=2,
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
    )
    processor.save_pretrained(folder)


@main.command(hidden=True)
@click.argument("folder", type=_path)
@click.argument("photo", type=_path)
@click.argument("output", type=_path)
def transformers_depth(folder: Path, photo: Path, output: Path) -> None:
    """Do with transformers, as its documentation shows, what `dpt depth --format npy` does."""
    import numpy as np
    import torch
    from PIL import Image

    transformers = _import_transformers()
    image = Image.open(photo).convert("RGB")
    processor = transformers.DPTImageProcessor.from_pretrained(folder)
    network = transformers.DPTForDepthEstimation.from_pretrained(folder)
    inputs = processor(images=image, return_tensors="pt")
    with torch.no_grad():
        outputs = network(**inputs)
    sizes = [(image.height, image.width)]
    (result,) = processor.post_process_depth_estimation(outputs, target_sizes=sizes)
    np.save(output, result["predicted_depth"].numpy())


@main.command(hidden=True)
@click.argument("model")
@click.argument("folder", type=_path)
@click.argument("photo", type=_path)
@click.argument("runs", type=int)
def forwards(model: str, folder: Path, photo: Path, runs: int) -> None:
    """Print as JSON the times of loading and of forwards on one input, both in this process."""
    import torch

    from dpt_cli.checkpoint.load import load_network
    from dpt_cli.decode import read_rgb
    from dpt_cli.preprocess import network_input
    from dpt_cli.registry import load_registry

    transformers = _import_transformers()
    spec = load_registry().find("depth", model)
    image = torch.from_numpy(network_input(read_rgb(photo), (_SIDE_PX, _SIDE_PX), spec.input))[None]

    def load_ours() -> Callable[[], torch.Tensor]:
        network = load_network(folder / "model.safetensors", spec.architecture)
        return lambda: network(image)

    def load_theirs() -> Callable[[], torch.Tensor]:
        network = transformers.DPTForDepthEstimation.from_pretrained(folder)
        return lambda: network(image).predicted_depth

    load_s: list[list[float]] = [[], []]
    networks: list[Callable[[], torch.Tensor]] = []
    for _ in range(runs):
        networks = [_timed(load_ours, load_s[0]), _timed(load_theirs, load_s[1])]
    forward_s: list[list[float]] = [[], []]
    outputs: list[torch.Tensor] = []
    with torch.inference_mode():
        for _ in range(1 + runs):
            outputs = [
                _timed(network, times) for network, times in zip(networks, forward_s, strict=True)
            ]
    ours, theirs = outputs
    measured = {
        "load_s": load_s,
        "first_s": [times[:1] for times in forward_s],
        "forward_s": [times[1:] for times in forward_s],
        "difference": float((ours - theirs).norm() / theirs.norm()),
    }
    click.echo(json.dumps(measured))


def _timed(action: Callable[[], T], times: list[float]) -> T:
    started = time.perf_counter()
    result = action()
    times.append(time.perf_counter() - started)
    return result


if __name__ == "__main__":
    main()
