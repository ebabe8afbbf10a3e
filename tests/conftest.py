"""Markers and fixtures for every test: shared photographs, a loopback Hub and its cache."""

import importlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import huggingface_hub
import pytest
from huggingface_hub import constants

from loopback_hub import LoopbackHub

if TYPE_CHECKING:
    from front_door import FrontDoor

# Before torch is imported, here and in child processes. Networks this small gain nothing from a
# second thread, and with two test workers on two cores the threads would wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

_SHARED = Path(__file__).parents[2] / "shared" / "data"
_ASKED_FOR = {"slow": "--run-slow", "network": "--run-network"}


def pytest_addoption(parser: pytest.Parser) -> None:
    for marker, flag in _ASKED_FOR.items():
        parser.addoption(flag, action="store_true", help=f"also run tests marked {marker}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        for marker, flag in _ASKED_FOR.items():
            if item.get_closest_marker(marker) and not config.getoption(flag):
                item.add_marker(pytest.mark.skip(reason=f"{marker}: give {flag}"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    if not _SHARED.is_dir():
        pytest.skip("the folder of shared photographs is not beside this checkout")
    return _SHARED


_OTHER_VARIABLES = (
    "HF_HUB_CACHE",
    "HUGGINGFACE_HUB_CACHE",
    "HF_HUB_OFFLINE",
    "TRANSFORMERS_OFFLINE",
    "HF_TOKEN",
    "HF_TOKEN_PATH",
)


@pytest.fixture(autouse=True)
def no_settings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the developer's own settings away."""
    for name in [name for name in os.environ if name.startswith("DPT_")]:
        monkeypatch.delenv(name)
    folder = tmp_path_factory.getbasetemp() / "no-settings"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))


@pytest.fixture(autouse=True)
def torch_is_the_engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `--engine auto` mean torch in every test that does not ask for OpenVINO."""
    if "openvino" not in request.fixturenames:
        monkeypatch.setattr("dpt_cli.engine.choice.has_openvino", lambda: False)
        monkeypatch.setenv("DPT_ENGINE", "torch")


@pytest.fixture
def openvino() -> None:
    """Skip the test if OpenVINO, which is optional, is not installed."""
    pytest.importorskip("openvino")


@pytest.fixture
def conversions(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Share OpenVINO's conversions between the tests of a worker; return their folder."""
    shared = tmp_path_factory.getbasetemp() / "conversions"
    shared.mkdir(exist_ok=True)
    (home / "dpt").mkdir(parents=True, exist_ok=True)
    (home / "dpt" / "converted").symlink_to(shared, target_is_directory=True)
    return shared


@pytest.fixture
def hub() -> Iterator[LoopbackHub]:
    with LoopbackHub() as running:
        yield running


class Environment:
    """The HF_* variables as a process started now would see them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def set(self, **variables: str) -> None:
        """Set variables and have huggingface_hub read its environment again.

        It reads it when imported, and every module asks `constants` by attribute.
        """
        for name, value in variables.items():
            self._monkeypatch.setenv(name, value)
        importlib.reload(constants)


@pytest.fixture(scope="session")
def no_proxy() -> Iterator[None]:
    """Keep loopback requests away from proxies.

    Once per test run: huggingface_hub's only HTTP client reads it, and takes 0.2 s to build.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "*")
        huggingface_hub.close_session()
        yield
    huggingface_hub.close_session()


@pytest.fixture
def environment(
    no_proxy: None, hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Environment]:
    with monkeypatch.context() as patch:
        for name in _OTHER_VARIABLES:
            patch.delenv(name, raising=False)
        variables = Environment(patch)
        variables.set(
            HF_HOME=str(tmp_path / "home"),
            HF_ENDPOINT=hub.url,
            HF_HUB_DISABLE_PROGRESS_BARS="1",
        )
        yield variables
    importlib.reload(constants)


@pytest.fixture
def home(environment: Environment, tmp_path: Path) -> Path:
    """Return the folder HF_HOME names."""
    return tmp_path / "home"


@pytest.fixture
def dpt(
    home: Path, hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> "FrontDoor":
    # Imported here because it imports torch, which takes seconds.
    from front_door import FrontDoor

    desk = tmp_path / "desk"
    desk.mkdir()
    monkeypatch.chdir(desk)
    return FrontDoor(desk, tmp_path / "registry.toml", hub)
