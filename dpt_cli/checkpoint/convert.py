"""Published parameter names to ours, by the rules of `model.layouts`.

A name that no rule matches is passed on unchanged, so that the strict load that follows reports it.
"""

import re
from collections.abc import Collection, Iterable, Mapping

import torch
from torch import Tensor

from dpt_cli.errors import CheckpointError
from dpt_cli.model.layouts import DEPTH_HEAD, LAYOUTS, SEGMENTATION_HEAD, Layout

Sources = dict[str, tuple[str, ...]]
"""For each name, the names in the file whose tensors make it, joined along the first axis."""

_ROLES = ("query", "key", "value")
_LEVEL = re.compile(r"<(\d)-(\d)>")


def detect_layout(names: Collection[str]) -> Layout:
    """Return the layout of a checkpoint, judged by its names.

    Raises:
        CheckpointError: No layout has such names.
    """
    for layout in LAYOUTS:
        if any(layout.marker.match(name) for name in names):
            return layout
    first = ", ".join(list(names)[:3]) or "nothing"
    raise CheckpointError(
        f"not a DPT checkpoint: it holds {first}; expected names that start with 'pretrained.' or "
        "'depth_head.' (the authors' files), 'dpt.' or 'backbone.' (transformers) or 'encoder.' "
        "(dpt)"
    )


def sources_of(names: Collection[str]) -> Sources:
    """Return which of a checkpoint's tensors make each of ours, without what is never read.

    Raises:
        CheckpointError: No layout has such names, a query, key or value is missing, or two of the
            names mean the same parameter.
    """
    layout = detect_layout(names)
    is_segmentation = f"{layout.head}1.weight" in names
    head = SEGMENTATION_HEAD if is_segmentation else DEPTH_HEAD
    joined: dict[tuple[str, str], dict[str, str]] = {}
    pairs: list[tuple[str, tuple[str, ...]]] = []
    for name in names:
        if layout.dropped.match(name):
            continue
        if match := layout.qkv.fullmatch(name):
            block, role, kind = match.groups()
            joined.setdefault((block, kind), {})[role] = name
        else:
            pairs.append((_renamed(name, layout, head), (name,)))
    for (block, kind), found in joined.items():
        pairs += _joined(f"encoder.transformer.blocks.{block}.attn", kind, found)
    return _unique(pairs)


def convert_state_dict(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a checkpoint of any known layout under our names, without what is never read.

    Raises:
        CheckpointError: See `sources_of`.
    """
    return {
        name: state_dict[parts[0]]
        if len(parts) == 1
        else torch.cat([state_dict[it] for it in parts])
        for name, parts in sources_of(state_dict).items()
    }


def _renamed(name: str, layout: Layout, head: Mapping[str, str]) -> str:
    if layout.head and name.startswith(layout.head):
        index, _, kind = name.removeprefix(layout.head).partition(".")
        return f"head.{head[index]}.{kind}" if index in head else name
    for pattern, replacement in layout.rules:
        if match := pattern.match(name):
            renamed = match.expand(replacement) + name[match.end() :]
            return _LEVEL.sub(lambda it: str(int(it[1]) - int(it[2])), renamed)
    return name


def _joined(
    attention: str, kind: str, found: Mapping[str, str]
) -> Iterable[tuple[str, tuple[str, ...]]]:
    """Return our names of one layer's query, key and value, and whose tensors make them."""
    if kind == "bias" and set(found) == {"query", "value"}:  # BEiT's keys have none
        return [
            (f"{attention}.q_bias", (found["query"],)),
            (f"{attention}.v_bias", (found["value"],)),
        ]
    if len(found) != len(_ROLES):
        missing = ", ".join(sorted(set(_ROLES) - set(found)))
        raise CheckpointError(f"{attention}.qkv.{kind} lacks {missing}")
    return [(f"{attention}.qkv.{kind}", tuple(found[role] for role in _ROLES))]


def _unique(pairs: Iterable[tuple[str, tuple[str, ...]]]) -> Sources:
    sources: Sources = {}
    for name, parts in pairs:
        if name in sources:
            raise CheckpointError(f"{sources[name][0]} and {parts[0]} are the same parameter")
        sources[name] = parts
    return sources
