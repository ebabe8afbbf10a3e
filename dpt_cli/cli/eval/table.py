"""An evaluation for people: measures beside published figures, and what decides them."""

import math
import sys
from collections.abc import Sequence

import click
from rich.console import Console, JustifyMethod
from rich.table import Table

from dpt_cli.cli.console import printable, put
from dpt_cli.cli.eval.measurement import LABELS, LARGER_IS_BETTER, Measurement, measures_of
from dpt_cli.cli.eval.options import EvalOptions
from dpt_cli.cli.report import counted
from dpt_cli.evaluation.pairs import Pairs
from dpt_cli.evaluation.summary import Difference, Result

_PLAIN_WIDTH = 200
_NONE = "–"
_DECIMALS = 4


def print_report(
    options: EvalOptions,
    measurement: Measurement,
    results: Sequence[Result],
    differences: Sequence[Difference],
    pairs: Pairs,
) -> None:
    """Print the tables and what decides their numbers to standard output."""
    # A pipe has no width: lines are not to be folded for it.
    console = Console(
        width=None if sys.stdout.isatty() else _PLAIN_WIDTH, markup=False, highlight=False
    )
    console.print(_measures(measurement, results, options))
    if differences:
        click.echo()
        console.print(_differences(differences))
    click.echo()
    for line in _lines(measurement, results, options, pairs):
        put(line)


def _measures(measurement: Measurement, results: Sequence[Result], options: EvalOptions) -> Table:
    table = _table(("MODEL", "left"), ("MEASURE", "left"), ("OURS", "right"))
    figures = [measurement.published(result, options) for result in results]
    if any(figures):
        for name in ("PUBLISHED", "DIFFERENCE"):
            table.add_column(name, justify="right")
        table.add_column("SOURCE")
    for result, known in zip(results, figures, strict=True):
        for index, name in enumerate(measures_of(result, measurement.protocol)):
            value, figure = result.mean(name), known.get(name)
            cells = ["" if index else result.title, LABELS[name], _digits(value)]
            if any(figures):
                cells += (
                    [_NONE, _NONE, ""]
                    if figure is None
                    else [
                        f"{figure.value:.{figure.decimals}f}",
                        f"{value - figure.value:+.{_DECIMALS}f}",
                        figure.source,
                    ]
                )
            table.add_row(*map(printable, cells))
    return table


def _differences(differences: Sequence[Difference]) -> Table:
    table = _table(
        ("DIFFERENCE", "left"),
        ("MEASURE", "left"),
        ("VALUE", "right"),
        ("95 % INTERVAL", "right"),
        ("PICTURES", "right"),
    )
    previous = ""
    for it in differences:
        name = f"{it.model} − {it.other}"
        interval = f"{_digits(it.low, sign=True)} to {_digits(it.high, sign=True)}"
        table.add_row(
            printable("" if name == previous else name),
            LABELS[it.measure],
            _digits(it.value, sign=True),
            interval,
            str(it.num_pictures),
        )
        previous = name
    return table


def _lines(
    measurement: Measurement, results: Sequence[Result], options: EvalOptions, pairs: Pairs
) -> list[str]:
    lines = []
    for result in results:
        lines.append(f"{result.title}: {_how(measurement, result, options)}")
        if result.num_not_positive:
            lines.append(
                f"{result.title}: {counted(result.num_not_positive, 'fit')} of "
                f"{len(result.scores)} had a scale of zero or less: the map is flat or turned "
                "round there, and its errors mean nothing"
            )
        if result.num_failed:
            lines.append(f"{result.title}: {counted(result.num_failed, 'picture')} not scored")
    lines += dict.fromkeys(f"weights: {it.weights}" for it in results if it.weights)
    wanted = measurement.protocol.num_pictures
    if measurement.dataset and wanted and any(len(it.scores) != wanted for it in results):
        lines.append(f"the published figures are of {counted(wanted, 'picture')}")
    if measurement.dataset and measurement.is_changed:
        lines.append("options change the protocol: published figures are of another")
    if measurement.dataset and measurement.protocol.note:
        lines.append(f"unknown: {measurement.protocol.note}")
    if results[0].is_segmentation and measurement.name == "multi-scale":
        lines.append("unknown: DPT's own scales and windows are not published")
    lines += _directions(measures_of(results[0], measurement.protocol))
    if pairs.remark:
        lines.append(pairs.remark)
    return lines


def _directions(names: Sequence[str]) -> list[str]:
    """Return which way each measure is better, and what is easily misread."""
    ways = (("larger", True), ("smaller", False))
    lines = [
        f"{way} is better: {', '.join(LABELS[name] for name in chosen)}"
        for way, is_larger in ways
        if (chosen := [name for name in names if (name in LARGER_IS_BETTER) == is_larger])
    ]
    if "boundary_f1" in names:
        lines.append(
            "boundary F1: 0 to 1, how many jumps in depth lie at the very pixels where the truth "
            "has them; near 0 for smooth maps, – where the truth has none"
        )
    return lines


def _how(measurement: Measurement, result: Result, options: EvalOptions) -> str:
    """Return everything that decides a result's numbers, in words."""
    facts = measurement.facts(result, options)
    how = (
        facts["dataset"] or "own pictures",
        measurement.name,
        result.engine,
        result.precision,
        "" if result.resolution else "saved maps",
    )
    counts = (
        f"{counted(len(result.scores), 'picture')}, {result.num_pixels:,} pixels, "
        f"{', '.join(filter(None, how))}"
    )
    if result.is_segmentation:
        augmentation = facts.get("test_time_augmentation")  # of saved maps it is not known
        return f"{counts}; test-time augmentation {augmentation}" if augmentation else counts
    protocol = measurement.protocol
    cap = "none" if protocol.cap_m is None else f"{protocol.cap_m:g} m"
    network = ""
    if result.resolution is not None:
        height, width = result.resolution
        network = (
            f"; network {width} by {height} px, {result.resize}, multiples of "
            f"{result.multiple_of}; output resized {facts['output_resized']}; no test-time "
            "augmentation"
        )
    photo_crop = "" if protocol.photo_crop == "none" else f", photographs {protocol.photo_crop}"
    return (
        f"{counts}; alignment {protocol.alignment}, cap {cap}, crop {protocol.crop}{photo_crop}"
        f"{network}"
    )


def _table(*columns: tuple[str, JustifyMethod]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name, justify in columns:
        table.add_column(name, justify=justify, overflow="fold")
    return table


def _digits(value: float, *, sign: bool = False) -> str:
    if not math.isfinite(value):
        return _NONE
    return f"{value:{'+' if sign else ''}.{_DECIMALS}f}"
