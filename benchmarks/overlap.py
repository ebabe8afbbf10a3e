"""Measures how busy the cores are, and with what: 12-megapixel JPEGs to colour PNGs.

    python benchmarks/overlap.py --photos DIR [--model tiny] [--count 40] [--formats color]

Photographs are enlarged to 4000 x 3000. Wall time is compared with the process's CPU time divided
by the number of cores: 1.0 is a machine that never waits. A second run measures the CPU time of
each stage in its threads.
"""

import os
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click
import cv2

T = TypeVar("T")
_path = click.Path(path_type=Path)
_SIZE = (4000, 3000)


@click.command()
@click.option("--photos", type=_path, required=True, help="A folder of photographs.")
@click.option("--model", default="tiny", show_default=True)
@click.option("--weights", type=_path)
@click.option("--engine", default="auto", show_default=True)
@click.option("--device", default="cpu", show_default=True)
@click.option("--formats", default="color", show_default=True)
@click.option("--count", default=40, show_default=True)
def main(
    photos: Path,
    model: str,
    weights: Path | None,
    engine: str,
    device: str,
    formats: str,
    count: int,
) -> None:
    """Run the command twice: unchanged, and with its stages timed."""
    with tempfile.TemporaryDirectory() as work:
        inputs = _enlarged(photos, Path(work, "in"), count)
        arguments = ["depth", str(inputs), "--model", model, "--format", formats, "--quiet"]
        arguments += ["--engine", engine, "--device", device]
        arguments += ["--weights", str(weights)] if weights else []
        # Once before, so that no conversion is measured.
        _run([*arguments, "-o", str(Path(work, "warm"))])
        wall_s, cpu_s = _run([*arguments, "-o", str(Path(work, "out"))])
        cores = os.cpu_count() or 1
        click.echo(
            f"{count} photographs: wall {wall_s:.1f} s, CPU {cpu_s:.1f} s on {cores} cores, "
            f"ratio {wall_s / (cpu_s / cores):.2f}"
        )
        for stage, seconds in _stages([*arguments, "-o", str(Path(work, "staged"))]):
            click.echo(f"{stage:>10}  {seconds / count:.3f} s per photograph")


def _enlarged(photos: Path, folder: Path, count: int) -> Path:
    folder.mkdir()
    files = sorted(it for it in photos.iterdir() if it.suffix in (".jpg", ".png"))
    for number in range(count):
        image = cv2.imread(str(files[number % len(files)]))
        large = cv2.resize(image, _SIZE, interpolation=cv2.INTER_LANCZOS4)
        cv2.imwrite(str(folder / f"{number:04}.jpg"), large)
    return folder


def _run(arguments: list[str]) -> tuple[float, float]:
    started = time.perf_counter()
    pid = os.posix_spawn(
        sys.executable, [sys.executable, "-m", "dpt_cli", *arguments], dict(os.environ)
    )
    _, status, usage = os.wait4(pid, 0)
    if status:
        raise click.ClickException("the command failed")
    return time.perf_counter() - started, usage.ru_utime + usage.ru_stime


def _stages(arguments: list[str]) -> Iterator[tuple[str, float]]:
    """Yield each stage's CPU time in its threads [s]."""
    from click.testing import CliRunner

    from dpt_cli.cli import dpt
    from dpt_cli.formats import png
    from dpt_cli.pipeline import record, stages

    spent: dict[str, float] = defaultdict(float)
    lock = threading.Lock()

    def timed(name: str, function: Callable[..., T], clock: Callable[[], float]) -> Any:
        def call(*args: Any, **kwargs: Any) -> T:
            started = clock()
            try:
                return function(*args, **kwargs)
            finally:
                with lock:
                    spent[name] += clock() - started

        return call

    cv2.setNumThreads(1)  # otherwise OpenCV's threads do some of the work
    record.read_stamped = timed("read", record.read_stamped, time.thread_time)
    stages.decode_photo = timed("decode", stages.decode_photo, time.thread_time)
    stages.prepare = timed("prepare", stages.prepare, time.thread_time)
    png._write_all = timed("PNG", png._write_all, time.thread_time)
    record.Record.write = timed("write", record.Record.write, time.thread_time)
    stages.Infer.__call__ = timed("network", stages.Infer.__call__, time.perf_counter)
    stages.Finish.__call__ = timed("finish", stages.Finish.__call__, time.thread_time)
    result = CliRunner().invoke(dpt, arguments)
    if result.exit_code:
        raise click.ClickException(result.output)
    yield from spent.items()


if __name__ == "__main__":
    main()
