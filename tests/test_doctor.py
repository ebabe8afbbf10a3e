"""`dpt doctor` on machines that are sound, and on machines that are not."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import Environment
from dpt_cli.doctor import engines, folder
from dpt_cli.doctor import environment as facts
from dpt_cli.doctor.check import without_secrets
from dpt_cli.doctor.engines import LIMITS, Way
from dpt_cli.engine import Engine, RawOutput
from dpt_cli.pipeline.manifest import Manifest
from dpt_cli.predict.load import load_engine
from front_door import FrontDoor, invoke

Report = dict[str, Any]


@pytest.fixture(autouse=True)
def few_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Import no package that takes many seconds."""
    packages = {"torch": "", "timm": "", "numpy": "", "no_such_package": "pip install it"}
    monkeypatch.setattr("dpt_cli.doctor.environment.PACKAGES", packages)


def examined(dpt: Callable[..., Any], *words: str, code: int = 0) -> Report:
    text = dpt("doctor", "--json", "--offline", *words, code=code).stdout
    report: Report = json.loads(text, parse_constant=pytest.fail)  # no NaN, no infinity
    return report


def checks(report: Report, group: str, status: str = "") -> list[dict[str, Any]]:
    found = [it for it in report["checks"] if it["group"] == group]
    return [it for it in found if status in ("", it["status"])]


def test_a_fresh_installation_passes_with_the_bundled_weights(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    report = examined(invoke)
    assert not [it for it in report["checks"] if it["status"] == "fail"]
    assert [it["name"] for it in checks(report, "weights", "pass")] == [
        "depth/tiny from bundled dpt_tiny-depth.safetensors"
    ]
    (bf16,) = checks(report, "engines", "pass")
    assert 0 < bf16["difference"] < bf16["limit"] == LIMITS["bf16"]
    assert {it["status"] for it in checks(report, "output folder")} == {"pass"}
    assert all(it["fix"] for it in report["checks"] if it["status"] == "not run")
    assert not Path("dpt-out").exists()
    assert report["environment"]["packages"] == {
        "torch": sys.modules["torch"].__version__,
        "timm": sys.modules["timm"].__version__,
        "numpy": np.__version__,
        "no_such_package": "not installed: pip install it",
    }


def test_weights_in_the_cache_are_checked_too(dpt: FrontDoor) -> None:
    invoke("models", "pull", "depth/small", "segment/small", "--registry", dpt.registry)
    report = examined(dpt)
    assert len(checks(report, "weights", "pass")) == 2
    names = {it["name"].partition(":")[0] for it in checks(report, "engines", "pass")}
    assert names == {"depth/small", "segment/small"}
    # People get the same.
    lines = dpt("doctor", "--offline").stdout
    assert f"package numpy: {np.__version__}" in lines
    assert all(it["name"] in lines and it["fix"] in lines for it in report["checks"] if it["fix"])


def test_a_damaged_file_in_the_cache_is_named(dpt: FrontDoor, home: Path) -> None:
    invoke("models", "pull", "depth/small", "--registry", dpt.registry)
    (file,) = dpt.weights_in(home)
    content = bytearray(file.read_bytes())
    content[-1] ^= 1  # the right name and size, and another content
    file.write_bytes(content)
    report = examined(dpt, code=1)
    (bad,) = checks(report, "weights", "fail")
    assert bad["name"].startswith("depth/small from ")
    assert "sha256" in bad["found"]
    assert bad["fix"]
    assert checks(report, "engines", "fail")  # there is nothing sound to compare with


class _Wrong:
    """An engine that computes something else."""

    device, precision, remark, num_at_once = "cpu", "fp32", "", 1

    def __init__(self, right: Engine, fault: Callable[[Any], Any]) -> None:
        self._right, self._fault = right, fault

    def __call__(self, images: Any) -> list[RawOutput]:
        return [RawOutput(self._fault(it.values), it.precision) for it in self._right(images)]


def _raise(_values: Any) -> Any:
    raise RuntimeError("CUDA error: an illegal memory access")


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        (lambda values: values * np.float32(1.001), "computes wrongly"),
        (lambda values: values[::-1], "computes wrongly"),
        (lambda values: values[:-1], "computes wrongly"),
        (lambda values: values * np.nan, "computes wrongly"),
        (_raise, "illegal memory access"),
    ],
    ids=["scaled", "upside down", "too small", "NaN", "raises"],
)
def test_an_engine_that_computes_wrongly_is_named(
    dpt: FrontDoor, monkeypatch: pytest.MonkeyPatch, fault: Callable[[Any], Any], word: str
) -> None:
    wrong = Way("torch", "cpu", "fp32")
    calls: list[None] = []

    def load(*arguments: Any) -> Engine | _Wrong:
        calls.append(None)
        # The first is the reference.
        engine = load_engine(*arguments)
        return engine if len(calls) == 1 else _Wrong(engine, fault)

    invoke("models", "pull", "depth/small", "--registry", dpt.registry)
    monkeypatch.setattr(engines, "ways", lambda: [wrong])
    monkeypatch.setattr(engines, "load_engine", load)
    report = examined(dpt, code=1)
    (bad,) = checks(report, "engines", "fail")
    assert bad["name"] == "depth/small: torch on cpu in fp32"
    assert word in bad["found"]
    assert "do not use" in bad["fix"]


def test_published_values_wait_for_weights_and_picture(dpt: FrontDoor) -> None:
    found = checks(examined(dpt), "published values")
    assert [it["status"] for it in found] == 3 * ["not run"]
    assert all("dpt models pull" in it["fix"] for it in found)


class _NoLocks(Manifest):
    """The manifest of a folder without locks."""

    def __enter__(self) -> "_NoLocks":
        super().__enter__()
        self.is_locked = False
        return self


def test_a_folder_without_locks_is_named(
    dpt: FrontDoor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(folder, "Manifest", _NoLocks)
    report = examined(dpt, "-o", str(tmp_path / "share" / "out"), code=1)
    (bad,) = checks(report, "output folder", "fail")
    assert bad["name"] == "lock"
    assert str(tmp_path) in bad["found"]


def test_an_output_folder_that_is_a_file_is_named(dpt: FrontDoor) -> None:
    (dpt.desk / "out").write_text("mine")
    report = examined(dpt, "-o", "out", code=1)
    assert [it["status"] for it in checks(report, "output folder")] == ["fail"]
    assert (dpt.desk / "out").read_text() == "mine"


@pytest.fixture
def someones_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    return str(tmp_path)


def test_a_report_holds_no_secret_and_no_home_path(
    dpt: FrontDoor, someones_home: str, environment: Environment
) -> None:
    environment.set(HF_TOKEN="hf_" + "x" * 34, HTTPS_PROXY="http://me:secret@proxy:1")
    for words in ((), ("--json",)):
        text = dpt("doctor", "--offline", *words).stdout
        assert someones_home not in text
        assert "secret" not in text.replace("without_secrets", "")
        assert "hf_" not in text
    assert "HF_TOKEN" in examined(dpt)["environment"]["variables"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("HOME/a.pt", "~/a.pt"),
        ("at HOME: HOME", "at ~: ~"),
        ("HOMELY/a", "HOMELY/a"),
        ("https://me:secret@host/x", "https://host/x"),
        ("token hf_abcDEF123", "token "),
    ],
)
def test_what_names_the_user_is_left_out(someones_home: str, text: str, shown: str) -> None:
    given = {"a": [text.replace("HOME", someones_home)]}
    assert without_secrets(given) == {"a": [shown.replace("HOME", someones_home)]}


def test_a_file_in_place_of_a_cache_is_not_writable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "file" / "hub"))
    assert not facts.environment()["caches"]["weights from the Hub"]["is_writable"]


def test_the_hub_is_asked_unless_offline(dpt: FrontDoor, environment: Environment) -> None:
    report = json.loads(dpt("doctor", "--json").stdout)
    (hub,) = checks(report, "network")
    assert (hub["name"], hub["status"]) == ("127.0.0.1", "pass")
    (hub,) = checks(examined(dpt), "network")
    assert hub["status"] == "not run"
    environment.set(HF_ENDPOINT="http://127.0.0.1:9")  # nobody listens there
    report = json.loads(dpt("doctor", "--json", code=1).stdout)
    assert [it["status"] for it in checks(report, "network")] == ["fail"]
