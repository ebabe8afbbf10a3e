"""What `dpt eval` gives: a table or JSON, CSV files, a plot."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from dpt_cli.cli.console import put, say
from dpt_cli.cli.eval.measurement import Measurement, measures_of
from dpt_cli.cli.eval.options import EvalOptions, written_files
from dpt_cli.evaluation.pairs import Pairs
from dpt_cli.evaluation.summary import Difference, Result, difference
from dpt_cli.metrics.protocol import Protocol

_SCHEMA = 1


def differences_of(results: Sequence[Result], protocol: Protocol) -> list[Difference]:
    """Return how far each further result lies above the first."""
    first = results[0]
    return [
        difference(result, first, measure)
        for result in results[1:]
        for measure in measures_of(first, protocol)
    ]


def report(
    options: EvalOptions, measurement: Measurement, results: Sequence[Result], pairs: Pairs
) -> None:
    """Print the results, and write the files that were asked for."""
    results = [result for result in results if result.scores]
    protocol = measurement.protocol
    differences = differences_of(results, protocol)
    if options.as_json:
        document = {
            "schema": _SCHEMA,
            "results": [_facts(measurement, result, options) for result in results],
            "differences": [_finite(asdict(it)) for it in differences],
            "without_truth": [str(bad.path) for bad in pairs.failures],
        }
        # ASCII: any terminal can show it.
        put(json.dumps(document, indent=2, allow_nan=False), keep_lines=True)
    else:
        from dpt_cli.cli.eval.table import print_report

        print_report(options, measurement, results, differences, pairs)
    _write(options, measurement, results)


def _facts(measurement: Measurement, result: Result, options: EvalOptions) -> dict[str, Any]:
    figures = measurement.published(result, options)
    measures = {}
    for name in measures_of(result, measurement.protocol):
        value, figure = _number(result.mean(name)), figures.get(name)
        measures[name] = {
            "value": value,
            "published": None if figure is None else figure.value,
            "source": None if figure is None else figure.source,
        }
    return {
        "model": result.model,
        "weights": result.weights,
        "resolution_hw": None if result.resolution is None else list(result.resolution),
        **measurement.facts(result, options),
        "num_failed": result.num_failed,
        "num_fits_not_positive": result.num_not_positive,
        "measures": measures,
    }


def _write(options: EvalOptions, measurement: Measurement, results: Sequence[Result]) -> None:
    from dpt_cli.formats.files import replacing
    from dpt_cli.formats.rows import write_csv

    rows = {
        "pictures": lambda: _picture_rows(results, measurement.protocol),
        "summary": lambda: _summary_rows(results, measurement, options),
        "classes": lambda: _class_rows(results),
        "confusion": lambda: _confusion_rows(results),
    }
    is_segmentation = results[0].is_segmentation
    kinds = ("summary", "classes", "confusion") if is_segmentation else ("summary",)
    for kind, path in written_files(options, kinds).items():
        with replacing(path, overwrite=options.force) as file:
            write_csv(file, rows[kind]())
        say(f"wrote {path}")
    if options.plot is None:
        return
    from dpt_cli.cli.eval.plot import draw_confusion, draw_resolutions
    from dpt_cli.formats.png import write_png

    if is_segmentation:
        drawn = draw_confusion(results[0])
    else:
        drawn = draw_resolutions(results, measurement.protocol.measures[0])
    with replacing(options.plot, overwrite=options.force) as file:
        write_png(file, drawn, {"Software": "dpt"})
    say(f"wrote {options.plot}")


def _picture_rows(results: Sequence[Result], protocol: Protocol) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for result in results:
        for name, scores in result.scores.items():
            row: dict[str, object] = {"model": result.title, "picture": name}
            row["num_pixels"] = scores["num_pixels"]
            if result.is_segmentation:
                hits = sum(count for true, found, count in scores["counts"] if true == found)
                row["num_right"] = hits
            else:
                row |= {measure: scores["measures"][measure] for measure in protocol.measures}
                row |= {"scale": scores["scale"], "shift": scores["shift"]}
            rows.append(row)
    return rows


def _summary_rows(
    results: Sequence[Result], measurement: Measurement, options: EvalOptions
) -> list[dict[str, object]]:
    rows = []
    for result in results:
        figures = measurement.published(result, options)
        for name in measures_of(result, measurement.protocol):
            figure = figures.get(name)
            rows.append(
                {
                    "model": result.title,
                    "measure": name,
                    "value": _number(result.mean(name)),
                    "published": None if figure is None else figure.value,
                    **measurement.facts(result, options),
                }
            )
    return rows


def _class_rows(results: Sequence[Result]) -> list[dict[str, object]]:
    from dpt_cli.maps.ade20k import NAMES
    from dpt_cli.metrics.segmentation import class_iou

    rows = []
    for result in results:
        counts = result.counts()
        hits, true, iou = counts.diagonal(), counts.sum(1), class_iou(counts)
        for index, name in enumerate(NAMES):
            rows.append(
                {
                    "model": result.title,
                    "class": index + 1,
                    "name": name,
                    "iou": _number(float(iou[index])),
                    "accuracy": float(100 * hits[index] / true[index]) if true[index] else None,
                    "num_pixels": int(true[index]),
                }
            )
    return rows


def _confusion_rows(results: Sequence[Result]) -> list[dict[str, object]]:
    from dpt_cli.maps.ade20k import NAMES

    return [
        {"model": result.title, "truth": NAMES[index]}
        | {f"{column + 1} {NAMES[column]}": int(row[column]) for column in range(len(NAMES))}
        for result in results
        for index, row in enumerate(result.counts())
    ]


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _finite(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in facts.items()
    }
