"""A run over thousands of pictures, some of them bad, with kills, a full disk and flat memory.

DPT_STRESS_PICTURES sets how many (2000); -s prints the report.
"""

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bad_files import add_trouble, fill
from dpt_cli.formats.files import is_temporary
from small_models import files, row, to_toml

pytestmark = pytest.mark.slow

_NUM_PICTURES = int(os.environ.get("DPT_STRESS_PICTURES", "2000"))
_NUM_KILLS = 20


class Night:
    """A folder of pictures, a small network, and the command that does them all."""

    def __init__(self, home: Path) -> None:
        self.home, self.pictures = home, home / "pictures"
        # One thread: the networks are small, and OpenMP's spin where cores are shared.
        self.environment = {**os.environ, "HF_HOME": str(home / "hf")}
        (home / "weights.pt").write_bytes(files("depth")["authors.pt"])
        (home / "registry.toml").write_text(
            to_toml({"depth": {"small": row("depth", [], default=True)}})
        )

    def start(self, output: Path, *inputs: Path) -> subprocess.Popen[bytes]:
        given = map(str, inputs or (self.pictures,))
        words = [sys.executable, "-m", "dpt_cli", "depth", *given, "-o", str(output)]
        chosen = ["--registry", "registry.toml", "--weights", "weights.pt"]
        formats = ["--format", "color,npy", "--batch-size", "4"]
        return subprocess.Popen(
            [*words, *chosen, *formats],
            cwd=self.home,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def run(self, output: Path, *inputs: Path) -> int:
        return self.start(output, *inputs).wait()


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    night = Night(tmp_path_factory.mktemp("night"))
    fill(night.pictures, _NUM_PICTURES)
    return night


@pytest.fixture(scope="module")
def trouble(night: Night) -> tuple[set[str], set[str]]:
    return add_trouble(night.pictures / "trouble")


@pytest.fixture(scope="module")
def whole(night: Night, trouble: tuple[set[str], set[str]]) -> Path:
    """Return the output of a run that nothing interrupted."""
    output = night.home / "whole"
    started = time.monotonic()
    assert night.run(output) == 3
    print(f"\n{_NUM_PICTURES} pictures and trouble: {time.monotonic() - started:.0f} s")
    return output


def _contents(folder: Path) -> dict[str, str]:
    """Return every output's hash; what a run keeps for itself aside."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("manifest.jsonl", ".dpt.lock")
    }


def _temporary(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if is_temporary(path))


def test_bad_files_fail_and_odd_ones_do_not(
    night: Night, whole: Path, trouble: tuple[set[str], set[str]]
) -> None:
    bad, good = trouble
    last: dict[str, str] = {}
    for line in (whole / "manifest.jsonl").read_text().splitlines():
        record = json.loads(line)
        last[record["input"]["path"]] = record["state"]
    place = os.path.realpath(night.pictures / "trouble")
    states = {Path(path).name: state for path, state in last.items() if path.startswith(place)}
    assert {name for name, state in states.items() if state == "failed"} == bad
    assert {name for name, state in states.items() if state == "done"} == good
    assert sum(state == "done" for state in last.values()) == _NUM_PICTURES + len(good)


def test_killed_again_and_again_it_ends_with_the_same_bytes(night: Night, whole: Path) -> None:
    output = night.home / "killed"
    dice = random.Random(20)
    num_kills = 0
    while num_kills < _NUM_KILLS:
        process = night.start(output)
        # Torch takes seconds to come: most kills fall into the work, some before it.
        time.sleep(dice.uniform(2.0, 9.0))
        if process.poll() is not None:
            # All done already: from the start, so that every kill finds work.
            shutil.rmtree(output)
            continue
        process.send_signal(signal.SIGKILL)
        process.wait()
        num_kills += 1
        finished = _contents(output) if output.exists() else {}
        known = _contents(whole)
        torn = [
            name
            for name, digest in finished.items()
            if not is_temporary(Path(name)) and known[name] != digest
        ]
        assert not torn
    assert night.run(output) == 3
    assert _contents(output) == _contents(whole)
    assert not list(_temporary(output))


def test_each_kill_is_mended_by_one_more_run(
    night: Night, trouble: tuple[set[str], set[str]]
) -> None:
    inputs = (night.pictures / "000", night.pictures / "trouble")
    whole, output = night.home / "few-whole", night.home / "few-killed"
    started = time.monotonic()
    assert night.run(whole, *inputs) == 3
    seconds = time.monotonic() - started
    dice = random.Random(4)
    num_done = []
    for _ in range(_NUM_KILLS):
        process = night.start(output, *inputs)
        # Torch takes the first third of the time to come.
        time.sleep(dice.uniform(0.3, 1.0) * seconds)
        process.kill()
        process.wait()
        num_done.append(len(list(output.rglob("*.npy"))) if output.exists() else 0)
        assert night.run(output, *inputs) == 3
        assert _contents(output) == _contents(whole)
        assert not list(_temporary(output))
        shutil.rmtree(output)
    print(f"\nphotographs done at each kill: {num_done}")


def test_a_second_run_does_nothing_but_the_failures(night: Night, whole: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*.png")}
    assert night.run(whole) == 3
    assert {path: path.stat().st_mtime_ns for path in whole.rglob("*.png")} == before


def test_a_full_disk_leaves_no_partial_file(night: Night, whole: Path) -> None:
    disk = night.home / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        assert night.run(disk / "out") in (1, 3)
        known = _contents(whole)
        finished = _contents(disk / "out")
        assert finished
        assert all(known[name] == digest for name, digest in finished.items())
        assert not list(_temporary(disk))
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_memory_is_flat(night: Night) -> None:
    few, many = night.home / "few", night.home / "many"
    folders = sorted(path for path in night.pictures.iterdir() if path.name.isdigit())
    peaks = []
    for output, inputs in ((few, folders[:2]), (many, folders)):
        words = [sys.executable, "-m", "dpt_cli", "depth", *map(str, inputs), "-o", str(output)]
        process = subprocess.Popen(
            [*words, "--registry", "registry.toml", "--weights", "weights.pt", "-q"],
            cwd=night.home,
            env=night.environment,
            stdout=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        peaks.append(usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))
    print(f"\npeak memory: {peaks[0] / 1e6:.0f} MB for 200, {peaks[1] / 1e6:.0f} MB for all")
    # Job lists and the manifest's memory grow by a few hundred bytes a picture.
    assert peaks[1] - peaks[0] < 60e6
