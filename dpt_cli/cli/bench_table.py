"""A benchmark for people: a table, and what is to be known beside it."""

import sys
from collections.abc import Mapping, Sequence

import click
from rich.console import Console
from rich.table import Table

from dpt_cli.cli.report import counted
from dpt_cli.measure.machine import Machine
from dpt_cli.measure.peaks import Peaks
from dpt_cli.measure.rows import RANDOM, Row

_PLAIN_WIDTH = 200
_NONE = "–"


def print_report(
    rows: Sequence[Row], machine: Machine, peaks: Mapping[str, Peaks], advice: str
) -> None:
    """Print the table, the machine, the weights and the advice to standard output."""
    # A pipe has no width: lines are not to be folded for it.
    console = Console(width=None if sys.stdout.isatty() else _PLAIN_WIDTH, highlight=False)
    if rows:
        console.print(_table(rows))
        click.echo()
    for line in [*_lines(rows, machine, peaks), advice]:
        click.echo(line)


def _table(rows: Sequence[Row]) -> Table:
    has_gpu = any(row.memory.gpu_peak is not None for row in rows)
    columns = ["MODEL", "SIZE", "BATCH", "PRECISION", "MEDIAN", "5–95 %", "PICTURES/S", "MEMORY"]
    columns += [*(["GPU MEMORY"] if has_gpu else []), "GFLOP", "OF PEAK", "DRIFT"]
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="left" if column in ("MODEL", "PRECISION") else "right")
    for row in rows:
        height, width = row.setting.network_hw
        gpu = [_size(row.memory.gpu_peak)] if has_gpu else []
        operations = _digits(row.operations.total / 1e9) if row.operations else _NONE
        table.add_row(
            row.setting.spec.name,
            f"{width}×{height}",
            str(row.setting.batch_size),
            row.setting.precision,
            *_times(row),
            _memory(row),
            *gpu,
            operations,
            _NONE if row.share_of_peak is None else f"{100 * row.share_of_peak:.0f} %",
            _drift(row),
        )
    return table


def _times(row: Row) -> tuple[str, str, str]:
    if not row.is_measured:
        return row.status, _NONE, _NONE
    low, high = row.spread_s
    unit, factor = ("s", 1.0) if row.median_s >= 1 else ("ms", 1e3)
    median, low, high = (factor * seconds for seconds in (row.median_s, low, high))
    return (
        f"{_digits(median)} {unit}",
        f"{_digits(low)}–{_digits(high)}",
        _digits(row.pictures_per_second),
    )


def _memory(row: Row) -> str:
    peak, growth = row.memory.host_peak, row.memory.host_growth
    return f"{_size(peak)} (+{_size(growth)})" if growth is not None else _size(peak)


def _drift(row: Row) -> str:
    if row.drift is None:
        return _NONE
    if row.setting.spec.task == "segment":
        return f"{100 * (1 - row.drift):.2f} % agree"
    return f"AbsRel {row.drift:.4f}"


def _lines(rows: Sequence[Row], machine: Machine, peaks: Mapping[str, Peaks]) -> list[str]:
    lines = [f"{row.setting}: {row.note}" for row in rows if row.note]
    lines += [
        f"{name}: random weights, as none are on this disk: times and memory are those of the "
        f"real ones, and there is no drift; 'dpt models pull {name}' brings them"
        for name in dict.fromkeys(r.setting.spec.id for r in rows if r.weights == RANDOM)
    ]
    where = f"{machine.gpu}, " if machine.gpu else ""
    lines.append(
        f"machine: {where}{machine.cpu}, {counted(machine.num_cores, 'core')}, "
        f"{counted(machine.num_threads, 'thread')}, "
        f"torch {machine.torch}"
    )
    lines += [
        f"peak in {precision}: matrix product {peak.matrix / 1e9:,.0f} GFLOP/s, convolution "
        f"{peak.convolution / 1e9:,.0f} GFLOP/s"
        for precision, peak in peaks.items()
    ]
    return lines


def _digits(value: float) -> str:
    """Return three significant digits, more where there are more before the point."""
    decimals = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:,.{decimals}f}"


def _size(num_bytes: int | None) -> str:
    if num_bytes is None:
        return _NONE
    return f"{num_bytes / 1e9:.2f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:.0f} MB"
