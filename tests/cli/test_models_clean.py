"""`dpt models clean` lists what killed runs left behind, and removes it only when asked."""

import json
import os
import time
from pathlib import Path

import pytest
from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined]  # lazy

from dpt_cli.checkpoint.integrity import converted_path
from front_door import FrontDoor
from small_models import COMMIT, REPO

OTHER_REPO = "models--Another--model"


def put(path: Path, age_s: float = 7200, size: int = 5_000_000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        stream.truncate(size)
    then = time.time() - age_s
    os.utime(path, (then, then))
    for folder in (path.parent, path.parent.parent):
        os.utime(folder, (then, then))
    return path


@pytest.fixture
def left(dpt: FrontDoor, home: Path) -> dict[str, Path]:
    """Return a leftover of each kind."""
    repo = home / "hub" / f"models--{REPO.replace('/', '--')}"
    conversion = f"{'a' * 16}-{'b' * 8}-int8"
    stamp = home / "dpt" / "verified" / "gone.pt-0123456789abcdef.json"
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(json.dumps({"path": str(home / "gone.pt"), "sha256": "0" * 64}))
    return {
        "release": put(home / "dpt" / "weights" / "large.pt.part"),
        "ours": put(repo / "blobs" / f"{'c' * 64}.dpt.incomplete"),
        "theirs": put(repo / "blobs" / f"{'c' * 64}.0123abcd.incomplete"),
        "killed": put(home / "dpt" / "converted" / f"{conversion}-2.x1y2" / "0" / "m.bin").parents[
            1
        ],
        "old": put(home / "dpt" / "converted" / f"{conversion}-0" / "m.bin").parent,
        "stamp": stamp,
    }


@pytest.fixture
def kept(home: Path, left: dict[str, Path]) -> list[Path]:
    """Return files that look like leftovers and are not."""
    converted = home / "dpt" / "converted"
    return [
        put(home / "hub" / OTHER_REPO / "blobs" / f"{'c' * 64}.incomplete"),
        put(home / "hub" / f"models--{REPO.replace('/', '--')}" / "blobs" / ("d" * 64)),
        put(
            home
            / "hub"
            / f"models--{REPO.replace('/', '--')}"
            / "snapshots"
            / COMMIT
            / "x.incomplete"
        ),
        put(home / "dpt" / "weights" / "own.pt"),
        put(converted_path("a" * 64, "an architecture") / "m.bin"),
        put(converted_path("e" * 64, "an architecture").with_suffix(".young") / "m.bin", age_s=10),
        put(converted / "my notes.old" / "m.bin"),
        put(home / "elsewhere.part"),
    ]


def test_leftovers_are_listed_with_sizes_and_stay(
    dpt: FrontDoor, left: dict[str, Path], kept: list[Path]
) -> None:
    result = dpt("models", "clean")
    lines = result.stdout.splitlines()
    for path in left.values():
        assert len([line for line in lines if f" {path} " in line]) == 1
        assert path.exists()
    assert len(lines) == len(left)
    assert "5.0 MB" in lines[0]
    assert "--yes" in result.stderr


def test_leftovers_are_removed_when_asked_and_nothing_else(
    dpt: FrontDoor, left: dict[str, Path], kept: list[Path]
) -> None:
    dpt("models", "clean", "--yes")
    assert not any(path.exists() for path in left.values())
    assert all(path.exists() for path in kept)
    assert "nothing" in dpt("models", "clean").stdout


def test_what_is_downloaded_right_now_stays(
    dpt: FrontDoor, home: Path, left: dict[str, Path]
) -> None:
    locks = home / "hub" / ".locks" / f"models--{REPO.replace('/', '--')}"
    locks.mkdir(parents=True)
    with (
        WeakFileLock(home / "dpt" / "weights" / ".large.pt.lock"),
        WeakFileLock(locks / f"{'c' * 64}.lock"),
    ):
        dpt("models", "clean", "--yes")
    assert {name for name, path in left.items() if path.exists()} == {"release", "ours", "theirs"}


def test_links_are_not_followed(dpt: FrontDoor, home: Path, tmp_path: Path) -> None:
    own = put(tmp_path / "own" / "m.bin").parent
    converted = home / "dpt" / "converted"
    converted.mkdir(parents=True)
    (converted / f"{'a' * 16}-{'b' * 8}-fp32-0").symlink_to(own)
    inside = put(converted / f"{'f' * 16}-{'b' * 8}-fp32-0" / "m.bin").parent
    (inside / "link").symlink_to(own)
    then = time.time() - 7200
    os.utime(inside, (then, then))
    os.utime(inside / "link", (then, then), follow_symlinks=False)
    dpt("models", "clean", "--yes")
    assert (own / "m.bin").exists()
    assert not inside.exists()


def test_nothing_to_clean_is_said(dpt: FrontDoor) -> None:
    assert "nothing" in dpt("models", "clean").stdout
