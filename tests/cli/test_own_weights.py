"""`--weights FILE`: every layout gives the same map, and what does not fit is refused in words."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from dpt_cli.engine.torch.engine import TorchEngine
from front_door import FrontDoor, paths, written_in
from small_models import (
    LAYOUTS,
    SIDE_PX,
    Checkpoint,
    architecture,
    authors,
    files,
    pickled,
    row,
    safe,
)


class Stranger:
    """A class that is no tensor."""


class Harmful:
    """What runs a command when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch harmed",)


def npy(dpt: FrontDoor, *options: str | Path) -> bytes:
    (path,) = paths(dpt("depth", "a.png", "-o", "out", "--format", "npy", *options))
    return Path(path).read_bytes()


def changed(**tensors: torch.Tensor) -> bytes:
    """Return the authors' file with some tensors of the head replaced."""
    head = {f"scratch.output_conv.{name[1:].replace('_', '.')}": t for name, t in tensors.items()}
    return pickled({**authors("depth"), **head})


def test_every_layout_gives_the_same_bytes_as_the_download(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    downloaded = npy(dpt)
    for name in LAYOUTS:
        assert npy(dpt, "--weights", dpt.weights(name)) == downloaded, name


def test_a_training_checkpoint_holds_the_network_beside_the_optimizer(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    content = pickled({"model": authors("depth"), "optimizer": {"step": 3}})
    assert npy(dpt, "--weights", dpt.weights("a.pt", content)) == npy(dpt)


def test_half_precision_files_are_read(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    halves = {name: tensor.half() for name, tensor in authors("depth").items()}
    npy(dpt, "--weights", dpt.weights("a.safetensors", safe(halves)))
    assert np.isfinite(np.load("out/a_depth.npy")).all()


def test_no_hub_is_asked_and_the_summary_names_the_file(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    weights = dpt.weights("mine.pt", files("depth")["authors.pt"])
    stderr = dpt("depth", "a.png", "-o", "out", "--weights", weights).stderr
    assert "depth/small from mine.pt, sha256 " in stderr
    assert dpt.hub.requests == []


def test_without_a_model_the_one_that_the_file_fits_is_used_and_named(dpt: FrontDoor) -> None:
    # Neither of the two that are asked first has the file's readout.
    other = {**architecture("depth"), "readout": "ignore"}
    fitting = row("depth", [], output={"quantity": "depth", "scale": 0.25, "shift": 0.1})
    dpt.rows(
        depth={
            "first": row("depth", [], architecture=other, default=True),
            "second": row("depth", [], architecture=other),
            "third": fitting,
            "fourth": fitting,
        }
    )
    dpt.photograph("a.png")
    words = ("depth", "a.png", "-o", "out", "--weights", dpt.weights())
    stderr = dpt(*words).stderr
    assert "model third, which authors.pt fits" in stderr
    assert "fourth" in stderr
    assert "depth/third from authors.pt" in stderr
    assert dpt(*words, "--force", "-q").stderr == ""
    # A model that was named is never replaced by another.
    assert "does not fit" in dpt(*words, "--model", "first", "--force", code=4).stderr


def test_a_file_named_as_a_models_own_is_taken_for_it_where_it_fits(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    words = ("depth", "a.png", "-o", "out", "--force", "--weights")
    # The metric row's release has this name, and shares the default's architecture.
    result = dpt(*words, dpt.weights("small.pt", files("depth")["authors.pt"]))
    assert "model metric, which small.pt fits" in result.stderr
    assert "numbers: depth in metres" in result.stderr
    stderr = dpt(*words, dpt.weights("other.pt", files("depth")["authors.pt"])).stderr
    assert "fits" not in stderr
    assert "numbers: relative inverse depth" in stderr


def _without(name: str) -> bytes:
    return safe({key: value for key, value in authors("depth").items() if key != name})


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "text": (lambda: b"just text\n", "is not a weights file: it begins with b'just text"),
    "git lfs": (lambda: b"version https://git-lfs", "not a weights file: it begins with b'version"),
    "empty": (lambda: b"", "is not a weights file: it is empty"),
    "a class": (
        lambda: pickled({"a": Stranger()}),
        f"refused: it is no plain file of tensors (it wants to run {__name__}.Stranger)",
    ),
    "code": (lambda: pickled({"a": Harmful()}), "(it wants to run posix.system)"),
    "cut pt": (lambda: files("depth")["authors.pt"][:5000], "not a weights file, or damaged"),
    "cut safetensors": (lambda: files("depth")["dpt.safetensors"][:5000], "damaged safetensors"),
    "a tensor": (lambda: pickled(torch.zeros(3)), "holds no dictionary of tensors"),
    "numbered": (lambda: pickled({0: torch.zeros(3)}), "holds no dictionary of tensors"),
    "another network": (
        lambda: safe({"conv.weight": torch.zeros(3)}),
        "not a DPT checkpoint: it holds conv.weight; expected names that start with",
    ),
    "segmentation": (
        lambda: files("segment")["authors.pt"],
        "does not fit the architecture of this model: ",
    ),
    "a name short": (
        lambda: _without("scratch.output_conv.0.bias"),
        "1 missing (head.conv1.bias). It fits no published architecture.",
    ),
    "another shape": (
        lambda: changed(_0_bias=torch.zeros(5)),
        "1 of another shape (head.conv1.bias (5,) instead of (16,))",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_does_not_fit_is_refused_in_one_line(dpt: FrontDoor, case: str) -> None:
    content, words = REFUSED[case]
    dpt.photograph("a.png")
    given = dpt.written()
    weights = dpt.weights("mine.pt", content())
    result = dpt("depth", "a.png", "-o", "out", "--weights", weights, code=4)
    assert result.stdout == ""
    _, loading, error = result.stderr.splitlines()
    assert loading == "Loading mine.pt"
    assert error.startswith(f"Error: {weights}") or case == "another network"
    assert words in error
    assert dpt.written() == given


def test_a_missing_file_is_named(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    result = dpt("depth", "a.png", "--weights", "nowhere.pt", code=4)
    assert result.stderr.splitlines()[-2] == "Error: no weights file nowhere.pt"


def test_a_model_nobody_published_runs_from_a_file(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    assert npy(dpt, "--model", "unpublished", "--weights", dpt.weights()) == npy(dpt)


def test_a_model_nobody_published_asks_for_a_file(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    stderr = dpt("depth", "a.png", "--model", "unpublished", code=4).stderr
    assert "give a file with --weights FILE" in stderr
    assert "Downloading" not in stderr


def test_readouts_and_plain_transformers_are_configuration(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    plain: Checkpoint = {
        name: tensor for name, tensor in authors("depth").items() if ".0.project.0." not in name
    }
    table = {**architecture("depth"), "readout": "ignore"}
    dpt.rows(depth={"mine": row("depth", [], architecture=table, default=True)})
    npy(dpt, "--weights", dpt.weights("a.safetensors", safe(plain)))


# Numbers that cannot be true


def test_a_network_that_gives_infinity_fails_every_photograph(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    # Each of them a number, and together beyond float32.
    largest = torch.finfo(torch.float32).max
    weight = torch.full_like(authors("depth")["scratch.output_conv.4.weight"], largest)
    weights = dpt.weights("loud.pt", changed(_4_weight=weight, _4_bias=torch.tensor([largest])))
    result = dpt("depth", "a.png", "-o", "out", "--weights", weights, code=3)
    assert result.stdout == ""
    assert "Failed: a.png: the network gave NaN or infinity" in result.stderr
    assert written_in(Path("out")) == set()


@pytest.mark.parametrize("batch_size", ["1", "3"])
def test_one_photograph_that_gives_nan_does_not_fail_its_batch(
    dpt: FrontDoor, monkeypatch: pytest.MonkeyPatch, batch_size: str
) -> None:
    plain = TorchEngine._infer

    def infer(
        self: TorchEngine, images: npt.NDArray[np.float32], precision: str
    ) -> npt.NDArray[np.float32]:
        values = plain(self, images, precision)
        values[images.mean(axis=(1, 2, 3)) > 0.9] = np.nan
        return values

    monkeypatch.setattr(TorchEngine, "_infer", infer)
    dpt.photograph("a.png")
    Image.fromarray(np.full((SIDE_PX, SIDE_PX, 3), 255, np.uint8)).save("b.png")
    dpt.photograph("cc.png")
    result = dpt("depth", ".", "-o", "../out", "--batch-size", batch_size, code=3)
    assert paths(result) == ["../out/a_depth.png", "../out/cc_depth.png"]
    assert "Failed: b.png: the network gave NaN" in result.stderr


def test_what_overflows_fp16_is_done_again_in_fp32_and_said(dpt: FrontDoor) -> None:
    head = {name: authors("depth")[f"scratch.output_conv.{name}.weight"] for name in "02"}
    # The same function, but for values between the two convolutions beyond fp16's 65504.
    loud = changed(
        _0_weight=head["0"] * 3e4,
        _0_bias=authors("depth")["scratch.output_conv.0.bias"] * 3e4,
        _2_weight=head["2"] / 3e4,
    )
    dpt.photograph("a.png")
    weights = dpt.weights("loud.pt", loud)
    in_fp32 = npy(dpt, "--weights", weights)
    result = dpt(
        "depth", "a.png", "-o", "out", "--format", "npy", "-v", "--weights", weights,
        "--precision", "fp16",
    )  # fmt: skip
    assert "a.png: fp16 gave NaN or infinity" in result.stderr
    assert "px, fp32\n" in result.stderr
    assert Path("out/a_depth.npy").read_bytes() == in_fp32
