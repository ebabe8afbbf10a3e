"""OpenVINO: torch's numbers, one conversion a checkpoint, no torch after it."""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dpt_cli
from dpt_cli.checkpoint.integrity import converted_path
from dpt_cli.engine.choice import resolve_engine
from dpt_cli.errors import DeviceError
from front_door import FrontDoor, picture
from loopback_hub import sha256_of

pytestmark = pytest.mark.usefixtures("openvino")

# Another order of float32 roundings, some 1e-7 a layer.
TOLERANCE = 1e-5


def load(
    dpt: FrontDoor, engine: str, resolution: int | None = None
) -> dpt_cli.Predictor[dpt_cli.DepthMap]:
    return dpt_cli.load(
        "small",
        weights=dpt.weights(),
        registry=dpt.registry,
        device="cpu",
        engine=engine,
        resolution=resolution,
    )


def test_any_size_has_torchs_numbers_from_one_conversion(dpt: FrontDoor, conversions: Path) -> None:
    for side_px in (64, 96, 208):
        torchs = load(dpt, "torch", resolution=side_px)(picture(120, 80)).values
        values = load(dpt, "openvino", resolution=side_px)(picture(120, 80)).values
        assert np.linalg.norm(values - torchs) <= TOLERANCE * np.linalg.norm(torchs)
    digest = sha256_of(dpt.weights().read_bytes())
    assert len(list(conversions.glob(f"{digest[:16]}-*"))) == 1


def test_a_conversion_shows_no_warning_of_torchs(
    dpt: FrontDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    trace: Any = torch.jit.trace
    calls = []

    def deprecated(*arguments: object, **options: object) -> object:
        calls.append(arguments)
        warnings.warn("tracing is deprecated", FutureWarning, stacklevel=2)
        return trace(*arguments, **options)

    monkeypatch.setattr(torch.jit, "trace", deprecated)
    load(dpt, "openvino")  # warnings are errors here
    assert calls


def test_labels_are_torchs(dpt: FrontDoor) -> None:
    words = ("segment", dpt.photograph(), "--format", "npy", "--device", "cpu", "-q")
    dpt(*words, "-o", "torch", "--engine", "torch")
    dpt(*words, "-o", "openvino", "--engine", "openvino")
    expected = np.load(dpt.desk / "torch" / "photo_labels.npy")
    labels = np.load(dpt.desk / "openvino" / "photo_labels.npy")
    # Classes that agree to float rounding may come out either way.
    assert (labels == expected).mean() > 0.999


def test_the_second_start_imports_neither_torch_nor_timm_nor_ever_telemetry(
    dpt: FrontDoor, home: Path
) -> None:
    photograph = dpt.photograph()
    words = ["depth", str(photograph), "--weights", str(dpt.weights()), "--model", "small"]
    words += ["--registry", str(dpt.registry), "--engine", "openvino"]
    script = (
        "import sys\nfrom dpt_cli.cli import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "finally:\n    heavy = {'torch', 'timm', 'cv2', 'openvino_telemetry.main'}\n"
        "    print(*sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    environment = {**os.environ, "HF_HOME": str(home)}
    lines = []
    for out in ("first", "second"):
        done = subprocess.run(
            [sys.executable, "-c", script, *words, "-o", out],
            capture_output=True,
            text=True,
            check=True,
            cwd=dpt.desk,
            env=environment,
        )
        lines.append(done.stderr.splitlines()[-1])
    assert lines == ["cv2 timm torch", "cv2"]
    one, two = (dpt.desk / out / "photo_depth.png" for out in ("first", "second"))
    assert one.read_bytes() == two.read_bytes()


def test_a_damaged_or_deleted_conversion_is_made_again(dpt: FrontDoor, conversions: Path) -> None:
    predictor = load(dpt, "openvino")
    expected, before = predictor(picture(64, 64)).values, set(conversions.iterdir())
    digest = sha256_of(dpt.weights().read_bytes())
    model = converted_path(digest, predictor.spec.architecture) / "model.xml"
    model.write_text("<net")
    np.testing.assert_array_equal(load(dpt, "openvino")(picture(64, 64)).values, expected)
    assert model.stat().st_size > 1000
    assert set(conversions.iterdir()) == before


def test_other_weights_have_a_folder_of_their_own(dpt: FrontDoor) -> None:
    architecture = load(dpt, "torch").spec.architecture
    digest = sha256_of(dpt.weights().read_bytes())
    folder = converted_path(digest, architecture)
    assert folder != converted_path(digest[::-1], architecture)
    assert folder != converted_path(digest, "another architecture")


@pytest.mark.usefixtures("conversions")
def test_the_summary_names_the_engine(dpt: FrontDoor) -> None:
    result = dpt("depth", dpt.photograph(), "--engine", "openvino")
    assert "device: cpu (OpenVINO), fp32" in result.stderr


@pytest.mark.usefixtures("conversions")
def test_bench_measures_it(dpt: FrontDoor) -> None:
    words = ("bench", "--weights", dpt.weights(), "--resolution", "64", "--runs", "1", "--json")
    result = dpt(*words, "--engine", "openvino", "--device", "cpu")
    document = json.loads(result.stdout)
    assert document["engine"] == "openvino"
    # fp32 on torch is what drift is measured from only where torch is the engine.
    assert [row["status"] for row in document["rows"]] == ["measured"]
    refused = dpt("bench", "--engine", "openvino", "--precision", "fp16", code=1)
    assert "not on cpu in fp16" in refused.stderr


@pytest.mark.parametrize(
    ("device", "precision", "expected"),
    [("cpu", "auto", "openvino"), ("cpu", "fp16", "torch"), ("cuda", "auto", "torch")],
)
def test_auto_takes_it_on_a_cpu_in_fp32(device: str, precision: str, expected: str) -> None:
    assert resolve_engine("auto", device, precision) == expected


def test_what_it_cannot_do_is_refused() -> None:
    with pytest.raises(DeviceError, match="not on cuda"):
        resolve_engine("openvino", "cuda", "auto")
    with pytest.raises(DeviceError, match="fp16"):
        resolve_engine("openvino", "cpu", "fp16")


def test_without_it_the_way_to_get_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dpt_cli.engine.choice.has_openvino", lambda: False)
    assert resolve_engine("auto", "cpu", "fp32") == "torch"
    with pytest.raises(DeviceError, match=r"pip install 'dpt-vision\[openvino\]'"):
        resolve_engine("openvino", "cpu", "fp32")
