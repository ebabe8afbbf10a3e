"""Compares `dpt` with its peers: the same weights and pictures, taking turns.

    python benchmarks/peers.py --photos DIR --work DIR [--authors CHECKOUT --authors-python PYTHON]
    python benchmarks/peers.py ... --device cuda --batch-sizes 1,16

Warm: loaded networks, one per process, taking turns. Cold: whole processes, taking turns. Folder:
one run each over many photographs. Weights are filled by formula, so int8 is calibrated only for
speed.
Ratios compare times of the same turn, so that a busy machine is busy for all.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from math import isnan
from pathlib import Path
from statistics import mean, median

import click
import numpy as np
from contenders import CONTENDERS, import_transformers, runs_on

# No torch here: a child's peak memory includes that of its parent at the fork.

_ROOT = Path(__file__).resolve().parents[1]
_HERE = Path(__file__).resolve()
_SIDE_PX = 384
_NUM_WARM_UPS = 3
_PARTS = ("warm", "cold", "folder")
_ENGINES = {
    "dpt, torch": ("--engine", "torch", "--precision", "auto", "--no-cuda-graphs"),
    "dpt, torch --cuda-graphs": ("--engine", "torch", "--precision", "auto", "--cuda-graphs"),
    "dpt, OpenVINO": ("--engine", "openvino", "--precision", "fp32"),
    "dpt, OpenVINO int8": ("--engine", "openvino", "--precision", "int8"),
}
_path = click.Path(path_type=Path, resolve_path=True)


@click.group(invoke_without_command=True)
@click.pass_context
@click.option("--photos", type=_path, help="A folder of photographs.")
@click.option("--work", type=_path, help="A folder for weights (6 GB) and maps.")
@click.option("--models", default="large,hybrid", show_default=True)
@click.option("--runs", default=7, show_default=True, help="Number of turns, warm and cold.")
@click.option("--count", default=200, show_default=True, help="Photographs in the folder run.")
@click.option("--parts", default=",".join(_PARTS), show_default=True)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--batch-sizes", default="1", show_default=True)
@click.option("--without", multiple=True, help="A contender to leave out, by its name.")
@click.option("--authors", type=_path, help="A checkout of isl-org/DPT.")
@click.option("--authors-python", type=click.Path(), help="A Python with timm 0.4.5.")
def main(
    ctx: click.Context,
    photos: Path | None,
    work: Path | None,
    models: str,
    runs: int,
    count: int,
    parts: str,
    device: str,
    batch_sizes: str,
    without: tuple[str, ...],
    authors: Path | None,
    authors_python: str | None,
) -> None:
    """Measure in fp32 on a CPU or fp16 on a GPU, and print Markdown tables."""
    if ctx.invoked_subcommand:
        return
    if photos is None or work is None:
        raise click.UsageError("--photos and --work are required")
    os.environ["HF_HOME"] = str(work / "home")
    chosen = parts.split(",")
    pictures = sorted(it for it in photos.iterdir() if it.suffix.lower() in (".jpg", ".png"))
    for model in models.split(","):
        folder = work / model
        _run_here("prepare", model, folder, pictures[0])
        for batch_size in batch_sizes.split(",") if "warm" in chosen else ():
            names = [name for name in CONTENDERS if authors or "authors" not in name]
            names = [name for name in names if name not in without and runs_on(name, device)]
            _print_heading(
                f"{model}, a forward pass of {batch_size} at {_SIDE_PX} x {_SIDE_PX} [s]"
            )
            what = (device, "fp16" if device == "cuda" else "fp32", batch_size)
            _print_rows(_warm(names, model, folder, what, runs, authors, authors_python))
        if "cold" in chosen:
            _print_heading(f"{model}, one photograph, a whole process")
            photo = folder / "square.png"
            _print_processes(_processes(model, folder, photo, device, 1, without), runs)
    if "folder" in chosen:
        model = models.rpartition(",")[2]
        few = _squares(work / f"photos-{count}", pictures[:count])
        for batch_size in map(int, batch_sizes.split(",")):
            _print_heading(
                f"{model}, {count} photographs in batches of {batch_size}, a whole process"
            )
            _print_processes(_processes(model, work / model, few, device, batch_size, without), 1)


def _print_heading(line: str) -> None:
    click.echo(f"\n### {line}\n")


def _run_here(*arguments: object) -> None:
    subprocess.run([sys.executable, _HERE, *map(str, arguments)], check=True, env=_environment())


def _environment() -> dict[str, str]:
    paths = (_ROOT, _ROOT / "tests", _HERE.parent)
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_OFFLINE": "1",
    }


def _warm(
    names: Sequence[str],
    model: str,
    folder: Path,
    what: tuple[str, str, str],
    runs: int,
    authors: Path | None,
    authors_python: str | None,
) -> list[tuple[str, list[float], str]]:
    outputs = {name: folder / f"output-{index}.npy" for index, name in enumerate(names)}
    workers = []
    for name in names:
        python, environment = sys.executable, _environment()
        if "authors" in name:
            python = authors_python or python
            environment = {**os.environ, "AUTHORS": str(authors)}
        command = [python, _HERE.with_name("contenders.py"), name, model, folder]
        command += [folder / "image.npy", outputs[name], *what]
        worker = subprocess.Popen(
            list(map(str, command)),
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if worker.stdout is None or worker.stdout.readline() != "ready\n":
            raise click.ClickException(f"{name} did not start")
        workers.append(worker)
    times: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(_NUM_WARM_UPS + runs):
        for name, worker in zip(names, workers, strict=True):
            print("run", file=worker.stdin, flush=True)
            seconds = float(json.loads(worker.stdout.readline()))
            if turn >= _NUM_WARM_UPS:
                times[name].append(seconds)
    for worker in workers:
        worker.communicate()
    reference = np.load(outputs[names[0]])
    rows = []
    for name in names:
        output, difference = np.load(outputs[name]), "–"
        if output.shape == reference.shape:
            difference = f"{np.linalg.norm(output - reference) / np.linalg.norm(reference):.0e}"
        rows.append((name, times[name], difference))
    return rows


def _print_rows(rows: Sequence[tuple[str, list[float], str]]) -> None:
    click.echo("| | median | times transformers' speed | differs from transformers by |")
    click.echo("| --- | --- | --- | --- |")
    for name, seconds, difference in rows:
        click.echo(
            f"| {name} | {median(seconds):.3g} | {_ratio(rows[0][1], seconds)} | {difference} |"
        )


def _ratio(base: Sequence[float], seconds: Sequence[float]) -> str:
    ratios = [theirs / own for theirs, own in zip(base, seconds, strict=True)]
    spread = f" ({min(ratios):.2f} to {max(ratios):.2f})" if len(ratios) > 1 else ""
    return f"{median(ratios):.2f}{spread}"


def _processes(
    model: str, folder: Path, photos: Path, device: str, batch_size: int, without: Sequence[str]
) -> dict[str, list[str]]:
    """Return commands that all make maps of the same photographs."""
    maps = folder / "maps"
    theirs = [sys.executable, str(_HERE), "pipeline", *map(str, (folder, photos, maps))]
    theirs += [device, str(batch_size)]
    commands = {"transformers' pipeline": theirs}
    for name, engine in _ENGINES.items():
        command = [sys.executable, "-m", "dpt_cli", "depth", str(photos), "-o", str(maps / "own")]
        command += ["--model", model, "--weights", str(folder / "model.safetensors")]
        command += ["--resolution", f"{_SIDE_PX}x{_SIDE_PX}", *engine, "--device", device]
        command += ["--batch-size", str(batch_size), "--quiet", "--force"]
        if name not in without and runs_on(name, device):
            commands[name] = command
    return commands


def _print_processes(commands: dict[str, list[str]], runs: int) -> None:
    turns = [{name: _watch(command) for name, command in commands.items()} for _ in range(runs)]
    click.echo(
        "| | wall [s] | relative to the pipeline | CPU [s] | peak memory [GB] | GPU busy [%] |"
    )
    click.echo("| --- | --- | --- | --- | --- | --- |")
    first = next(iter(commands))
    for name in commands:
        wall_s, cpu_s, peak_gb, busy = zip(*(turn[name] for turn in turns), strict=True)
        base = [turn[first][0] for turn in turns]
        click.echo(
            f"| {name} | {median(wall_s):.2f} | {_ratio(wall_s, base)} "
            f"| {median(cpu_s):.2f} | {median(peak_gb):.2f} | {_percent(busy)} |"
        )


def _percent(shares: Sequence[float]) -> str:
    return "–" if any(map(isnan, shares)) else f"{median(shares):.0f}"


def _watch(command: Sequence[str]) -> tuple[float, float, float, float]:
    """Run a command.

    Returns:
        Its wall time [s], CPU time [s], peak resident memory [GB], and the share of the time that
        the GPU was busy, start-up included [%]; NaN without a GPU.
    """
    with _GpuWatch() as gpu:
        started = time.perf_counter()
        process = subprocess.Popen(command, env=_environment(), stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise click.ClickException(f"exit code {process.returncode}: {' '.join(command)}")
    unit = 1 if sys.platform == "darwin" else 1024
    return wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit / 1e9, gpu.busy


class _GpuWatch:
    """Samples how busy the GPU is, ten times per second."""

    _QUERY = ("--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "100")

    def __enter__(self) -> "_GpuWatch":
        self.busy, self._process = float("nan"), None
        if shutil.which("nvidia-smi"):
            command = ("nvidia-smi", *self._QUERY)
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_error: object) -> None:
        if self._process is not None:
            self._process.terminate()
            samples = self._process.communicate()[0].split()
            self.busy = mean(map(float, samples)) if samples else self.busy


def _squares(folder: Path, pictures: Iterable[Path]) -> Path:
    """Write the pictures' central squares, which all contenders see at one size."""
    import cv2

    folder.mkdir(parents=True, exist_ok=True)
    for picture in pictures:
        image = cv2.imread(str(picture))
        side = min(image.shape[:2])
        top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
        square = image[top : top + side, left : left + side]
        cv2.imwrite(str(folder / f"{picture.stem}.jpg"), square)
    return folder


# Each of the commands below runs in its own process.


@main.command(hidden=True)
@click.argument("model")
@click.argument("folder", type=_path)
@click.argument("photo", type=_path)
def prepare(model: str, folder: Path, photo: Path) -> None:
    """Write the weights in both layouts, the network's input and the int8 conversion."""
    import torch
    from safetensors.torch import save_file

    from dpt_cli.checkpoint.registry import load_registry
    from dpt_cli.formats.files import replacing
    from dpt_cli.formats.png import write_png
    from dpt_cli.photos.decode import read_rgb
    from dpt_cli.predict.preprocess import network_input
    from published import authors_checkpoint, to_transformers, transformers_options

    folder.mkdir(parents=True, exist_ok=True)
    rgb = read_rgb(photo)
    side = min(rgb.shape[:2])
    top, left = (rgb.shape[0] - side) // 2, (rgb.shape[1] - side) // 2
    square = rgb[top : top + side, left : left + side]
    with replacing(folder / "square.png") as file:
        write_png(file, square)
    spec = load_registry().find("depth", model)
    image = network_input(square, (_SIDE_PX, _SIDE_PX), spec.input)
    np.save(folder / "image.npy", image[None])
    weights = folder / "model.safetensors"
    if not weights.exists():
        checkpoint = authors_checkpoint(f"{model}-depth")
        torch.save(checkpoint, folder / "authors.pt")
        part = weights.with_suffix(".part")
        save_file(to_transformers(checkpoint, f"{model}-depth"), part, {"format": "pt"})
        part.rename(weights)
    transformers = import_transformers()
    transformers.DPTConfig(**transformers_options(f"{model}-depth")).save_pretrained(folder)
    # As in the published repositories: resized to a square, bilinear.
    transformers.DPTImageProcessor(
        size={"height": _SIDE_PX, "width": _SIDE_PX},
        resample=2,
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
    ).save_pretrained(folder)
    _prepare_int8(model, weights, image)


def _prepare_int8(model: str, weights: Path, image: np.ndarray) -> None:
    """Convert with the parts in fp32 that trained weights need."""
    from dpt_cli.checkpoint.integrity import converted_path
    from dpt_cli.checkpoint.registry import load_registry
    from dpt_cli.engine.openvino.files import Conversion
    from dpt_cli.engine.openvino.int8 import quantize
    from dpt_cli.engine.openvino.keep import seal
    from dpt_cli.predict.conversion import KEPT_IN_FP32, made_of
    from dpt_cli.predict.load import find_weights, load_engine

    spec = load_registry().find("depth", model)
    found = find_weights(spec, weights, offline=True, notify=click.echo)
    load_engine(spec, found, "cpu", "fp32", "openvino")
    folder = converted_path(found.sha256, spec.architecture, "int8")
    if not folder.exists():
        place = converted_path(found.sha256, spec.architecture)
        source = Conversion.open(place, made_of(spec, found.sha256, "fp32"))
        quantize(source, [image], KEPT_IN_FP32[0], folder)
        seal(folder, made_of(spec, found.sha256, "int8"), remark="only to measure its speed")


@main.command(hidden=True)
@click.argument("folder", type=_path)
@click.argument("photos", type=_path)
@click.argument("maps", type=_path)
@click.argument("device")
@click.argument("batch_size", type=int)
def pipeline(folder: Path, photos: Path, maps: Path, device: str, batch_size: int) -> None:
    """Make maps as in transformers' documentation."""
    estimate = import_transformers().pipeline(
        "depth-estimation",
        model=str(folder),
        device=device,
        dtype="float16" if device == "cuda" else "float32",
    )
    files = sorted(photos.iterdir()) if photos.is_dir() else [photos]
    maps.mkdir(exist_ok=True)
    names = (str(file) for file in files)
    for file, output in zip(files, estimate(names, batch_size=batch_size), strict=True):
        output["depth"].save(maps / f"{file.stem}.png")


if __name__ == "__main__":
    main()
