"""The wheel contains what it needs, and runs where it is installed."""

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import venv
import zipfile
from pathlib import Path

import pytest

import dpt_cli

_ROOT = Path(__file__).parents[1]


def _run(*command: object, **environment: str) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        env={**os.environ, **environment},
        cwd=tempfile.gettempdir(),  # not here: Python would find the checkout first
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    _run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, _ROOT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def scripts(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into a fresh environment that borrows this one's dependencies."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False)
    names = {"base": str(home), "platbase": str(home)}
    site = Path(sysconfig.get_path("purelib", "venv", names))
    _run(
        sys.executable, "-m", "pip", "--python", sysconfig.get_path("scripts", "venv", names)
        + "/python", "install", "--quiet", "--no-deps", "--no-index", wheel,
    )  # fmt: skip
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return Path(sysconfig.get_path("scripts", "venv", names))


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {"dpt_cli/weights.toml", "dpt_cli/py.typed", "dpt_cli/cli/__init__.py"} <= set(names)
    photographs = {name for name in names if name.startswith("dpt_cli/bundled/photographs/")}
    assert {Path(name).name for name in photographs} == {
        "README.md", "astronaut.jpg", "coffee.jpg", "rocket.jpg",
    }  # fmt: skip
    information = f"dpt_vision-{dpt_cli.__version__}.dist-info"
    assert {name.partition("/")[0] for name in names} == {"dpt_cli", information}


def test_dpt_runs_from_the_wheel(scripts: Path) -> None:
    printed = _run(scripts / "dpt", "--version", PYTHONPATH="")
    assert printed.strip() == f"dpt {dpt_cli.__version__}"


def test_the_wheel_makes_a_map_without_a_network(scripts: Path, tmp_path: Path) -> None:
    photograph = _ROOT / "examples" / "chelsea.png"
    printed = _run(
        scripts / "dpt", "depth", photograph, "-o", tmp_path / "out", "--model", "tiny",
        PYTHONPATH="", HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path / "home"),
    )  # fmt: skip
    assert Path(printed.strip()).stat().st_size > 1000


def test_the_installed_registry_is_the_packaged_one(scripts: Path, tmp_path: Path) -> None:
    where = _run(
        scripts / "python",
        "-c",
        "import dpt_cli.checkpoint.registry as r; print(r.load_registry().path)",
        PYTHONPATH="",
    )
    assert Path(where.strip()).parent.name == "dpt_cli"
    assert _ROOT not in Path(where.strip()).parents
    rows = json.loads(_run(scripts / "dpt", "models", "list", "--json", PYTHONPATH=""))
    assert {(row["task"], row["name"]) for row in rows} >= {
        ("depth", "large"),
        ("segment", "large"),
    }
