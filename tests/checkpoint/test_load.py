"""A weights file becomes the network it holds, or an error says what is wrong with it."""

import functools
import json
import os
import pickle
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import published
from dpt_cli.checkpoint.load import describe_mismatch, load_network
from dpt_cli.errors import CheckpointError
from dpt_cli.model.architectures import ARCHITECTURES, build_network
from dpt_cli.model.dpt import DPT

SMALL = "small-hybrid-segmentation"  # every kind of parameter: weights, norms, integer counters
SMALL_CONFIG = published.CONFIGS[SMALL]

Save = Callable[[dict[str, Any], Path], None]

_save_zip: Save = torch.save
_save_legacy: Save = functools.partial(torch.save, _use_new_zipfile_serialization=False)


def save_as(path: Path, save: Save, content: dict[str, Any]) -> Path:
    save(content, path)
    return path


def sparse_safetensors(path: Path, shapes: dict[str, tuple[int, ...]]) -> Path:
    """Write a file of zeros that takes next to no disk."""
    header: dict[str, object] = {}
    end = 0
    for name, shape in shapes.items():
        is_counter = name.endswith("num_batches_tracked")
        begin, end = end, end + (8 if is_counter else 4 * torch.Size(shape).numel())
        dtype = "I64" if is_counter else "F32"
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": (begin, end)}
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(file.tell() + end)
    return path


def assert_is_the_small_network(network: DPT) -> None:
    expected = published.network(SMALL).state_dict()
    loaded = network.state_dict()
    assert loaded.keys() == expected.keys()
    for name, tensor in expected.items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor), name


@pytest.mark.parametrize(
    ("name", "save"),
    [
        ("weights.pt", _save_zip),
        ("weights.pth", _save_legacy),
        ("pytorch_model.bin", _save_zip),
        ("model.safetensors", save_file),
        # The content decides, not the name.
        ("safetensors.pt", save_file),
        ("pickle.safetensors", _save_zip),
        ("no_suffix", _save_legacy),
    ],
)
def test_every_container_gives_the_same_network(tmp_path: Path, name: str, save: Save) -> None:
    path = save_as(tmp_path / name, save, published.authors_checkpoint(SMALL))
    assert_is_the_small_network(load_network(path, SMALL_CONFIG))


def test_our_own_safetensors_give_the_same_network(tmp_path: Path) -> None:
    path = tmp_path / "ours.safetensors"
    save_file(published.network(SMALL).state_dict(), path)
    assert_is_the_small_network(load_network(path, SMALL_CONFIG))


@pytest.mark.parametrize("save", [_save_zip, _save_legacy])
def test_a_training_checkpoint_gives_its_network(tmp_path: Path, save: Save) -> None:
    training = {
        "model": published.authors_checkpoint(SMALL),
        "optimizer": {"state": {}, "param_groups": [{"lr": 1e-5}]},
        "epoch": 60,
    }
    path = save_as(tmp_path / "training.pt", save, training)
    assert_is_the_small_network(load_network(path, SMALL_CONFIG))


def test_transformers_layout_of_a_published_network_loads(tmp_path: Path) -> None:
    with torch.device("meta"):
        expected = build_network(ARCHITECTURES["hybrid-depth"]).state_dict()
    path = sparse_safetensors(tmp_path / "model.safetensors", transformers_shapes("hybrid-depth"))
    loaded = load_network(path, ARCHITECTURES["hybrid-depth"]).state_dict()
    assert not describe_mismatch(expected, loaded)


def transformers_shapes(architecture: str) -> dict[str, tuple[int, ...]]:
    def meta(name: str) -> dict[str, Tensor]:
        shapes = published.authors_shapes(name)
        return {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(published, "authors_checkpoint", meta)
        checkpoint = published.transformers_checkpoint(architecture)
    return {name: tuple(tensor.shape) for name, tensor in checkpoint.items()}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize(("name", "save"), [("a.pt", _save_zip), ("a.safetensors", save_file)])
def test_other_precisions_are_loaded_as_float32(
    tmp_path: Path, name: str, save: Save, dtype: torch.dtype
) -> None:
    ours = published.network(SMALL).state_dict()
    stored = {
        name: tensor.to(dtype) if tensor.is_floating_point() else tensor
        for name, tensor in ours.items()
    }
    loaded = load_network(save_as(tmp_path / name, save, stored), SMALL_CONFIG).state_dict()
    for name, tensor in stored.items():
        assert loaded[name].dtype == ours[name].dtype
        assert torch.equal(loaded[name], tensor.to(ours[name].dtype)), name


def test_a_loaded_network_is_ready_to_run(tmp_path: Path) -> None:
    path = save_as(tmp_path / "weights.pt", _save_zip, published.authors_checkpoint(SMALL))
    network = load_network(path, SMALL_CONFIG)
    assert not any(module.training for module in network.modules())
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert not any(tensor.is_meta for tensor in (*network.parameters(), *network.buffers()))


def _first(count: int) -> Callable[[bytes], bytes]:
    return lambda content: content[:count]


def _first_half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _zeros_in_front(content: bytes) -> bytes:
    return bytes(64) + content[64:]


@pytest.mark.parametrize(
    ("save", "damage"),
    [
        (save_file, _first(4)),
        (save_file, _first(100)),
        (save_file, _first_half),
        (save_file, lambda content: content[:-1]),
        (save_file, lambda content: content + b"more"),
        (save_file, lambda content: b"\xff" * 8 + content[8:]),
        (save_file, lambda content: content.replace(b'"F32"', b'"F99"', 1)),
        (save_file, _zeros_in_front),
        (_save_zip, _first(4)),
        (_save_zip, _first(1000)),
        (_save_zip, _first_half),
        (_save_zip, lambda content: content[:-100]),
        (_save_zip, _zeros_in_front),
        (_save_legacy, _first(4)),
        (_save_legacy, _first(20)),
        (_save_legacy, _first(1000)),
        (_save_legacy, _first_half),
        (_save_legacy, lambda content: content[:-100]),
        (_save_legacy, _zeros_in_front),
        (_save_zip, lambda _content: b""),
        (_save_zip, lambda _content: b"<!DOCTYPE html>\n<title>404</title>\n"),
        (_save_zip, lambda _content: b"version https://git-lfs.github.com/spec/v1\noid sha256:5\n"),
        (_save_zip, lambda _content: b'{"error": "Repository not found"}'),
    ],
)
def test_a_damaged_file_is_one_clear_line(
    tmp_path: Path, save: Save, damage: Callable[[bytes], bytes]
) -> None:
    whole = save_as(tmp_path / "whole", save, published.authors_checkpoint(SMALL))
    path = tmp_path / "damaged"
    path.write_bytes(damage(whole.read_bytes()))
    with pytest.raises(CheckpointError) as caught:
        load_network(path, SMALL_CONFIG)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    assert len(message) < len(str(path)) + 500


@pytest.mark.parametrize("name", ["absent.pt", "."])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with pytest.raises(CheckpointError, match="cannot read the weights") as caught:
        load_network(path, SMALL_CONFIG)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        [torch.zeros(2)],
        torch.zeros(2),
        {"weights": 3},
        {"pretrained.model.cls_token": [1.0, 2.0]},
        {"model": {"epoch": 3}, "optimizer": {}},
        {"model": None, "optimizer": None},
    ],
)
def test_a_pickle_of_something_else_holds_no_weights(tmp_path: Path, content: object) -> None:
    path = tmp_path / "other.pt"
    torch.save(content, path)
    with pytest.raises(CheckpointError, match="holds no dictionary of tensors"):
        load_network(path, SMALL_CONFIG)


class Burglar:
    """Makes a folder when unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.mkdir, (self.folder,))


def _save_bare_pickle(content: object, path: Path) -> None:
    path.write_bytes(pickle.dumps(content, protocol=2))


@pytest.mark.parametrize("save", [_save_zip, _save_legacy, _save_bare_pickle])
def test_code_in_a_pickle_is_refused_and_not_run(tmp_path: Path, save: Save) -> None:
    trace = tmp_path / "trace"
    checkpoint = {**published.authors_checkpoint("small-vit-depth"), "extra": Burglar(trace)}
    path = save_as(tmp_path / "weights.pt", save, checkpoint)
    with pytest.raises(
        CheckpointError, match="is refused: it is no plain file of tensors"
    ) as caught:
        load_network(path, SMALL_CONFIG)
    assert not trace.exists()
    assert "\n" not in str(caught.value)


def test_the_burglar_is_no_straw_man(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Burglar(tmp_path / "trace")))
    assert (tmp_path / "trace").is_dir()


def test_a_file_that_does_not_fit_says_what_is_missing_and_unexpected(tmp_path: Path) -> None:
    checkpoint = published.authors_checkpoint("small-vit-depth")
    for index in range(4):
        del checkpoint[f"scratch.layer{index + 1}_rn.weight"]
    checkpoint["pretrained.surprise"] = torch.zeros(1)
    checkpoint["scratch.output_conv.2.bias"] = torch.zeros(5)
    path = save_as(tmp_path / "odd.safetensors", save_file, checkpoint)
    with pytest.raises(CheckpointError) as caught:
        load_network(path, published.CONFIGS["small-vit-depth"])
    assert str(caught.value) == (
        f"{path} does not fit the architecture of this model: "
        "4 missing (to_features.0.weight, to_features.1.weight, to_features.2.weight, ...); "
        "1 unexpected (pretrained.surprise); "
        "1 of another shape (head.conv2.bias (5,) instead of (32,)). "
        "It fits no published architecture."
    )


@pytest.mark.parametrize(
    ("inside", "model", "wanted", "shapes_of"),
    [
        ("hybrid-depth", "depth --model hybrid", "large-depth", published.authors_shapes),
        ("large-depth", "depth --model large", "base-depth", published.authors_shapes),
        ("hybrid-segmentation", "segment --model hybrid", "hybrid-depth", transformers_shapes),
        ("large-segmentation", "segment --model large", "midas-v21", transformers_shapes),
    ],
)
def test_weights_of_another_architecture_are_recognised(
    tmp_path: Path,
    inside: str,
    model: str,
    wanted: str,
    shapes_of: Callable[[str], dict[str, tuple[int, ...]]],
) -> None:
    shapes = shapes_of(inside)
    path = sparse_safetensors(tmp_path / "model.safetensors", shapes)
    with pytest.raises(CheckpointError) as caught:
        load_network(path, ARCHITECTURES[wanted])
    message = str(caught.value)
    assert message.startswith(f"{path} does not fit {wanted}: ")
    assert f"It fits 'dpt {model}'" in message
    assert len(message) < len(str(path)) + 700


_MEASURE = """
import dataclasses, re, sys
from pathlib import Path
from dpt_cli.checkpoint.load import load_network
from published import CONFIGS

def kb(name):
    status = Path("/proc/self/status").read_text()
    return int(re.search(name + r":\\s+(\\d+) kB", status)[1])

config = CONFIGS["small-vit-depth"]
wide = dataclasses.replace(config, vit=dataclasses.replace(config.vit, mlp_ratio=1000.0))
kept = [load_network(Path(sys.argv[1]), config)]
for path in sys.argv[2:]:
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
    before = kb("VmRSS")
    kept.append(load_network(Path(path), wide))
    print(kb("RssAnon"), kb("RssFile"), kb("VmHWM") - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_weights_are_in_memory_once_and_nowhere_in_the_file(tmp_path: Path) -> None:
    checkpoint = published.authors_checkpoint("small-vit-depth")
    first = save_as(tmp_path / "first.pt", _save_zip, checkpoint)
    for name, tensor in checkpoint.items():
        hidden = 48 * 1000
        if ".mlp.fc1." in name:
            checkpoint[name] = torch.ones(hidden, *tensor.shape[1:])
        elif ".mlp.fc2.weight" in name:
            checkpoint[name] = torch.ones(tensor.shape[0], hidden)
    files = [
        save_as(tmp_path / "wide.pt", _save_zip, checkpoint),
        save_as(tmp_path / "wide.safetensors", save_file, checkpoint),
    ]

    printed = subprocess.run(
        [sys.executable, "-c", _MEASURE, first, *files],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    mapped_kb = []
    for file, line in zip(files, printed.splitlines(), strict=True):
        file_kb = file.stat().st_size / 1024
        own_kb, mapped, peak_kb = map(int, line.split())
        mapped_kb.append(mapped)
        print(f"{file.name}: {file_kb:.0f} kB on disk, {own_kb} kB own, peak {peak_kb} kB more")
        assert file_kb > 70_000
        # A tenth: the network's own objects, and what its finite numbers are looked for with.
        assert peak_kb < 1.1 * file_kb, file.name
    # Of the process's libraries alone, both times.
    assert abs(mapped_kb[1] - mapped_kb[0]) < 7_000


def test_mismatch_of_equal_parameters_is_empty() -> None:
    parameters = {"a": torch.zeros(2)}
    assert describe_mismatch(parameters, dict(parameters)) == ""


def test_a_preset_with_other_widths_is_not_called_published(tmp_path: Path) -> None:
    config = replace(ARCHITECTURES["hybrid-depth"], features=128)
    shapes = published.authors_shapes("hybrid-depth")
    path = sparse_safetensors(tmp_path / "model.safetensors", shapes)
    with pytest.raises(CheckpointError, match="does not fit the architecture of this model"):
        load_network(path, config)
