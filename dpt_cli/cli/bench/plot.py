"""Draws a benchmark: time and memory against megapixels."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dpt_cli.bench.machine import Machine
from dpt_cli.bench.rows import Row

_INCHES = (11, 4.8)
_DOTS_PER_INCH = 120


def draw(rows: Sequence[Row], machine: Machine) -> npt.NDArray[np.uint8]:
    """Return a plot of the measured rows, uint8 (H, W, 3)."""
    figure = Figure(figsize=_INCHES, dpi=_DOTS_PER_INCH, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    times, memory = figure.subplots(1, 2)
    measured = [row for row in rows if row.is_measured]
    figure.suptitle(f"{machine.gpu or machine.cpu}, torch {machine.torch}", fontsize="medium")
    for label, line in _lines(measured).items():
        megapixels = [row.setting.num_pixels / 1e6 for row in line]
        medians = np.array([row.median_s for row in line])
        spread = np.abs(np.array([row.spread_s for row in line]).T - medians)
        times.errorbar(megapixels, medians, yerr=spread, marker="o", capsize=3, label=label)
        known = [(x, y) for x, row in zip(megapixels, line, strict=True) if (y := _memory(row))]
        if known:
            memory.plot(*np.transpose(known), marker="o", label=label)
    on_gpu = any(row.memory.gpu_peak is not None for row in measured)
    sizes = sorted({row.setting.num_pixels / 1e6 for row in measured})
    _finish(times, sizes, "seconds per call, median and 5–95 %")
    _finish(memory, sizes, f"peak memory of the {'GPU' if on_gpu else 'process'} [GB]")
    if measured:
        times.legend(fontsize="small")
    canvas.draw()  # type: ignore[no-untyped-call]  # matplotlib 3.11
    pixels = np.array(canvas.buffer_rgba(), np.uint8)[..., :3]  # type: ignore[no-untyped-call]
    return np.ascontiguousarray(pixels)


def _lines(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return the rows of each line, from small to large, by the line's label."""
    labels: list[Callable[[Row], str]] = [
        lambda row: row.setting.spec.name,
        lambda row: f"batch {row.setting.batch_size}",
        lambda row: row.setting.precision,
    ]
    differing = [label for label in labels if len({label(row) for row in rows}) > 1] or labels[:1]
    lines: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: row.setting.num_pixels):
        lines.setdefault(", ".join(label(row) for label in differing), []).append(row)
    return lines


def _memory(row: Row) -> float | None:
    peak = row.memory.gpu_peak or row.memory.host_peak
    return peak / 1e9 if peak else None


def _finish(axes: Any, megapixels: Sequence[float], label: str) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("megapixels of the network")
    axes.set_ylabel(label)
    # Ticks at the measured sizes, as plain numbers: there are few powers of ten in one decade.
    axes.set_xticks(megapixels, [f"{size:.3g}" for size in megapixels], rotation=45)
    axes.set_xticks([], minor=True)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")
    axes.tick_params(which="both", labelsize="small")
    axes.grid(visible=True, which="both", alpha=0.3)
