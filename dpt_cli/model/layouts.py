"""The parameter names of published weights files, and how they become ours: data only.

In a rule's result, `<2-1>` is a level that is still to be computed: authors count levels from 1,
and transformers lists fusion blocks from coarse to fine.
"""

import re
from dataclasses import dataclass
from typing import Literal

Rule = tuple[re.Pattern[str], str]

_TRANSFORMER = "encoder.transformer"


@dataclass(frozen=True)
class Layout:
    """How a weights file names its parameters.

    Attributes:
        name: Whose names they are.
        marker: Matches the start of at least one name, and of no name of a layout further down.
        rules: Patterns for the start of a name, and what replaces it; the first that matches.
        dropped: Matches the start of what is in the files and is never read by their networks.
        head: Start of the head's names where these are numbers; what a number is depends on the
            kind of head.
        qkv: Matches query, key and value where they are apart: block, role and kind.

    Source: the files named above each layout.
    """

    name: Literal["authors", "transformers", "dpt"]
    marker: re.Pattern[str]
    rules: tuple[Rule, ...] = ()
    dropped: re.Pattern[str] = re.compile(r"(?!)")
    head: str = ""
    qkv: re.Pattern[str] = re.compile(r"(?!)")


DEPTH_HEAD = {"0": "conv1", "2": "conv2", "4": "conv3"}
SEGMENTATION_HEAD = {"0": "conv", "1": "norm", "4": "classify"}


def _rules(*pairs: tuple[str, str]) -> tuple[Rule, ...]:
    return tuple((re.compile(pattern), replacement) for pattern, replacement in pairs)


_SCRATCH = _rules(
    (r"scratch\.layer(\d)_rn\.", r"to_features.<\1-1>."),
    (r"scratch\.refinenet(\d)\.out_conv\.", r"fusion.<\1-1>.project."),
    (r"scratch\.refinenet(\d)\.resConfUnit1\.conv(\d)\.", r"fusion.<\1-1>.skip_unit.conv\2."),
    (r"scratch\.refinenet(\d)\.resConfUnit1\.bn(\d)\.", r"fusion.<\1-1>.skip_unit.norm\2."),
    (r"scratch\.refinenet(\d)\.resConfUnit2\.conv(\d)\.", r"fusion.<\1-1>.fused_unit.conv\2."),
    (r"scratch\.refinenet(\d)\.resConfUnit2\.bn(\d)\.", r"fusion.<\1-1>.fused_unit.norm\2."),
)
# The coarsest block has no skip input.
_UNUSED_UNIT = r"scratch\.refinenet4\.resConfUnit1\."

# isl-org/MiDaS, midas/midas_net.py.
_MIDAS = Layout(
    "authors",
    marker=re.compile(r"pretrained\.layer1\."),
    rules=(
        *_rules(
            (r"pretrained\.layer1\.0\.", r"encoder.conv1."),
            (r"pretrained\.layer1\.1\.", r"encoder.bn1."),
            (r"pretrained\.layer1\.4\.", r"encoder.stages.0."),
            (r"pretrained\.layer(\d)\.", r"encoder.stages.<\1-1>."),
        ),
        *_SCRATCH,
    ),
    dropped=re.compile(_UNUSED_UNIT),
    head="scratch.output_conv.",
)

# isl-org/DPT and isl-org/MiDaS, dpt/models.py and midas/dpt_depth.py.
_DPT = Layout(
    "authors",
    marker=re.compile(r"pretrained\."),
    rules=(
        *_rules(
            (r"pretrained\.model\.cls_token", rf"{_TRANSFORMER}.readout_token"),
            (r"pretrained\.model\.pos_embed", rf"{_TRANSFORMER}.pos_embed"),
            (r"pretrained\.model\.patch_embed\.proj\.", rf"{_TRANSFORMER}.patches."),
            (r"pretrained\.model\.patch_embed\.backbone\.(stem|stages)\.", r"encoder.\1."),
            (r"pretrained\.model\.blocks\.", rf"{_TRANSFORMER}.blocks."),
            (
                r"pretrained\.act_postprocess(\d)\.0\.project\.0\.",
                r"reassemble.<\1-1>.read.project.",
            ),
            (r"pretrained\.act_postprocess(\d)\.3\.", r"reassemble.<\1-1>.project."),
            (r"pretrained\.act_postprocess(\d)\.4\.", r"reassemble.<\1-1>.resample."),
        ),
        *_SCRATCH,
    ),
    dropped=re.compile(
        r"pretrained\.model\.norm\."  # the taps lie before the final norm
        r"|pretrained\.model\.(head|fc_norm)\."  # the ImageNet classifier
        rf"|{_UNUSED_UNIT}"
        r"|auxlayer\."  # the auxiliary loss of training
        r"|pretrained\.model\.blocks\.\d+\.attn\.relative_position_index$"  # computed anew
    ),
    head="scratch.output_conv.",
)

# DepthAnything/Depth-Anything-V2, depth_anything_v2/dpt.py; version 1 has the same names.
_DEPTH_ANYTHING = Layout(
    "authors",
    marker=re.compile(r"depth_head\."),
    rules=(
        *_rules(
            (r"pretrained\.cls_token", rf"{_TRANSFORMER}.readout_token"),
            (r"pretrained\.pos_embed", rf"{_TRANSFORMER}.pos_embed"),
            (r"pretrained\.patch_embed\.proj\.", rf"{_TRANSFORMER}.patches."),
            (r"pretrained\.(blocks|norm)\.", rf"{_TRANSFORMER}.\1."),
            (r"depth_head\.projects\.(\d)\.", r"reassemble.\1.project."),
            (r"depth_head\.resize_layers\.(\d)\.", r"reassemble.\1.resample."),
            (r"depth_head\.scratch\.output_conv1\.", r"head.conv1."),
            (r"depth_head\.scratch\.output_conv2\.0\.", r"head.conv2."),
            (r"depth_head\.scratch\.output_conv2\.2\.", r"head.conv3."),
        ),
        *((re.compile(rf"depth_head\.{pattern.pattern}"), ours) for pattern, ours in _SCRATCH),
    ),
    dropped=re.compile(rf"pretrained\.mask_token$|depth_head\.{_UNUSED_UNIT}"),
)

_NECK = _rules(
    (r"neck\.reassemble_stage\.readout_projects\.(\d)\.0\.", r"reassemble.\1.read.project."),
    (r"neck\.reassemble_stage\.layers\.(\d)\.projection\.", r"reassemble.\1.project."),
    (r"neck\.reassemble_stage\.layers\.(\d)\.resize\.", r"reassemble.\1.resample."),
    (r"neck\.convs\.(\d)\.", r"to_features.\1."),
    (r"neck\.fusion_stage\.layers\.(\d)\.projection\.", r"fusion.<3-\1>.project."),
    *(
        (
            rf"neck\.fusion_stage\.layers\.(\d)\.residual_layer{number}\.{theirs}(\d)\.",
            rf"fusion.<3-\1>.{unit}.{ours}\2.",
        )
        for number, unit in ((1, "skip_unit"), (2, "fused_unit"))
        for theirs, ours in (("convolution", "conv"), ("batch_norm", "norm"))
    ),
)
_UNUSED_LAYER = r"neck\.fusion_stage\.layers\.0\.residual_layer1\."
_LAYER = r"(?:dpt|backbone)\.encoder\.layer\.(\d+)\."
_ENCODER = _rules(
    (r"(?:dpt|backbone)\.embeddings\.cls_token", rf"{_TRANSFORMER}.readout_token"),
    (r"(?:dpt|backbone)\.embeddings\.position_embeddings", rf"{_TRANSFORMER}.pos_embed"),
    (
        r"(?:dpt|backbone)\.embeddings\.(?:patch_embeddings\.)?projection\.",
        rf"{_TRANSFORMER}.patches.",
    ),
    (r"dpt\.embeddings\.backbone\.bit\.embedder\.convolution\.", r"encoder.stem.conv."),
    (r"dpt\.embeddings\.backbone\.bit\.embedder\.norm\.", r"encoder.stem.norm."),
    (
        r"dpt\.embeddings\.backbone\.bit\.encoder\.stages\.(\d)\.layers\.",
        r"encoder.stages.\1.blocks.",
    ),
    *(
        (rf"{_LAYER}{theirs}", rf"{_TRANSFORMER}.blocks.\1.{ours}")
        for theirs, ours in (
            (r"layernorm_before\.", "norm1."),
            (r"layernorm_after\.", "norm2."),
            (r"attention\.output\.dense\.", "attn.proj."),
            (r"intermediate\.dense\.", "mlp.fc1."),
            (r"output\.dense\.", "mlp.fc2."),
            (r"lambda_(\d)", r"gamma_\2"),  # BEiT's
            (
                r"attention\.attention\.relative_position_bias\.relative_position_bias_table",
                "attn.relative_position_bias_table",
            ),
            # DINOv2's
            (r"layer_scale(\d)\.lambda1", r"ls\2.gamma"),
            (r"(norm\d|mlp\.fc\d)\.", r"\2."),
        )
    ),
)
_QKV = re.compile(rf"{_LAYER}attention\.attention\.(query|key|value)\.(weight|bias)")

# transformers, models/depth_anything.
_TRANSFORMERS_DEPTH_ANYTHING = Layout(
    "transformers",
    marker=re.compile(r"head\.conv1\."),
    rules=(
        *_rules((r"backbone\.layernorm\.", rf"{_TRANSFORMER}.norm.")),
        *_ENCODER,
        *_NECK,
    ),
    dropped=re.compile(rf"backbone\.embeddings\.mask_token$|{_UNUSED_LAYER}"),
    qkv=_QKV,
)

# transformers, models/dpt, on its own ViT or on a backbone.
_TRANSFORMERS_DPT = Layout(
    "transformers",
    marker=re.compile(r"dpt\.|backbone\."),
    rules=(*_ENCODER, *_NECK),
    dropped=re.compile(
        r"(?:dpt|backbone)\.layernorm\."  # the taps lie before the final norm
        r"|backbone\.embeddings\.mask_token$"
        r"|backbone\.encoder\.layer\.\d+\.attention\.attention"
        r"\.relative_position_bias\.relative_position_index$"
        rf"|{_UNUSED_LAYER}|auxiliary_head\."
    ),
    head="head.head.",
    qkv=_QKV,
)

_OURS = Layout("dpt", marker=re.compile(r"encoder\."))

LAYOUTS = (
    _OURS,
    _DEPTH_ANYTHING,
    _MIDAS,
    _DPT,
    _TRANSFORMERS_DEPTH_ANYTHING,
    _TRANSFORMERS_DPT,
)
"""In the order in which they are tried."""
