"""The tables, commands and links of README.md and docs/ are true."""

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest

import dpt_cli
from documents import PAGES, Block, blocks
from dpt_cli.cli import dpt
from readme import GENERATED, README, ROOT, generated

_TEXT = README.read_text(encoding="utf-8")
_BLOCKS = [block for page in PAGES for block in blocks(page)]
_LINES = sorted({line for block in _BLOCKS for line in block.commands})
_TARGETS = set(re.findall(r"^make ([a-z-]+)|`make ([a-z-]+)`", _TEXT, re.MULTILINE))


@pytest.mark.parametrize("page", GENERATED, ids=lambda page: page.name)
def test_generated_parts_are_current(page: Path) -> None:
    text, current = generated(page)
    assert text == current, "run 'python tests/readme.py --write'"


def test_readme_fits_on_a_few_screens() -> None:
    assert len(_TEXT.splitlines()) <= 150


@pytest.mark.parametrize("line", [line for line in _LINES if line.startswith("dpt ")])
def test_a_command_parses(line: str) -> None:
    command: click.Command = dpt
    words = shlex.split(line)[1:]
    if "<" in words:
        words = words[: words.index("<")]
    # With its settings: click keeps the help option a command is first made with.
    context = click.Context(dpt, **dpt.context_settings)
    while isinstance(command, click.Group):
        name, found, words = command.resolve_command(context, words)
        assert found is not None
        command, context = found, click.Context(found, info_name=name, parent=context)
    command.make_context(command.name, words, parent=context)


def test_there_are_commands() -> None:
    assert len(_LINES) >= 25


def test_install_lines_work_from_a_checkout() -> None:
    """Nothing is installed by a name under which it was never published."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    known = {f".[{name}]" for name in extras["optional-dependencies"]} | {"."}
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    wanted = set(re.findall(r"pip install '?([^'\s`]+)", text))
    assert {".", ".[openvino]", ".[int8]"} <= wanted <= known


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = {name for found in _TARGETS for name in found if name}
    assert {"demo", "test", "docs", "picture"} <= targets
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


@pytest.mark.parametrize(
    "block", [b for b in _BLOCKS if b.language == "python"], ids=lambda block: block.place
)
def test_python_compiles_and_names_exist(block: Block) -> None:
    compile(block.text, block.place, "exec")
    for name in re.findall(r"dpt_cli\.(\w+)", block.text):
        if name != "errors":
            assert hasattr(dpt_cli, name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_linked_files_exist(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if not Path(page.parent, link).exists()]
    assert not missing


def test_the_picture_is_small() -> None:
    assert (ROOT / "docs" / "picture.jpg").stat().st_size < 300_000


def test_the_citation_names_this_version_and_the_paper() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {dpt_cli.__version__}\n" in citation
    assert "Vision Transformers for Dense Prediction" in citation
    # Only the person that LICENSE names.
    (holder,) = re.findall(r"Copyright \(c\) \d+ (.+)", (ROOT / "LICENSE").read_text())
    assert f"\nauthors:\n  - name: {holder}\n" in citation


def test_the_site_builds_without_warnings_and_asks_no_other_server(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="MkDocs Material, which builds the site, is optional")
    build = ["-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, *build], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert {page.with_suffix(".html").name for page in PAGES} - {"README.html"} <= {
        page.name for page in pages
    }
    for page in pages:
        html = page.read_text(encoding="utf-8")
        tags = re.findall(r"<(?:script|img|link|iframe)\b[^>]*>", html)
        asked = [tag for tag in tags if re.search(r"(?:src|href)=[\"']?(?:https?:)?//", tag)]
        assert not [tag for tag in asked if 'rel="canonical"' not in tag]
