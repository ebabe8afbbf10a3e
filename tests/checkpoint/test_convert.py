"""Every published name has one home in our network, or is dropped for a reason."""

import pytest
import torch
from torch import Tensor

import published
from dpt_cli.checkpoint.convert import convert_state_dict, detect_layout
from dpt_cli.errors import CheckpointError
from dpt_cli.model.architectures import build_network
from dpt_cli.model.config import DPTConfig, Readout

PUBLISHED = ("hybrid-depth", "hybrid-segmentation", "large-depth", "large-segmentation")
ARCHITECTURES = [name for name in published.CONFIGS if name not in ("hybrid-kitti", "hybrid-nyu")]


def numbered_checkpoint(architecture: str, readout: Readout = "project") -> dict[str, Tensor]:
    """Return the authors' names and shapes; every row of every tensor holds a number of its own."""
    shapes = published.authors_shapes(architecture, readout)
    tensors = {}
    for index, (name, shape) in enumerate(shapes.items()):
        rows = torch.arange(shape[0] if shape else 1, dtype=torch.int32) + 10_000 * index
        # Expanded, so that the largest network takes no memory.
        tensors[name] = rows.view(-1, *[1] * (len(shape) - 1)).expand(shape or (1,)).view(shape)
    return tensors


@pytest.fixture
def numbered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "authors_checkpoint", numbered_checkpoint)


def our_shapes(config: DPTConfig) -> dict[str, torch.Size]:
    with torch.device("meta"):
        network = build_network(config)
    return {name: tensor.shape for name, tensor in network.state_dict().items()}


def shapes_of(state_dict: dict[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in state_dict.items()}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_authors_layout_has_exactly_our_names_and_shapes(architecture: str) -> None:
    converted = convert_state_dict(numbered_checkpoint(architecture))
    assert shapes_of(converted) == our_shapes(published.CONFIGS[architecture])


@pytest.mark.parametrize("readout", ["add", "ignore"])
@pytest.mark.parametrize("architecture", ["large-depth", "hybrid-segmentation"])
def test_readouts_without_projection_have_exactly_our_names(
    architecture: str, readout: Readout
) -> None:
    config = DPTConfig(**{**vars(published.CONFIGS[architecture]), "readout": readout})
    converted = convert_state_dict(numbered_checkpoint(architecture, readout))
    assert shapes_of(converted) == our_shapes(config)


@pytest.mark.parametrize("architecture", PUBLISHED)
def test_both_published_layouts_give_the_same_tensors(architecture: str, numbered: None) -> None:
    from_authors = convert_state_dict(published.authors_checkpoint(architecture))
    from_transformers = convert_state_dict(published.transformers_checkpoint(architecture))

    assert shapes_of(from_authors) == our_shapes(published.CONFIGS[architecture])
    assert from_transformers.keys() == from_authors.keys()
    for name, tensor in from_authors.items():
        assert torch.equal(from_transformers[name], tensor), name


def test_no_tensor_goes_to_two_names() -> None:
    converted = convert_state_dict(numbered_checkpoint("hybrid-segmentation"))
    first_rows = {int(tensor.reshape(-1)[0]) for tensor in converted.values()}
    assert len(first_rows) == len(converted)


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        # The levels of the authors count from 1, the fusion layers of transformers from coarse.
        ("scratch.refinenet1.out_conv.weight", "fusion.0.project.weight"),
        ("scratch.refinenet4.resConfUnit2.conv1.bias", "fusion.3.fused_unit.conv1.bias"),
        ("pretrained.act_postprocess2.4.bias", "reassemble.1.resample.bias"),
        ("neck.fusion_stage.layers.3.projection.weight", "fusion.0.project.weight"),
        (
            "neck.fusion_stage.layers.0.residual_layer2.convolution1.bias",
            "fusion.3.fused_unit.conv1.bias",
        ),
        ("neck.reassemble_stage.layers.1.resize.bias", "reassemble.1.resample.bias"),
    ],
)
def test_levels_count_from_the_finest(name: str, ours: str) -> None:
    tensor = torch.zeros(1)
    cls_token = (
        "dpt.embeddings.cls_token" if name.startswith("neck") else "pretrained.model.cls_token"
    )
    assert convert_state_dict({cls_token: tensor, name: tensor}).keys() == {
        "encoder.transformer.readout_token",
        ours,
    }


@pytest.mark.parametrize("kind", ["weight", "bias"])
def test_query_key_and_value_are_joined_in_that_order(kind: str) -> None:
    parts = {
        f"dpt.encoder.layer.11.attention.attention.{role}.{kind}": torch.full((2,), number)
        for number, role in ((2, "value"), (0, "query"), (1, "key"))
    }
    (item,) = convert_state_dict(parts).items()
    name, joined = item
    assert name == f"encoder.transformer.blocks.11.attn.qkv.{kind}"
    assert joined.tolist() == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("missing", ["query", "key", "value"])
def test_a_lone_query_key_or_value_is_an_error(missing: str) -> None:
    parts = {
        f"dpt.encoder.layer.3.attention.attention.{role}.weight": torch.zeros(2, 2)
        for role in ("query", "key", "value")
        if role != missing
    }
    with pytest.raises(CheckpointError, match=rf"blocks\.3\.attn\.qkv\.weight lacks.*{missing}"):
        convert_state_dict(parts)


@pytest.mark.parametrize(
    "name",
    [
        "pretrained.model.norm.weight",
        "pretrained.model.head.bias",
        "pretrained.model.fc_norm.weight",
        "scratch.refinenet4.resConfUnit1.conv2.weight",
        "scratch.refinenet4.resConfUnit1.bn1.running_mean",
        "auxlayer.4.weight",
        "dpt.layernorm.weight",
        "neck.fusion_stage.layers.0.residual_layer1.convolution1.bias",
        "auxiliary_head.head.1.running_var",
    ],
)
def test_what_the_networks_never_read_is_dropped(name: str) -> None:
    is_authors = name.startswith(("pretrained.", "scratch.", "auxlayer."))
    cls_token = "pretrained.model.cls_token" if is_authors else "dpt.embeddings.cls_token"
    state_dict = {cls_token: torch.zeros(1), name: torch.zeros(1)}
    assert list(convert_state_dict(state_dict)) == ["encoder.transformer.readout_token"]


@pytest.mark.parametrize(
    "name",
    [
        "pretrained.model.surprise",
        "pretrained.model.normal.weight",
        "scratch.output_conv.3.weight",
        "scratch.stem_transpose.weight",
        "dpt.pooler.dense.weight",
        "neck.surprise.weight",
        "surprise",
    ],
)
def test_an_unknown_name_is_passed_on_for_the_strict_load_to_report(name: str) -> None:
    prefix = "dpt.embeddings." if name.startswith(("dpt", "neck")) else "pretrained.model."
    converted = convert_state_dict({f"{prefix}cls_token": torch.zeros(1), name: torch.zeros(1)})
    assert name in converted


def test_our_own_layout_passes_through_unchanged() -> None:
    ours = convert_state_dict(numbered_checkpoint("small-hybrid-segmentation"))
    assert convert_state_dict(ours) == ours


@pytest.mark.parametrize("architecture", PUBLISHED)
def test_the_argument_is_left_as_it_was(architecture: str, numbered: None) -> None:
    checkpoint = published.transformers_checkpoint(architecture)
    before = dict(checkpoint)
    convert_state_dict(checkpoint)
    assert list(checkpoint) == list(before)
    assert all(checkpoint[name] is tensor for name, tensor in before.items())


@pytest.mark.parametrize(
    ("name", "layout"),
    [
        ("pretrained.model.cls_token", "authors"),
        ("dpt.embeddings.cls_token", "transformers"),
        ("encoder.transformer.readout_token", "dpt"),
    ],
)
def test_layout_is_told_from_the_names(name: str, layout: str) -> None:
    assert detect_layout({"head.weight": torch.zeros(1), name: torch.zeros(1)}).name == layout


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        ([], "nothing"),
        (["state_dict"], "state_dict"),
        (["conv1.weight", "bn1.weight", "layer1.0.weight", "fc.bias"], "conv1.weight, bn1.weight"),
        (["vit.embeddings.cls_token"], "vit.embeddings.cls_token"),
    ],
)
def test_names_of_no_layout_are_shown_beside_what_is_expected(names: list[str], shown: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        detect_layout({name: torch.zeros(1) for name in names})
    message = str(caught.value)
    assert shown in message
    assert all(word in message for word in ("'pretrained.'", "'dpt.'", "'encoder.'"))
    assert "fc.bias" not in message
