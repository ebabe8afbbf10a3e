"""`weights.toml` says what is true, and a broken registry says what is wrong."""

import re
from pathlib import Path

import pytest
import torch

from dpt_cli.checkpoint.registry import load_registry
from dpt_cli.checkpoint.specs import TASKS, CheckpointSpec
from dpt_cli.errors import RegistryError
from dpt_cli.model.architectures import architecture_from_table, build_network
from dpt_cli.model.config import DPTConfig, ResNetConfig

_ROWS = load_registry().rows
_IDS = [row.id for row in _ROWS]


def test_ids_are_unique() -> None:
    assert len(set(_IDS)) == len(_IDS)


def test_what_may_not_be_sold_is_never_downloaded() -> None:
    closed = [row for row in _ROWS if "NC" in row.licence]
    assert closed
    for row in closed:
        assert (row.commercial, row.sources) == (False, ())
        assert row.known_files


def test_no_two_rows_claim_one_file() -> None:
    hashes = [sha256 for row in _ROWS for sha256 in row.sha256s]
    assert len(set(hashes)) == len(hashes)


@pytest.mark.parametrize("task", TASKS)
def test_each_task_has_one_default(task: str) -> None:
    assert [row.name for row in _ROWS if row.task == task and row.is_default] == ["hybrid"]


@pytest.mark.parametrize("row", _ROWS, ids=_IDS)
def test_the_number_of_parameters_is_the_networks(row: CheckpointSpec) -> None:
    with torch.device("meta"):
        network = build_network(row.architecture)
    assert sum(parameter.numel() for parameter in network.parameters()) == row.num_parameters


@pytest.mark.parametrize("row", _ROWS, ids=_IDS)
def test_head_and_meaning_belong_to_the_task(row: CheckpointSpec) -> None:
    is_segmentation = row.task == "segment"
    assert (row.architecture.head == "segmentation") == is_segmentation
    assert (row.output.quantity == "labels") == is_segmentation


@pytest.mark.parametrize("row", _ROWS, ids=_IDS)
def test_every_published_file_is_pinned_and_has_a_hash_to_check(row: CheckpointSpec) -> None:
    for source in row.sources:
        if source.kind == "release":
            assert source.url.endswith(source.file)
            # The authors' names may end in the first digits; midas_v21_384.pt does not.
            digits = re.search(r"-([0-9a-f]{8})\.", source.file)
            assert (source.sha256 or source.sha256_prefix or "").startswith(
                digits[1] if digits else ""
            )
            assert source.sha256 or digits
        else:
            # Where the Hub's own hash is all there is, the commit at least never changes.
            assert source.sha256 or len(source.revision) == 40


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[depth.x", "not valid TOML"),
        ("[paint.x]\ntitle = 'x'", "unknown task 'paint'"),
        ("[depth.x]\ntitle = 'x'", "not a valid row"),
    ],
)
def test_a_broken_registry_says_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "weights.toml"
    path.write_text(text)
    with pytest.raises(RegistryError, match=message):
        load_registry(path)


def test_a_missing_registry_is_named(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"nowhere\.toml"):
        load_registry(tmp_path / "nowhere.toml")


def test_a_row_may_change_a_preset() -> None:
    table = {"preset": "hybrid-depth", "features": 64, "vit": {"embed_dim": 192, "num_heads": 3}}
    config = architecture_from_table(table)
    assert isinstance(config, DPTConfig)
    assert (config.features, config.vit.embed_dim, config.vit.num_blocks) == (64, 192, 12)
    assert config.resnet == ResNetConfig()


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["large"], ["depth/large", "segment/large"]),
        (["segment/large", "depth/base"], ["segment/large", "depth/base"]),
        ([], _IDS),
    ],
)
def test_names_select_rows(names: list[str], expected: list[str]) -> None:
    assert [row.id for row in load_registry().select(names)] == expected


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("Tiny", ["depth/tiny"]),
        ("depth/tiny", ["depth/tiny"]),
        ("DPT_Large", ["depth/large", "segment/large"]),
        ("dpt-hybrid-kitti", ["depth/hybrid-kitti"]),
        ("Intel/dpt-large", ["depth/large"]),
        ("intel/DPT-hybrid-midas", ["depth/hybrid"]),
        ("Intel/dpt-large-ade", ["segment/large"]),
    ],
)
def test_a_model_is_found_by_the_names_it_has_elsewhere(name: str, ids: list[str]) -> None:
    registry = load_registry()
    assert [row.id for row in registry.select([name])] == ids
    assert [registry.find(row.task, name) for row in registry.select([name])] == [
        row for row in _ROWS if row.id in ids
    ]


@pytest.mark.parametrize("name", ["", "dpt", "segment/large", "Intel/", "Kaori1707/x", "large "])
def test_a_name_that_no_model_has_is_refused(name: str) -> None:
    with pytest.raises(RegistryError, match="There are: hybrid, large"):
        load_registry().find("depth", name)
