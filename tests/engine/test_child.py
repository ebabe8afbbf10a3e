"""Processes of our own: no code from the folder the user is in, or that PYTHONPATH hints at."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from dpt_cli.engine.child import run_module
from front_door import picture

_ROOT = Path(__file__).parents[2]
_PLANTED = ("numpy.py", "json.py", "openvino.py", "nncf.py", "sitecustomize.py", "dpt_cli/__init__")


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """Return a folder whose modules leave a mark when they run."""
    folder = tmp_path / "trap"
    for name in _PLANTED:
        path = (folder / name).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"open({str(folder / 'marker')!r}, 'a').write(__name__)\n")
    return folder


@pytest.mark.parametrize("entries", [[], [""], ["", "."], ["trap"]], ids=str)
def test_a_module_runs_no_code_from_the_users_folder(
    trap: Path, entries: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trap)
    # As `python -m` and an interactive Python have it.
    monkeypatch.setattr(sys, "path", [*entries, str(trap), *sys.path])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", ".", str(trap)]))
    # Without arguments it fails, once it has imported everything but NNCF.
    done = run_module("dpt_cli.engine.openvino.int8")
    assert done.returncode
    assert "dpt_cli/engine/openvino/int8.py" in done.stderr.replace(os.sep, "/")
    assert not (trap / "marker").exists()


def test_it_runs_in_an_empty_folder_that_goes(tmp_path: Path) -> None:
    done = run_module("timeit", "-n1", "-r1", "import os; print(os.getcwd(), os.listdir())")
    folder, listing = done.stdout.splitlines()[0].rsplit(" ", 1)
    assert listing == "[]"
    assert Path(folder) != Path.cwd()
    assert not Path(folder).exists()


def test_quantising_from_a_program_in_such_a_folder_runs_none_of_it(
    trap: Path, tmp_path: Path
) -> None:
    """Quantise what is not there, so that it ends before NNCF, which takes long."""
    pytest.importorskip("openvino")
    program = (
        "from pathlib import Path\n"
        "from dpt_cli.engine.openvino.files import Conversion\n"
        "from dpt_cli.engine.openvino.int8 import quantize\n"
        "source = Conversion(Path('nowhere').absolute(), {'of': {}})\n"
        f"quantize(source, [], [], Path({str(tmp_path / 'int8')!r}))\n"
    )
    done = _run_in(trap, tmp_path, program)
    assert "cannot be quantised" in done.stderr
    assert "FileNotFoundError" in done.stderr
    assert not (trap / "marker").exists()


@pytest.mark.slow
def test_dpt_with_a_dpt_toml_in_such_a_folder_runs_none_of_it(trap: Path, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    pytest.importorskip("nncf")
    (trap / "dpt.toml").write_text('precision = "int8"\nengine = "auto"\n')
    Image.fromarray(picture(96, 64)).save(trap / "photo.png")
    words = ("depth", "photo.png", "--model", "tiny", "-o", "out")
    done = _run_in(trap, tmp_path, "from dpt_cli.cli import main\nmain()\n", *words)
    assert done.returncode == 0, done.stderr
    assert "int8" in done.stderr
    assert (trap / "out" / "photo_depth.png").is_file()
    assert not (trap / "marker").exists()


def _run_in(
    folder: Path, tmp_path: Path, program: str, *words: str
) -> subprocess.CompletedProcess[str]:
    """Run a program in a folder as a console script runs: its own folder is first, not that one."""
    script = tmp_path / "scripts" / "dpt"
    script.parent.mkdir()
    script.write_text(program)
    environment = {**os.environ, "HF_HOME": str(tmp_path / "home"), "PYTHONPATH": str(_ROOT)}
    for name in ("DPT_ENGINE", "PYTHONSAFEPATH"):
        environment.pop(name, None)
    return subprocess.run(
        [sys.executable, str(script), *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
