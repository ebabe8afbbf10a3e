"""Published parameter names to ours, by pure functions.

A name no rule knows is passed on unchanged, so that the strict load that follows reports it.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping

import torch
from torch import Tensor

from dpt_cli.checkpoint.specs import Layout
from dpt_cli.errors import CheckpointError

Sources = dict[str, tuple[str, ...]]
"""For each name, the names in the file whose tensors make it, joined along the first axis."""
Rule = tuple[re.Pattern[str], str]

_TRANSFORMER = "encoder.transformer"

_AUTHORS_TO_OURS: tuple[Rule, ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"pretrained\.model\.cls_token", rf"{_TRANSFORMER}.readout_token"),
        (r"pretrained\.model\.pos_embed", rf"{_TRANSFORMER}.pos_embed"),
        (r"pretrained\.model\.patch_embed\.proj\.", rf"{_TRANSFORMER}.patches."),
        (r"pretrained\.model\.patch_embed\.backbone\.(stem|stages)\.", r"encoder.\1."),
        (r"pretrained\.model\.blocks\.", rf"{_TRANSFORMER}.blocks."),
        (r"pretrained\.act_postprocess(\d)\.0\.project\.0\.", r"reassemble.<\1>.read.project."),
        (r"pretrained\.act_postprocess(\d)\.3\.", r"reassemble.<\1>.project."),
        (r"pretrained\.act_postprocess(\d)\.4\.", r"reassemble.<\1>.resample."),
        (r"scratch\.layer(\d)_rn\.", r"to_features.<\1>."),
        (r"scratch\.refinenet(\d)\.out_conv\.", r"fusion.<\1>.project."),
        (r"scratch\.refinenet(\d)\.resConfUnit1\.conv(\d)\.", r"fusion.<\1>.skip_unit.conv\2."),
        (r"scratch\.refinenet(\d)\.resConfUnit1\.bn(\d)\.", r"fusion.<\1>.skip_unit.norm\2."),
        (r"scratch\.refinenet(\d)\.resConfUnit2\.conv(\d)\.", r"fusion.<\1>.fused_unit.conv\2."),
        (r"scratch\.refinenet(\d)\.resConfUnit2\.bn(\d)\.", r"fusion.<\1>.fused_unit.norm\2."),
    )
)
_DEPTH_HEAD = {"0": "conv1", "2": "conv2", "4": "conv3"}
_SEGMENTATION_HEAD = {"0": "conv", "1": "norm", "4": "classify"}

# In the published files, and never read by the published networks.
_AUTHORS_DROPPED = re.compile(
    r"pretrained\.model\.norm\."  # the taps lie before the final norm
    r"|pretrained\.model\.(head|fc_norm)\."  # the ImageNet classifier
    r"|scratch\.refinenet4\.resConfUnit1\."  # the coarsest block has no skip input
    r"|auxlayer\."  # the auxiliary loss of training
)

_TRANSFORMERS_TO_AUTHORS: tuple[Rule, ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"dpt\.embeddings\.cls_token", r"pretrained.model.cls_token"),
        (r"dpt\.embeddings\.position_embeddings", r"pretrained.model.pos_embed"),
        (
            r"dpt\.embeddings\.(patch_embeddings\.)?projection\.",
            r"pretrained.model.patch_embed.proj.",
        ),
        (
            r"dpt\.embeddings\.backbone\.bit\.embedder\.convolution\.",
            r"pretrained.model.patch_embed.backbone.stem.conv.",
        ),
        (
            r"dpt\.embeddings\.backbone\.bit\.embedder\.norm\.",
            r"pretrained.model.patch_embed.backbone.stem.norm.",
        ),
        (
            r"dpt\.embeddings\.backbone\.bit\.encoder\.stages\.(\d)\.layers\.",
            r"pretrained.model.patch_embed.backbone.stages.\1.blocks.",
        ),
        (r"dpt\.encoder\.layer\.(\d+)\.layernorm_before\.", r"pretrained.model.blocks.\1.norm1."),
        (r"dpt\.encoder\.layer\.(\d+)\.layernorm_after\.", r"pretrained.model.blocks.\1.norm2."),
        (
            r"dpt\.encoder\.layer\.(\d+)\.attention\.output\.dense\.",
            r"pretrained.model.blocks.\1.attn.proj.",
        ),
        (
            r"dpt\.encoder\.layer\.(\d+)\.intermediate\.dense\.",
            r"pretrained.model.blocks.\1.mlp.fc1.",
        ),
        (r"dpt\.encoder\.layer\.(\d+)\.output\.dense\.", r"pretrained.model.blocks.\1.mlp.fc2."),
        (r"dpt\.layernorm\.", r"pretrained.model.norm."),
        (
            r"neck\.reassemble_stage\.readout_projects\.(\d)\.0\.",
            r"pretrained.act_postprocess<+\1>.0.project.0.",
        ),
        (
            r"neck\.reassemble_stage\.layers\.(\d)\.projection\.",
            r"pretrained.act_postprocess<+\1>.3.",
        ),
        (r"neck\.reassemble_stage\.layers\.(\d)\.resize\.", r"pretrained.act_postprocess<+\1>.4."),
        (r"neck\.convs\.(\d)\.", r"scratch.layer<+\1>_rn."),
        (r"neck\.fusion_stage\.layers\.(\d)\.projection\.", r"scratch.refinenet<-\1>.out_conv."),
        (
            r"neck\.fusion_stage\.layers\.(\d)\.residual_layer(\d)\.convolution(\d)\.",
            r"scratch.refinenet<-\1>.resConfUnit\2.conv\3.",
        ),
        (
            r"neck\.fusion_stage\.layers\.(\d)\.residual_layer(\d)\.batch_norm(\d)\.",
            r"scratch.refinenet<-\1>.resConfUnit\2.bn\3.",
        ),
        (r"head\.head\.", r"scratch.output_conv."),
        (r"auxiliary_head\.head\.", r"auxlayer."),
    )
)
_QKV = re.compile(
    r"dpt\.encoder\.layer\.(\d+)\.attention\.attention\.(query|key|value)\.(weight|bias)"
)


def detect_layout(names: Collection[str]) -> Layout:
    """Return whose layout a checkpoint has, judged by its names.

    Raises:
        CheckpointError: No layout has such names.
    """
    prefixes: dict[str, Layout] = {
        "pretrained.": "authors",
        "dpt.": "transformers",
        "encoder.": "dpt",
    }
    for prefix, layout in prefixes.items():
        if any(name.startswith(prefix) for name in names):
            return layout
    first = ", ".join(list(names)[:3]) or "nothing"
    raise CheckpointError(
        f"not a DPT checkpoint: it holds {first}; expected names that start with "
        "'pretrained.' (the authors' files), 'dpt.' (transformers) or 'encoder.' (dpt)"
    )


def sources_of(names: Collection[str]) -> Sources:
    """Return which of a checkpoint's tensors make each of ours, without what is never read.

    Raises:
        CheckpointError: No layout has such names, a query, key or value is alone, or two of the
            names mean the same parameter.
    """
    layout = detect_layout(names)
    sources: Sources = {name: (name,) for name in names}
    if layout == "transformers":
        sources = _transformers_to_authors(sources)
    return sources if layout == "dpt" else _authors_to_ours(sources)


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


def _authors_to_ours(sources: Sources) -> Sources:
    """Rename the authors' parameters (isl-org/DPT release files) to ours, dropping the unread."""
    is_segmentation = "scratch.output_conv.1.weight" in sources
    head = _SEGMENTATION_HEAD if is_segmentation else _DEPTH_HEAD

    def rename(name: str) -> str:
        if name.startswith("scratch.output_conv."):
            index, _, kind = name.removeprefix("scratch.output_conv.").partition(".")
            return f"head.{head[index]}.{kind}" if index in head else name
        # Their levels count from 1, ours from 0.
        renamed = _apply(_AUTHORS_TO_OURS, name)
        return re.sub(r"<(\d)>", lambda match: str(int(match[1]) - 1), renamed)

    return _renamed(
        (rename(name), parts) for name, parts in sources.items() if not _AUTHORS_DROPPED.match(name)
    )


def _transformers_to_authors(sources: Sources) -> Sources:
    """Rename a transformers checkpoint's parameters to the authors', joining query, key, value."""
    shift: dict[str, Callable[[str], str]] = {
        "+": lambda index: str(int(index) + 1),
        "-": lambda index: str(4 - int(index)),  # its fusion layers run coarse to fine
    }
    renamed: list[tuple[str, tuple[str, ...]]] = []
    qkv: dict[str, dict[str, str]] = {}
    for name, parts in sources.items():
        if match := _QKV.fullmatch(name):
            block, role, kind = match.groups()
            qkv.setdefault(f"pretrained.model.blocks.{block}.attn.qkv.{kind}", {})[role] = name
        else:
            authors = _apply(_TRANSFORMERS_TO_AUTHORS, name)
            renamed.append((re.sub(r"<([+-])(\d)>", lambda m: shift[m[1]](m[2]), authors), parts))
    roles = ("query", "key", "value")
    for name, found in qkv.items():
        if len(found) != len(roles):
            raise CheckpointError(f"{name} lacks {', '.join(sorted(set(roles) - set(found)))}")
        renamed.append((name, tuple(found[role] for role in roles)))
    return _renamed(renamed)


def _renamed(pairs: Iterable[tuple[str, tuple[str, ...]]]) -> Sources:
    renamed: Sources = {}
    for name, parts in pairs:
        if name in renamed:
            raise CheckpointError(f"{renamed[name][0]} and {parts[0]} are the same parameter")
        renamed[name] = parts
    return renamed


def _apply(rules: tuple[Rule, ...], name: str) -> str:
    for pattern, replacement in rules:
        if match := pattern.match(name):
            return match.expand(replacement) + name[match.end() :]
    return name
