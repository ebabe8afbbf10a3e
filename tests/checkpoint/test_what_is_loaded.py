"""The file that was hashed is the one that is loaded, whatever others do to it meanwhile."""

import hashlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from dpt_cli.checkpoint import load as load_module
from dpt_cli.checkpoint.integrity import sha256_of
from dpt_cli.checkpoint.load import load_network
from dpt_cli.errors import CheckpointError
from dpt_cli.model.architectures import architecture_from_table
from front_door import FrontDoor, pixels
from small_models import architecture, authors, files, pickled, safe

CONFIG = architecture_from_table(architecture("depth"))
NAMES = ("authors.pt", "dpt.safetensors")


def other(content_of: str) -> bytes:
    """Return another network of the same file length."""
    halved = {
        name: tensor / 2 if tensor.is_floating_point() else tensor
        for name, tensor in authors("depth").items()
    }
    if content_of == "authors.pt":
        return pickled(halved)
    from dpt_cli.checkpoint.convert import convert_state_dict

    return safe(convert_state_dict(halved))


def old(path: Path, content: bytes) -> Path:
    """Write a file that nobody has touched for a minute, as far as its time tells."""
    path.write_bytes(content)
    a_minute_ago = time.time_ns() - 60 * 10**9
    os.utime(path, ns=(a_minute_ago, a_minute_ago))
    return path


def is_first(network: torch.nn.Module) -> bool:
    expected = authors("depth")["scratch.output_conv.0.bias"]
    return torch.equal(network.state_dict()["head.conv1.bias"], expected)


@pytest.fixture
def no_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust the clock of file times to the nanosecond, as if seconds lay between all changes."""
    monkeypatch.setattr("dpt_cli.checkpoint.stamp.TICK_NS", 0)


def rewrite(path: Path, content: bytes) -> None:
    """Write over the file, and set its time back."""
    status = path.stat()
    with path.open("r+b") as stream:
        stream.write(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def swap(path: Path, content: bytes) -> None:
    """Put another file of the same length and time in its place."""
    status = path.stat()
    draft = path.with_name("draft")
    draft.write_bytes(content)
    os.utime(draft, ns=(status.st_atime_ns, status.st_mtime_ns))
    draft.replace(path)


CHANGES: dict[str, Callable[[Path, bytes], None]] = {"rewritten": rewrite, "swapped": swap}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", NAMES)
def test_a_file_changed_after_it_was_hashed_is_refused(
    home: Path, tmp_path: Path, no_tick: None, name: str, change: str
) -> None:
    path = old(tmp_path / name, files("depth")[name])
    sha256 = sha256_of(path)
    assert is_first(load_network(path, CONFIG, sha256=sha256))
    CHANGES[change](path, other(name))
    with pytest.raises(CheckpointError, match="changed while in use"):
        load_network(path, CONFIG, sha256=sha256)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_changed_within_a_tick_of_the_clock_is_refused(
    home: Path, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(files("depth")[name])
    sha256 = sha256_of(path)
    rewrite(path, other(name))  # neither its time nor its length tells
    with pytest.raises(CheckpointError, match="changed while in use"):
        load_network(path, CONFIG, sha256=sha256)
    assert sha256_of(path) != sha256


@pytest.mark.parametrize("name", [*NAMES, "model.safetensors", "pytorch_model.bin"])
def test_a_file_whose_stamp_cannot_be_trusted_is_hashed_as_it_is_read(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    hashed = []
    whole = hashlib.sha256

    def counting(*arguments: Any) -> Any:
        hashed.append(arguments)
        return whole(*arguments)

    path = tmp_path / name
    path.write_bytes(files("depth")[name])
    sha256 = sha256_of(path)
    monkeypatch.setattr(hashlib, "sha256", counting)
    assert is_first(load_network(path, CONFIG, sha256=sha256))
    assert hashed


def test_a_touched_file_of_the_same_content_is_loaded(
    home: Path, tmp_path: Path, no_tick: None
) -> None:
    path = old(tmp_path / "a.pt", files("depth")["authors.pt"])
    sha256 = sha256_of(path)
    path.touch()
    assert is_first(load_network(path, CONFIG, sha256=sha256))


@pytest.mark.parametrize("change", [*CHANGES, "cut"])
@pytest.mark.parametrize("name", NAMES)
def test_a_file_changed_while_it_is_read_is_refused_or_read_whole(
    home: Path,
    tmp_path: Path,
    no_tick: None,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    change: str,
) -> None:
    path = old(tmp_path / name, files("depth")[name])
    sha256 = sha256_of(path)
    plain = load_module.run  # type: ignore[attr-defined]  # to be wrapped

    def meanwhile(*arguments: Any) -> None:
        if change == "cut":
            os.truncate(path, 20_000)
        else:
            CHANGES[change](path, other(name))
        plain(*arguments)

    monkeypatch.setattr(load_module, "run", meanwhile)
    if change == "swapped":  # what is open stays the first file
        assert is_first(load_network(path, CONFIG, sha256=sha256))
        return
    with pytest.raises(CheckpointError):
        load_network(path, CONFIG, sha256=sha256)


def test_a_network_outlives_its_file(home: Path, tmp_path: Path) -> None:
    path = old(tmp_path / "a.safetensors", files("depth")["dpt.safetensors"])
    network = load_network(path, CONFIG)
    rewrite(path, other("dpt.safetensors"))
    os.truncate(path, 0)  # of a mapped file every further look would be a bus error
    assert is_first(network)
    with open("/proc/self/maps", encoding="utf-8") as maps:  # noqa: PTH123
        assert str(path) not in maps.read()


def test_a_training_job_that_goes_on_writing_changes_no_map(dpt: FrontDoor) -> None:
    """Many photographs from one file that is rewritten all the time: one map, or one error."""
    for index in range(12):
        dpt.photograph("a.png").rename(f"{index:02}.png")
    weights = dpt.weights("mine.pt", files("depth")["authors.pt"])
    dpt("depth", "00.png", "-o", "../first", "--weights", weights)
    contents = other("authors.pt"), files("depth")["authors.pt"]
    begun, stop = threading.Event(), threading.Event()

    def train() -> None:
        begun.wait(60)
        while not stop.is_set():
            for content in contents:
                with weights.open("r+b") as stream:
                    stream.write(content)

    plain = load_network

    def then_begin(*arguments: Any, **options: Any) -> torch.nn.Module:
        network = plain(*arguments, **options)
        begun.set()
        return network

    trainer = threading.Thread(target=train)
    trainer.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(load_module, "load_network", then_begin)
        try:
            dpt("depth", ".", "-o", "../all", "--weights", weights)
        finally:
            stop.set()
            begun.set()
            trainer.join()
    first = pixels(Path("../first/00_depth.png"))
    for index in range(12):
        assert (pixels(Path(f"../all/{index:02}_depth.png")) == first).all()


def test_numbers_are_looked_through_once_per_content(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[Path] = []
    plain = load_module._require_finite

    def counting(path: Path, tensors: dict[str, torch.Tensor]) -> None:
        looked.append(path)
        plain(path, tensors)

    monkeypatch.setattr(load_module, "_require_finite", counting)
    path = old(tmp_path / "a.pt", files("depth")["authors.pt"])
    for _ in range(2):
        load_network(path, CONFIG, sha256=sha256_of(path))
    assert len(looked) == 1
    old(path, other("authors.pt"))
    load_network(path, CONFIG, sha256=sha256_of(path))
    assert len(looked) == 2


def test_a_finite_check_names_the_tensor_for_every_engine(dpt: FrontDoor, openvino: None) -> None:
    dpt.photograph("a.png")
    broken = {**authors("depth"), "scratch.output_conv.0.bias": torch.full((16,), torch.inf)}
    weights = dpt.weights("broken.pt", pickled(broken))
    for engine in ("torch", "openvino"):
        stderr = dpt(
            *("depth", "a.png", "-o", "out", "--weights", weights, "--engine", engine), code=4
        ).stderr
        assert "head.conv1.bias" in stderr
        assert not Path("out/a_depth.png").exists()
