"""bf16 on a CPU: run by OpenVINO from the files that fp32 runs from, where the CPU has it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dpt_cli import host
from dpt_cli.checkpoint.fetch import Notify
from dpt_cli.doctor import engines
from dpt_cli.doctor.engines import LIMITS, Way
from dpt_cli.engine.choice import resolve_engine
from dpt_cli.engine.openvino.compiled import compile_network
from dpt_cli.engine.openvino.files import Conversion
from dpt_cli.errors import DeviceError
from dpt_cli.pipeline.manifest import MANIFEST_NAME
from front_door import FrontDoor, invoke

pytestmark = pytest.mark.usefixtures("openvino")


@pytest.fixture
def bf16() -> None:
    """Skip where bf16 is not in hardware."""
    if not host.has_bf16():
        pytest.skip("this CPU has no bf16 in hardware, or the system does not list it")


def depth(dpt: FrontDoor, precision: str, out: str) -> tuple[str, Any]:
    """Return what a run prints and its map."""
    words = ("depth", dpt.photograph(), "--format", "npy", "--device", "cpu", "--engine", "auto")
    result = dpt(*words, "--precision", precision, "-o", out)
    return result.stderr, np.load(dpt.desk / out / "photo_depth.npy")


@pytest.mark.usefixtures("bf16")
def test_one_conversion_serves_fp32_and_bf16(dpt: FrontDoor, home: Path) -> None:
    printed, bf16 = depth(dpt, "bf16", "bf16")
    assert "Converting" in printed
    printed, fp32 = depth(dpt, "fp32", "fp32")
    assert "Converting" not in printed
    (folder,) = (home / "dpt" / "converted").iterdir()
    assert folder.name.split("-")[2] == "fp32"
    # Each arithmetic has a compiled network of its own.
    assert len(list((folder / "compiled").glob("*.blob"))) == 2
    change = np.linalg.norm(bf16 - fp32) / np.linalg.norm(fp32)
    # Eight bits per number are not float rounding (1e-5), and stay the same picture.
    assert 1e-4 < change < LIMITS["bf16"]
    np.testing.assert_array_equal(depth(dpt, "bf16", "again")[1], bf16)


@pytest.mark.usefixtures("bf16", "conversions")
def test_the_summary_and_the_manifest_say_bf16(dpt: FrontDoor) -> None:
    printed, _ = depth(dpt, "bf16", "maps")
    assert "device: cpu (OpenVINO), bf16" in printed
    record = json.loads((dpt.desk / "maps" / MANIFEST_NAME).read_text("utf-8").splitlines()[-1])
    assert record["settings"]["engine"] == "openvino"
    assert record["settings"]["precision"] == record["facts"]["precision"] == "bf16"


@pytest.mark.usefixtures("bf16", "conversions")
def test_bench_measures_its_drift(dpt: FrontDoor) -> None:
    words = ("bench", "--weights", dpt.weights(), "--runs", "1", "--json")
    document = json.loads(dpt(*words, "--precision", "fp32,bf16", "--device", "cpu").stdout)
    assert document["engine"] == "openvino"
    assert document["machine"]["has_bf16"] is True
    fp32, bf16 = document["rows"]
    assert (fp32["precision"], bf16["precision"]) == ("fp32", "bf16")
    # Both at the size from which drift is measured.
    assert fp32["drift"] == 0 < bf16["drift"]


@pytest.mark.usefixtures("bf16", "conversions")
def test_doctor_compares_it_with_torch(dpt: FrontDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    invoke("models", "pull", "depth/small", "--registry", dpt.registry)
    monkeypatch.setattr(engines, "ways", lambda: [Way("openvino", "cpu", "bf16")])
    document = json.loads(dpt("doctor", "--json", "--offline").stdout)
    (check,) = (it for it in document["checks"] if it["group"] == "engines")
    assert check["status"] == "pass"
    assert 0 < check["difference"] < check["limit"] == LIMITS["bf16"]


@pytest.mark.parametrize(
    ("has_bf16", "status"), [(True, ""), (False, "no bf16 in hardware"), (None, "does not list")]
)
def test_doctor_runs_it_only_where_the_cpu_has_it(
    monkeypatch: pytest.MonkeyPatch, has_bf16: bool | None, status: str
) -> None:
    monkeypatch.setattr(engines, "has_bf16", lambda: has_bf16)
    (way,) = (it for it in engines.ways() if (it.engine, it.precision) == ("openvino", "bf16"))
    assert status in way.obstacle
    assert bool(way.obstacle) == bool(way.fix) == bool(status)


@pytest.mark.parametrize(
    ("has_bf16", "auto", "openvino"),
    [(True, "openvino", "openvino"), (False, "torch", None), (None, "torch", "openvino")],
)
def test_auto_takes_openvino_where_the_cpu_has_bf16(
    monkeypatch: pytest.MonkeyPatch, has_bf16: bool | None, auto: str, openvino: str | None
) -> None:
    monkeypatch.setattr("dpt_cli.engine.choice.has_bf16", lambda: has_bf16)
    assert resolve_engine("auto", "cpu", "bf16") == auto
    assert resolve_engine("torch", "cpu", "bf16") == "torch"
    if openvino is None:
        with pytest.raises(DeviceError, match="--precision fp32"):
            resolve_engine("openvino", "cpu", "bf16")
    else:
        assert resolve_engine("openvino", "cpu", "bf16") == openvino


def test_torch_does_not_emulate_it_in_silence(
    dpt: FrontDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("dpt_cli.engine.choice", "dpt_cli.predict.load"):
        monkeypatch.setattr(f"{module}.has_bf16", lambda: False)
    printed, _ = depth(dpt, "bf16", "maps")
    assert "no bf16 in hardware" in printed
    assert "device: cpu, bf16" in printed


@pytest.mark.usefixtures("conversions")
def test_fp32_is_never_passed_off_as_bf16(dpt: FrontDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    # As where OpenVINO has no kernels for it: it computes in fp32, without an error.
    monkeypatch.setattr("dpt_cli.engine.choice.has_bf16", lambda: True)

    def in_fp32(conversion: Conversion, notify: Notify, **_options: bool) -> tuple[Any, object]:
        return compile_network(conversion, notify, in_bf16=False)

    monkeypatch.setattr("dpt_cli.engine.openvino.engine.compile_network", in_fp32)
    words = ("depth", dpt.photograph(), "--engine", "openvino", "--precision", "bf16")
    assert "not in bf16" in dpt(*words, code=1).stderr


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx512f avx512_bf16\n", True),
        ("processor\t: 0\nflags\t\t: fpu amx_bf16 amx_tile\n", True),
        ("processor\t: 0\nFeatures\t: fp asimd i8mm bf16\n", True),
        ("processor\t: 0\nflags\t\t: fpu avx512f avx512_vnni\n", False),
        ("processor\t: 0\n", None),
        (None, None),
    ],
)
def test_the_cpu_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cpuinfo: str | None, expected: bool | None
) -> None:
    if cpuinfo is not None:
        (tmp_path / "cpuinfo").write_text(cpuinfo)
    monkeypatch.setattr(host, "_PROC", tmp_path)
    assert host.has_bf16() is expected
