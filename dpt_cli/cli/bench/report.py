"""Writes the results of `dpt bench`: a table or JSON, CSV, a plot."""

import dataclasses
import json
from collections.abc import Mapping, Sequence

from dpt_cli.bench.advice import advise
from dpt_cli.bench.machine import Machine
from dpt_cli.bench.peaks import Peaks
from dpt_cli.bench.rows import Row
from dpt_cli.cli.bench.options import BenchOptions
from dpt_cli.cli.console import put, say

_SCHEMA = 1


def report(
    options: BenchOptions,
    engine: str,
    rows: Sequence[Row],
    machine: Machine,
    peaks: Mapping[str, Peaks],
    photographs: Sequence[str],
    *,
    interrupted: bool,
) -> None:
    """Print the rows as a table or JSON, and write the files that were asked for."""
    advice = advise(rows, has_bf16=machine.has_bf16 is True)
    if options.as_json:
        document = {
            "schema": _SCHEMA,
            "machine": dataclasses.asdict(machine),
            "engine": engine,
            "cuda_graphs": options.cuda_graphs,
            "peaks": {
                precision: {
                    "matrix_gflop_per_s": peak.matrix / 1e9,
                    "convolution_gflop_per_s": peak.convolution / 1e9,
                }
                for precision, peak in peaks.items()
            },
            "photographs": photographs,
            "interrupted": interrupted,
            "rows": [row.facts() for row in rows],
            "advice": advice,
        }
        # ASCII, which any terminal can show.
        put(json.dumps(document, indent=2), keep_lines=True)
    else:
        from dpt_cli.cli.bench.table import print_report

        print_report(rows, machine, peaks, advice)
    if options.csv is not None and rows:
        from dpt_cli.formats.files import replacing
        from dpt_cli.formats.rows import write_csv

        with replacing(options.csv, overwrite=options.force) as file:
            write_csv(file, [_flat(row) for row in rows])
        say(f"wrote {options.csv}")
    if options.plot is not None and any(row.is_measured for row in rows):
        from dpt_cli.cli.bench.plot import draw
        from dpt_cli.formats.files import replacing
        from dpt_cli.formats.png import write_png

        with replacing(options.plot, overwrite=options.force) as file:
            write_png(file, draw(rows, machine), {"Software": "dpt"})
        say(f"wrote {options.plot}")


def _flat(row: Row) -> dict[str, object]:
    """Return a row's facts with every (height, width) as two columns."""
    flat: dict[str, object] = {}
    for key, value in row.facts().items():
        if isinstance(value, list):
            stem = key.removesuffix("_hw")
            flat[f"{stem}_height"], flat[f"{stem}_width"] = value
        else:
            flat[key] = value
    return flat
