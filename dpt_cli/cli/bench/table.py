"""Prints a benchmark as a table, with notes below it."""

import sys
from collections.abc import Mapping, Sequence

import click
from rich.console import Console, JustifyMethod
from rich.table import Table

from dpt_cli.bench.machine import Machine
from dpt_cli.bench.peaks import Peaks
from dpt_cli.bench.rows import RANDOM, Row
from dpt_cli.cli.console import printable, put
from dpt_cli.cli.report import counted

_PLAIN_WIDTH = 200
# Enough for all columns, with long names and figures.
_WIDE = 100
_NONE = "–"
_ABOVE_PEAK = 1.005  # is printed as 101 %
_OWN = "fp32 at the weights' own resolution"
_MEANING = {
    "inverse_depth": f"drift: AbsRel of depth after the best scale and shift, against {_OWN}",
    "depth": f"drift: AbsRel of depth, against {_OWN}",
    "labels": f"agreement: the share of pixels with the same class as in {_OWN}",
}


def print_report(
    rows: Sequence[Row], machine: Machine, peaks: Mapping[str, Peaks], advice: str
) -> None:
    """Print the table, the machine, the weights and the advice to standard output."""
    # A pipe has no width, so its lines must not be wrapped.
    console = Console(
        width=None if sys.stdout.isatty() else _PLAIN_WIDTH, markup=False, highlight=False
    )
    if rows:
        console.print(_table(rows, console.width))
        click.echo()
    for line in [*_lines(rows, machine, peaks), advice]:
        put(line)


def _table(rows: Sequence[Row], width: int) -> Table:
    """Return the table; on a narrow terminal, without columns whose rows are all the same."""
    columns = _columns(rows)
    for name in ("MODEL", "BATCH", "PRECISION"):
        if width < _WIDE and len(set(columns[name])) == 1:
            del columns[name]
    table = Table(box=None, pad_edge=False)
    for name in columns:
        justify: JustifyMethod = "left" if name in ("MODEL", "PRECISION") else "right"
        # Wrapped, because no digit may be cut off.
        table.add_column(name, justify=justify, overflow="fold")
    for cells in zip(*columns.values(), strict=True):
        table.add_row(*map(printable, cells))
    return table


def _columns(rows: Sequence[Row]) -> dict[str, list[str]]:
    settings = [row.setting for row in rows]
    sizes_hw = [setting.network_hw for setting in settings]
    medians, spreads, rates = zip(*map(_times, rows), strict=True)
    columns = {
        "MODEL": [setting.spec.name for setting in settings],
        "SIZE": [f"{width}×{height}" for height, width in sizes_hw],
        "BATCH": [str(setting.batch_size) for setting in settings],
        "PRECISION": [setting.precision for setting in settings],
        "MEDIAN": medians,
        "5–95 %": spreads,
        "PER S": rates,
        "MEMORY": [_size(row.memory.host_peak) for row in rows],
        "ADDED": [_size(row.memory.host_growth) for row in rows],
        "ON GPU": [_size(row.memory.gpu_peak) for row in rows],
        "GFLOP": [_digits(row.operations.total / 1e9) if row.operations else _NONE for row in rows],
        "PEAK": [_NONE if (it := row.share_of_peak) is None else f"{it:.0%}" for row in rows],
        "AGREES" if settings[0].spec.task == "segment" else "DRIFT": [_drift(row) for row in rows],
    }
    if set(columns["ON GPU"]) == {_NONE}:
        del columns["ON GPU"]
    return {name: list(cells) for name, cells in columns.items()}


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


def _drift(row: Row) -> str:
    if row.drift is None:
        return _NONE
    if row.setting.spec.task == "segment":
        return f"{100 * (1 - row.drift):.2f} %"
    return f"{row.drift:.4f}"


def _lines(rows: Sequence[Row], machine: Machine, peaks: Mapping[str, Peaks]) -> list[str]:
    lines = [f"{row.setting}: {row.note}" for row in rows if row.note]
    lines += [
        f"{name}: measured with random weights, as its own are not on this disk; times and memory "
        f"are the same, and there is no drift. 'dpt models pull {name}' downloads them"
        for name in dict.fromkeys(r.setting.spec.id for r in rows if r.weights == RANDOM)
    ]
    lines += dict.fromkeys(
        _MEANING[row.setting.spec.output.quantity] for row in rows if row.drift is not None
    )
    if any((row.share_of_peak or 0) >= _ABOVE_PEAK for row in rows):
        lines.append(
            "PEAK above 100 %: the network ran faster than the matrix product and the convolution "
            "measured as this machine's peak; measure again with nothing else running"
        )
    where = f"{machine.gpu}, " if machine.gpu else ""
    lines.append(
        f"machine: {where}{machine.cpu}, {counted(machine.num_cores, 'core')}, "
        f"{counted(machine.num_threads, 'thread')}, torch {machine.torch}"
    )
    if machine.has_bf16 is not None:
        lines.append(f"bf16: {'' if machine.has_bf16 else 'not '}in this CPU's hardware")
    lines += [
        f"peak in {precision}: matrix product {peak.matrix / 1e9:,.0f} GFLOP/s, convolution "
        f"{peak.convolution / 1e9:,.0f} GFLOP/s"
        for precision, peak in peaks.items()
    ]
    return lines


def _digits(value: float) -> str:
    """Return three significant digits, or more if there are more before the point."""
    decimals = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:,.{decimals}f}"


def _size(num_bytes: int | None) -> str:
    if num_bytes is None:
        return _NONE
    return f"{num_bytes / 1e9:.2f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:.0f} MB"
