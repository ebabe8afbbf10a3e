"""A model as `dpt models show` describes it: architecture, cost, input, published figures."""

import textwrap
import unicodedata
from typing import Any

from dpt_cli.bench.estimate import count_operations
from dpt_cli.checkpoint.fetch import why_no_download
from dpt_cli.checkpoint.specs import CheckpointSpec
from dpt_cli.cli.console import put
from dpt_cli.cli.eval.measurement import LABELS
from dpt_cli.metrics.ablations import ABLATIONS, MEANING
from dpt_cli.metrics.published import all_published
from dpt_cli.model.architectures import ARCHITECTURES
from dpt_cli.model.parts import describe, parameters_by_part
from dpt_cli.predict.preprocess import network_size

_RESIZE = {
    "minimal": "the side that needs less scaling meets it",
    "lower_bound": "the smaller side meets it",
    "upper_bound": "the larger side meets it",
}
_WIDTH = 100


def facts_of_model(row: CheckpointSpec, resolution_hw: tuple[int, int] | None) -> dict[str, Any]:
    """Return what is known of a model, as JSON values.

    Args:
        row: The weights' row.
        resolution_hw: Height and width that operations are counted at [px]; None for its own.
    """
    target_hw = resolution_hw or row.input.target_hw
    # Of a photograph of the target's own shape, which every rule scales to it.
    network_hw = network_size(target_hw, target_hw, row.multiple_of, row.input.resize)
    operations = count_operations(row.architecture, network_hw)
    names = [name for name, it in ARCHITECTURES.items() if it == row.architecture]
    ablations = [it for name in names for it in ABLATIONS.get(name, ())]
    return {
        "task": row.task,
        "name": row.name,
        "title": row.title,
        "architecture": dict(describe(row.architecture)),
        "parameters": parameters_by_part(row.architecture),
        "operations": {"network_hw": list(network_hw), "gflop": operations.total / 1e9},
        "input": {
            "target_hw": list(row.input.target_hw),
            "resize": row.input.resize,
            "multiple_of": row.multiple_of,
            "interpolation": row.input.interpolation,
            "mean": list(row.input.mean),
            "std": list(row.input.std),
        },
        "quantity": row.output.quantity,
        "meaning": row.meaning,
        "licence": row.licence,
        "commercial": row.commercial,
        "sources": [str(source) for source in row.sources],
        "why_no_sources": None if row.sources else why_no_download(row),
        "reported": row.reported,
        "published": [
            {
                "dataset": dataset,
                "protocol": protocol,
                "measure": measure,
                "value": figure.value,
                "source": figure.source,
            }
            for (dataset, protocol), figures in all_published(row.id).items()
            for measure, figure in figures.items()
        ],
        "ablations": [
            {"table": it.table, "variant": it.variant, "figures": it.figures, "note": it.note}
            for it in ablations
        ],
    }


def show_model(facts: dict[str, Any]) -> None:
    """Print what `facts_of_model` returns, for people."""
    put(f"{facts['task']}/{facts['name']}: {facts['title']}")
    for name, words in facts["architecture"].items():
        _line(name, words)
    parameters = facts["parameters"]
    parts = ", ".join(f"{name} {count:,}" for name, count in parameters.items() if count)
    _line("parameters", f"{sum(parameters.values()):,}: {parts}")
    height, width = facts["operations"]["network_hw"]
    gflop = facts["operations"]["gflop"]
    _line("operations", f"{gflop:,.1f} GFLOP at {width} by {height} px")
    _line("input", _input(facts["input"]))
    _line("output", facts["meaning"])
    _line("licence", facts["licence"] + ("" if facts["commercial"] else ": no commercial use"))
    for source in facts["sources"] or [f"none: {facts['why_no_sources']}"]:
        _line("source", source)
    _line("reported", facts["reported"])
    for it in facts["published"]:
        measure = LABELS[it["measure"]]
        _line("published", f"{it['dataset']}, {measure}: {it['value']:g} ({it['source']})")
    for table, lines in _by_table(facts["ablations"]).items():
        _line("paper", f"table {table}, {MEANING[table]}")
        for line in lines:
            _line("", line)


def _input(spec: dict[str, Any]) -> str:
    height, width = spec["target_hw"]
    mean, std = (", ".join(f"{it:g}" for it in spec[key]) for key in ("mean", "std"))
    return (
        f"{width} by {height} px, {_RESIZE[spec['resize']]}, both in multiples of "
        f"{spec['multiple_of']}; {spec['interpolation']}; mean {mean}, deviation {std}"
    )


def _by_table(ablations: list[dict[str, Any]]) -> dict[int, list[str]]:
    tables: dict[int, list[str]] = {}
    for it in ablations:
        note = f" ({it['note']})" if it["note"] else ""
        tables.setdefault(it["table"], []).append(f"{it['variant']}: {it['figures']}{note}")
    return tables


def _line(name: str, words: str) -> None:
    # The hat of D̂ takes no column.
    name += " " * (18 - len(name) + sum(map(bool, map(unicodedata.combining, name))))
    for line in textwrap.wrap(
        words,
        _WIDTH,
        initial_indent=f"  {name}",
        subsequent_indent=" " * 20,
        break_long_words=False,
        break_on_hyphens=False,
    ):
        put(line)
