"""A run dies at any point: what has its name is whole, and the same command makes the rest.

DPT_CRASHES sets how many kills there are at random moments (100) and at chosen steps (half).
"""

import hashlib
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from dpt_cli.formats.files import is_temporary
from front_door import picture

pytestmark = pytest.mark.slow

_NUM_KILLS = int(os.environ.get("DPT_CRASHES", "100"))
_NUM_PICTURES = 24

# Counts every step that touches a disk, and dies before step CRASH_AT: at once, or, where bytes
# are written, after half of them.
_DIES = """
import os, sys
from pathlib import Path
from dpt_cli.formats import files
from dpt_cli.pipeline import manifest

steps, last = 0, int(os.environ["CRASH_AT"])

def dies(function, half=None):
    def call(*args, **kwargs):
        global steps
        steps += 1
        if steps == last:
            if half is not None:
                half(*args)
            os._exit(137)
        return function(*args, **kwargs)
    return call

def half_a_draft(draft, data):
    write(draft, bytes(data)[: len(data) // 2])
    draft._file.flush()

write = files.Draft.write
files.Draft.write = dies(write, half_a_draft)
files.Draft.__exit__ = dies(files.Draft.__exit__)
for name in ("fsync", "link", "unlink"):
    setattr(os, name, dies(getattr(os, name)))
Path.replace = dies(Path.replace)
Path.unlink = dies(Path.unlink)
Path.mkdir = dies(Path.mkdir)

opened = manifest._opened

class Log:
    def __init__(self, file):
        self._file = file
        self.write = dies(file.write, lambda line: file.write(line[: len(line) // 2]))
    def __getattr__(self, name):
        return getattr(self._file, name)

def open_log(path, mode):
    file = opened(path, mode)
    return Log(file) if mode == "a+b" else file

manifest._opened = open_log

from dpt_cli.cli import main
try:
    main(sys.argv[1:])
finally:
    print("steps:", steps, file=sys.stderr)
"""


class Folder:
    """Pictures, and the command that does them all with the bundled network."""

    def __init__(self, home: Path) -> None:
        self.home = home
        (home / "photos").mkdir()
        for number in range(_NUM_PICTURES):
            Image.fromarray(picture(96 + number, 64, seed=number)).save(
                home / "photos" / f"{number}.png"
            )

    def start(self, output: str, crash_at: int | None = None) -> subprocess.Popen[str]:
        runs = ["-m", "dpt_cli"] if crash_at is None else ["-c", _DIES]
        words = ["depth", "photos", "-o", output, "--model", "tiny", "--format", "color,npy"]
        return subprocess.Popen(
            [sys.executable, *runs, *words, "--batch-size", "2", "--engine", "auto"],
            cwd=self.home,
            env={**os.environ, "HF_HOME": str(self.home / "hf"), "CRASH_AT": str(crash_at or 0)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, output: str) -> None:
        process = self.start(output)
        _, told = process.communicate()
        assert process.returncode == 0, told

    def contents(self, output: str) -> dict[str, str]:
        return {
            str(path.relative_to(self.home / output)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted((self.home / output).rglob("*"))
            if path.is_file() and path.name not in ("manifest.jsonl", ".dpt.lock")
        }

    def check(self, output: str, whole: dict[str, str]) -> None:
        """Check that what is there is whole, and that one more run makes the rest."""
        there = self.contents(output)
        assert not [
            name
            for name, digest in there.items()
            if not is_temporary(Path(name)) and whole[name] != digest
        ]
        self.run(output)
        assert self.contents(output) == whole


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return Folder(tmp_path_factory.mktemp("crashes"))


@pytest.fixture(scope="module")
def whole(folder: Folder) -> dict[str, str]:
    folder.run("whole")
    contents = folder.contents("whole")
    assert len(contents) == 2 * _NUM_PICTURES
    return contents


def test_it_dies_at_chosen_steps(folder: Folder, whole: dict[str, str]) -> None:
    process = folder.start("counted", crash_at=0)
    _, told = process.communicate()
    assert process.returncode == 0, told
    num_steps = int(told.rpartition("steps:")[2])
    chosen = sorted(random.Random(7).sample(range(1, num_steps), max(1, _NUM_KILLS // 2)))
    for step in chosen:
        process = folder.start("chosen", crash_at=step)
        _, told = process.communicate()
        assert process.returncode == 137, told
        folder.check("chosen", whole)
        shutil.rmtree(folder.home / "chosen")
    print(f"\n{len(chosen)} crashes at steps {chosen[0]} to {chosen[-1]} of {num_steps}")


def test_it_is_killed_at_random_moments(folder: Folder, whole: dict[str, str]) -> None:
    started = time.monotonic()
    folder.run("timed")
    seconds = time.monotonic() - started
    dice = random.Random(11)
    num_done: list[int] = []
    while len(num_done) < _NUM_KILLS:
        process = folder.start("random")
        time.sleep(dice.uniform(0.3, 1.0) * seconds)
        if process.poll() is None:
            process.kill()
            process.communicate()
            num_done.append(len(list((folder.home / "random").rglob("*.npy"))))
            if (folder.home / "random").exists():
                folder.check("random", whole)
        else:
            process.communicate()
        shutil.rmtree(folder.home / "random", ignore_errors=True)
    print(f"\n{len(num_done)} kills, maps done at each: {num_done}")
