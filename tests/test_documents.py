"""The blocks of README.md and docs/ run unchanged, those of a page in order and in one folder.

Small networks replace the published models of the same names; `tiny` is the real one.
"""

import contextlib
import io
import tomllib
from pathlib import Path

import pytest
from PIL import Image

from documents import PAGES, blocks, run
from dpt_cli.checkpoint.registry import default_registry_path
from dpt_cli.checkpoint.specs import TASKS
from front_door import FrontDoor
from readme import ROOT
from small_models import SIDE_PX, architecture

_RUNNABLE = [page for page in PAGES if any(block.is_run for block in blocks(page))]


@pytest.fixture
def reader(dpt: FrontDoor, monkeypatch: pytest.MonkeyPatch) -> FrontDoor:
    """A desk with the files that the pages speak of."""
    document = tomllib.loads(default_registry_path().read_text(encoding="utf-8"))
    for task in TASKS:
        file = "depth/model.safetensors" if task == "depth" else "segment/authors.pt"
        for name, row in document[task].items():
            if name != "tiny":
                row["architecture"] = architecture(task)
                row["input"]["target_hw"] = [SIDE_PX, SIDE_PX]
                row["sources"] = [dpt.hub_source(file)]
    dpt.rows(**document)
    monkeypatch.setenv("DPT_REGISTRY", str(dpt.registry))
    (dpt.desk / "my_copy.pt").write_bytes(dpt.weights().read_bytes())

    examples = dpt.desk / "examples"
    examples.mkdir()
    for path in sorted((ROOT / "examples").glob("*.[pj][np]g")):
        with Image.open(path) as image:  # smaller, to be quick
            image.resize((96, 64)).save(examples / path.name)
    for name in ("photo.jpg", "street.jpg", "photos/a.jpg", "photos/deeper/b.jpg"):
        dpt.photograph(name, 130, 97)
    (dpt.desk / "list.txt").write_text("photo.jpg\nphotos/a.jpg\n")
    return dpt


@pytest.mark.parametrize("page", _RUNNABLE, ids=lambda page: page.name)
def test_every_block_of_a_page_runs(page: Path, reader: FrontDoor) -> None:
    names: dict[str, object] = {}
    for block in blocks(page):
        if block.is_run:
            with contextlib.redirect_stdout(io.StringIO()):
                run(block, names)


def test_most_blocks_are_run() -> None:
    """A reason not to run a block is an exception, and short of reasons there is none."""
    found = [b for page in PAGES for b in blocks(page) if b.language not in ("text", "bibtex")]
    assert sum(block.is_run for block in found) > 2 * sum(bool(block.reason) for block in found)


def test_no_fence_is_overlooked() -> None:
    for page in PAGES:
        fences = page.read_text(encoding="utf-8").count("\n```")
        assert fences == 2 * len(blocks(page)), page
