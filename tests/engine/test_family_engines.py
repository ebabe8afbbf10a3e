"""Every engine and precision runs the networks that share DPT's decoder."""

import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import formula
from dpt_cli.checkpoint.convert import convert_state_dict
from dpt_cli.engine.torch.engine import TorchEngine
from dpt_cli.model.architectures import build_network
from dpt_cli.model.dpt import DPT
from family import SMALL

# Another order of float32 roundings.
TOLERANCE = 1e-5
# bfloat16 keeps 8 bits of the mantissa, and a network rounds in every layer.
HALF_TOLERANCE = 0.05


def network(kind: str) -> DPT:
    with torch.device("meta"):
        built = build_network(SMALL[kind])
    shapes = {name: tuple(it.shape) for name, it in built.state_dict().items()}
    filled = {name: torch.from_numpy(np.asarray(it)) for name, it in formula.state_dict(shapes)}
    built.load_state_dict(convert_state_dict(filled), strict=True, assign=True)
    return built.eval().requires_grad_(False)


def sizes(kind: str) -> list[tuple[int, int]]:
    """Return the native size, and one with an odd number of patches and another aspect."""
    patch_px = SMALL[kind].patch_px
    native_hw = (96, 96) if kind == "midas" else SMALL[kind].native_hw  # midas has none
    return [native_hw, (3 * patch_px, 4 * patch_px)]


def apart(values: Any, expected: Any) -> float:
    return float(np.linalg.norm(values - expected) / np.linalg.norm(expected))


# A conversion takes seconds. DINOv2's positions are what tracing gets wrong most easily.
_QUICK = ("anything",)
_KINDS = [it if it in _QUICK else pytest.param(it, marks=pytest.mark.slow) for it in SMALL]


@pytest.mark.usefixtures("openvino")
@pytest.mark.parametrize("kind", _KINDS)
def test_openvino_has_torchs_numbers_at_any_size(kind: str, tmp_path: Path) -> None:
    from dpt_cli.engine.openvino.compiled import import_openvino
    from dpt_cli.engine.openvino.export import export, torch_output
    from dpt_cli.engine.openvino.files import MODEL_FILE

    images = [formula.image(size_hw) for size_hw in sizes(kind)]
    expected = [torch_output(network(kind), image) for image in images]
    export(network(kind), SMALL[kind], tmp_path)
    compiled = (
        import_openvino()
        .Core()
        .compile_model(str(tmp_path / MODEL_FILE), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    )
    for image, values in zip(images, expected, strict=True):
        assert apart(compiled(image)[0][0], values) <= TOLERANCE


@pytest.mark.parametrize("kind", SMALL)
def test_half_precision_is_near_fp32(kind: str) -> None:
    images = formula.image(sizes(kind)[1])
    expected = TorchEngine(network(kind), "cpu", "fp32")(images)[0].values
    half = TorchEngine(network(kind), "cpu", "bf16")(images)[0]
    assert half.precision == "bf16"
    assert 0 < apart(half.values, expected) <= HALF_TOLERANCE


@pytest.mark.slow
@pytest.mark.usefixtures("openvino")
@pytest.mark.parametrize("kind", SMALL)
def test_int8_runs_and_says_its_drift(kind: str, home: Path, tmp_path: Path) -> None:
    pytest.importorskip("nncf", reason="nncf is not installed")
    import safetensors.torch

    from dpt_cli.checkpoint.specs import CheckpointSpec, InputSpec, OutputSpec
    from dpt_cli.predict.conversion import load_openvino

    path = tmp_path / "small.safetensors"
    safetensors.torch.save_file(network(kind).state_dict(), path, {"format": "pt"})
    spec = CheckpointSpec(
        "depth",
        kind,
        kind,
        SMALL[kind],
        0,
        InputSpec(sizes(kind)[0], (0.5,) * 3, (0.5,) * 3),
        OutputSpec("inverse_depth"),
        "MIT",
        "",
        (),
    )
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    engine = load_openvino(spec, path, sha256, "int8", lambda _line: None)
    image = formula.image(sizes(kind)[1])
    print(f"{kind}: {engine.remark}")
    assert re.search(r"\d\.\d+%", engine.remark)
    assert np.isfinite(engine(image)[0].values).all()
