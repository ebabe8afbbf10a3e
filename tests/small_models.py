"""Small networks in every published layout, and the registry rows that describe them."""

import dataclasses
import io
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

import formula
from dpt_cli.checkpoint.convert import convert_state_dict
from dpt_cli.checkpoint.specs import Task
from published import CONFIGS, authors_shapes, to_transformers

REPO = "Somebody/small-dpt"
COMMIT = "11eaf7a1cf4bd70740697dbc216f98980c0aeb03"
SIDE_PX = 96  # the native size of the small networks: 6 patches of 16
SCALE, SHIFT = 0.25, 0.1  # of the metric row [1/m]

Checkpoint = dict[str, Tensor]

_PRESET: dict[Task, str] = {"depth": "hybrid-depth", "segment": "hybrid-segmentation"}
_NUM_CLASSES = 150


@cache
def authors(task: Task) -> Checkpoint:
    """Return the formula-filled parameters of a small hybrid, in the authors' layout."""
    shapes = authors_shapes(f"small-{_PRESET[task]}")
    if task == "segment":
        for name in shapes:
            if ".4." in name and name.startswith(("scratch.output_conv", "auxlayer")):
                shapes[name] = (_NUM_CLASSES, *shapes[name][1:])
    filled = {name: torch.from_numpy(values) for name, values in formula.state_dict(shapes)}
    if task == "segment":
        # Otherwise one class wins nearly everywhere.
        filled["scratch.output_conv.4.weight"] *= 3
    return filled


def pickled(content: object) -> bytes:
    """Return what `torch.save` writes."""
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


def safe(checkpoint: Mapping[str, Tensor]) -> bytes:
    """Return a safetensors file."""
    whole = {name: tensor.contiguous() for name, tensor in checkpoint.items()}
    return safetensors.torch.save(whole, {"format": "pt"})


@cache
def files(task: Task) -> dict[str, bytes]:
    """Return the same weights in every layout, by file name."""
    checkpoint = authors(task)
    transformers = to_transformers(checkpoint, _PRESET[task])
    return {
        "authors.pt": pickled(checkpoint),
        "pytorch_model.bin": pickled(transformers),
        "model.safetensors": safe(transformers),
        "dpt.safetensors": safe(convert_state_dict(checkpoint)),
    }


LAYOUTS = {
    "authors.pt": "authors",
    "pytorch_model.bin": "transformers",
    "model.safetensors": "transformers",
    "dpt.safetensors": "dpt",
}


def architecture(task: Task) -> dict[str, Any]:
    """Return the small hybrid as a registry row spells it."""
    small = CONFIGS[f"small-{_PRESET[task]}"]
    changed = {
        name: value
        for name, value in dataclasses.asdict(small).items()
        if name in ("vit", "resnet", "hooks", "reassemble_widths", "features")
    }
    return {"preset": _PRESET[task], **changed}


def row(task: Task, sources: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    """Return one row of a registry."""
    quantity = "inverse_depth" if task == "depth" else "labels"
    return {
        "title": f"Small DPT for {task}",
        "architecture": architecture(task),
        "num_parameters": 123_456,
        "licence": "MIT",
        "reported": "nothing",
        "input": {"target_hw": [SIDE_PX, SIDE_PX], "mean": [0.5] * 3, "std": [0.5] * 3},
        "output": {"quantity": quantity},
        "sources": sources,
    } | fields


def hub_source(file: str, **fields: Any) -> dict[str, Any]:
    """Return a source on the Hub, for a row."""
    where = {"kind": "hub", "repo": REPO, "revision": COMMIT, "file": file}
    return {**where, "layout": LAYOUTS.get(file.rpartition("/")[2], "authors"), **fields}


def release_source(url: str, **fields: Any) -> dict[str, Any]:
    """Return a plain address as a source, for a row."""
    file = url.rpartition("/")[2]
    return {"kind": "release", "layout": "authors", "file": file, "url": url, **fields}


def to_toml(document: Mapping[str, Any]) -> str:
    """Return a document as TOML, every value below the top an inline one."""
    return "".join(f"{key} = {_inline(value)}\n" for key, value in document.items())


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{key} = {_inline(item)}' for key, item in value.items())} }}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_inline, value))}]"
    return json.dumps(value)
