"""int8 on OpenVINO: calibrated once, its drift measured and told, never chosen unasked."""

import json
from pathlib import Path

import numpy as np
import pytest

import dpt_cli
from dpt_cli.engine.choice import resolve_engine
from dpt_cli.errors import DeviceError
from dpt_cli.predict.conversion import KEPT_IN_FP32
from front_door import FrontDoor, picture
from loopback_hub import sha256_of
from small_models import files

pytestmark = pytest.mark.usefixtures("openvino")


@pytest.fixture
def nncf() -> None:
    """Skip where what makes int8 weights is not installed."""
    pytest.importorskip("nncf", reason="nncf is not installed")


@pytest.mark.usefixtures("nncf")
def test_a_run_in_int8_says_so_and_what_it_changes(
    dpt: FrontDoor, conversions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Weights by formula are not kept by eight bits as trained ones are: once is enough.
    monkeypatch.setattr("dpt_cli.predict.conversion.SMALL_DRIFT", 1.0)
    words = ("depth", dpt.photograph(), "--format", "npy", "--device", "cpu")
    dpt(*words, "-o", "fp32", "--engine", "openvino", "--precision", "fp32", "-q")
    result = dpt(*words, "-o", "int8", "--precision", "int8", "--engine", "auto")
    assert "to int8, once" in result.stderr
    assert "device: cpu (OpenVINO), int8" in result.stderr
    (told,) = (line for line in result.stderr.splitlines() if line.startswith("precision:"))
    assert "aligned AbsRel, 3 photographs" in told
    fp32, int8 = (np.load(dpt.desk / out / "photo_depth.npy") for out in ("fp32", "int8"))
    change = np.linalg.norm(int8 - fp32) / np.linalg.norm(fp32)
    # Eight bits are not float rounding (1e-5), and still the same picture.
    assert 1e-4 < change < 0.2
    # The files are there now: nothing makes them again, whoever is gone.
    monkeypatch.setattr("importlib.util.find_spec", _without("nncf"))
    again = dpt(*words, "-o", "again", "--precision", "int8", "--engine", "openvino")
    assert "once" not in again.stderr
    np.testing.assert_array_equal(np.load(dpt.desk / "again" / "photo_depth.npy"), int8)
    digest = sha256_of(files("depth")["model.safetensors"])
    converted = [path.name for path in conversions.glob(f"{digest[:16]}-*")]
    assert sorted(name.split("-")[2] for name in converted) == ["fp32", "int8"]


@pytest.mark.slow
@pytest.mark.usefixtures("nncf")
def test_the_bundled_weights_keep_their_depth(home: Path) -> None:
    rgb = picture(320, 240)
    fp32, int8 = (
        dpt_cli.load("tiny", device="cpu", engine="openvino", precision=precision)(rgb)
        for precision in ("fp32", "int8")
    )
    assert int8.precision == "int8"
    # Seen on eight photographs: 0.97 to 0.999 with what is kept in fp32, 0.86 without.
    assert np.corrcoef(int8.values.ravel(), fp32.values.ravel())[0, 1] > 0.95


@pytest.mark.slow
@pytest.mark.usefixtures("nncf")
def test_while_the_drift_is_large_more_is_kept_in_fp32(
    dpt: FrontDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dpt_cli.predict.conversion.SMALL_DRIFT", 0.0)
    words = ("depth", dpt.photograph(), "--precision", "int8", "--engine", "auto")
    lines = dpt(*words, "-o", "int8").stderr.splitlines()
    tried = [float(line.split()[5].rstrip("%:")) for line in lines if "more is kept" in line]
    (told,) = (line for line in lines if line.startswith("precision:"))
    assert len(tried) == len(KEPT_IN_FP32)
    assert float(told.split()[6].rstrip("%")) == pytest.approx(min(tried), abs=0.06)


@pytest.mark.slow
@pytest.mark.usefixtures("nncf")
def test_labels_in_int8_tell_the_share_that_changed(
    dpt: FrontDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dpt_cli.predict.conversion.SMALL_DRIFT", 1.0)
    words = ("segment", dpt.photograph(), "--format", "npy", "--device", "cpu")
    dpt(*words, "-o", "fp32", "--engine", "openvino", "-q")
    result = dpt(*words, "-o", "int8", "--precision", "int8", "--engine", "auto")
    assert "share of pixels that changed" in result.stderr
    fp32, int8 = (np.load(dpt.desk / out / "photo_labels.npy") for out in ("fp32", "int8"))
    # Classes of formula-filled weights lie close together, and many change.
    assert 0.5 < (fp32 == int8).mean() < 1


@pytest.mark.slow
@pytest.mark.usefixtures("nncf")
def test_bench_gives_its_drift_beside_fp32(dpt: FrontDoor) -> None:
    words = ("bench", "--weights", dpt.weights(), "--resolution", "64", "--runs", "1", "--json")
    document = json.loads(dpt(*words, "--precision", "fp32,int8", "--device", "cpu").stdout)
    assert document["engine"] == "openvino"
    fp32, int8 = document["rows"]
    assert (fp32["precision"], int8["precision"]) == ("fp32", "int8")
    assert int8["drift"] > 0
    # torch cannot show what int8 could do at best.
    assert int8["share_of_peak"] is None


def test_it_is_never_chosen_unasked_and_openvino_alone_has_it() -> None:
    assert resolve_engine("auto", "cpu", "int8") == "openvino"
    with pytest.raises(DeviceError, match="--engine openvino"):
        resolve_engine("torch", "cpu", "int8")
    with pytest.raises(DeviceError, match="not on cuda in int8"):
        resolve_engine("auto", "cuda", "int8")


def test_without_nncf_the_way_to_get_it_is_told(
    dpt: FrontDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", _without("nncf"))
    words = ("depth", dpt.photograph(), "--precision", "int8", "--engine", "auto")
    assert "pip install 'dpt-vision[int8]'" in dpt(*words, code=1).stderr


def _without(name: str) -> object:
    import importlib.util

    find_spec = importlib.util.find_spec
    return lambda wanted, package=None: None if wanted == name else find_spec(wanted, package)
