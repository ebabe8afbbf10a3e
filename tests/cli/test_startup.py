"""What a start costs: help and completion import nothing heavy."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "timm", "cv2", "matplotlib", "transformers")

# Runs `dpt` and prints on the last line of stderr which heavy modules it imported.
SCRIPT = f"""
import sys
from dpt_cli.cli import main
try:
    main(sys.argv[1:])
finally:
    print("imported:", *[name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""


def started(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HF_HOME": str(folder / "home"), **variables}
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**environment, "PYTHONPATH": str(Path(__file__).parents[2])},
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--help",), "Commands:"),
        (("--version",), "dpt "),
        (("depth", "--help"), "--colormap"),
        (("segment", "--help"), "--classes"),
        (("bench", "--help"), "--resolution"),
        (("models", "list"), "hybrid-kitti"),
        (("models", "list", "--json"), '"cached": false'),
    ],
    ids=" ".join,
)
def test_a_light_command_imports_nothing_heavy(
    tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    done = started(tmp_path, *arguments)
    assert done.returncode == 0
    assert words in done.stdout
    assert done.stderr.splitlines()[-1] == "imported:"


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("dpt de", "depth"),
        ("dpt models p", "pull"),
        ("dpt depth --format npy,pf", "npy,pfm"),
        ("dpt segment --classes wal", "wall"),
    ],
)
def test_completion_offers_words_and_imports_nothing_heavy(
    tmp_path: Path, typed: str, offered: str
) -> None:
    position = str(len(typed.split()) - 1)
    done = started(tmp_path, _DPT_COMPLETE="bash_complete", COMP_WORDS=typed, COMP_CWORD=position)
    assert f"plain,{offered}" in done.stdout.splitlines()
    assert done.stderr.splitlines()[-1] == "imported:"


def test_completion_can_be_installed(tmp_path: Path) -> None:
    assert "_DPT_COMPLETE=bash_complete" in started(tmp_path, _DPT_COMPLETE="bash_source").stdout


def test_the_first_message_comes_before_torch(tmp_path: Path) -> None:
    (tmp_path / "a.pgm").write_bytes(b"P5 2 2 255\n" + bytes(4))
    done = started(tmp_path, "depth", "a.pgm", "--weights", "nowhere.pt")
    assert done.returncode == 4
    first, error, hint, imported = done.stderr.splitlines()
    assert first == "1 photograph, DPT-Hybrid (MIX 6)"
    assert error == "Error: no weights file nowhere.pt"
    assert "--model tiny" in hint
    assert "torch" not in imported


def test_the_first_message_waits_for_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "a.pgm").write_bytes(b"P5 2 2 255\n" + bytes(4))
    script = """
import sys
import click
heavy = {"numpy", "cv2", "torch", "matplotlib", "huggingface_hub", "rich"}
echo = click.echo
def spy(message=None, **keywords):
    echo(message, **keywords)
    print("had imported:", *sorted(heavy & set(sys.modules)), file=sys.stderr)
    sys.exit(0)
click.echo = spy
from dpt_cli.cli import main
main(["depth", "a.pgm"])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stderr.splitlines() == ["1 photograph, DPT-Hybrid (MIX 6)", "had imported:"]


def test_python_m_is_dpt(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dpt_cli", "nonsense"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("Usage: dpt ")
