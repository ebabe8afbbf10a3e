"""Ctrl-C, once and again, at any moment of a run: exit code 130, no traceback, whole files."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dpt_cli.formats.files import is_temporary
from front_door import FrontDoor

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are sent as POSIX has them")

_NUM_PHOTOGRAPHS = 60
_NUM_SLOW = 45
# Python's own start, which nothing can guard, is over when this says so.
_SCRIPT = """
import sys
from dpt_cli.__main__ import main
print("begun", file=sys.stderr, flush=True)
main()
"""


class Run:
    """`dpt depth` of a folder in a process of its own."""

    def __init__(self, dpt: FrontDoor) -> None:
        for number in range(_NUM_PHOTOGRAPHS):
            dpt.photograph(f"in/{number}.png", 64, 64)
        self.desk = dpt.desk
        chosen = ["--registry", str(dpt.registry), "--weights", str(dpt.weights())]
        self.words = ["depth", "in", "--engine", "torch", *chosen]

    def start(self, output: str) -> subprocess.Popen[str]:
        root = str(Path(__file__).parents[2])
        process = subprocess.Popen(
            [sys.executable, "-c", _SCRIPT, *self.words, "-o", output],
            cwd=self.desk,
            env={**os.environ, "PYTHONPATH": root},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_for_line(process)
        return process

    def contents(self, output: str) -> dict[str, str]:
        """Return every picture's hash, those half written aside."""
        return {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in (self.desk / output).glob("*.png")
            if not is_temporary(path)
        }


def interrupt(process: subprocess.Popen[str], *delays_s: float) -> tuple[int, str]:
    """Send Ctrl-C after each delay; return the exit code, and what was said."""
    for delay_s in delays_s:
        time.sleep(delay_s)
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
    try:
        _, stderr = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return process.returncode, stderr


def check(code: int, stderr: str) -> None:
    assert code in (0, 130), stderr
    for word in ("Traceback", "Exception ignored", "KeyboardInterrupt", "Aborted"):
        assert word not in stderr, stderr


def wait_for_line(process: subprocess.Popen[str]) -> None:
    """Wait for the next message."""
    assert process.stderr is not None
    process.stderr.readline()


@pytest.mark.parametrize(
    "delays_s", [(0.05, 0.3), (0.1, 0.4), (0.7, 0.3, 0.1), (1.5, 0.0, 0.05)], ids=str
)
def test_again_ends_at_once_without_a_traceback(
    dpt: FrontDoor, delays_s: tuple[float, ...]
) -> None:
    process = Run(dpt).start("out")
    if delays_s[0]:
        wait_for_line(process)
    code, stderr = interrupt(process, *delays_s)
    check(code, stderr)


def test_again_ends_what_the_first_one_cannot(tmp_path: Path) -> None:
    """A long call that Python cannot stop, as of a library that compiles a network."""
    script = """
import ctypes, sys
import dpt_cli.cli as cli
def long(*_, **__):
    print("begun", file=sys.stderr, flush=True)
    mutex = ctypes.create_string_buffer(256)
    for _ in range(2):  # the second waits for ever, whatever signal comes
        ctypes.CDLL(None).pthread_mutex_lock(mutex)
cli.dpt.commands["config"].callback = long
cli.main(["config"])
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for_line(process)
    code, stderr = interrupt(process, 0.5, 0.5)
    assert (code, stderr) == (130, "")


def test_an_interrupt_that_a_destructor_swallows_still_ends_the_run(tmp_path: Path) -> None:
    script = """
import signal, time
import dpt_cli.cli as cli
class Last:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)
def swallow(*_, **__):
    Last()
    time.sleep(30)
cli.dpt.commands["config"].callback = swallow
cli.main(["config"])
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (130, "Interrupted.\n")


@pytest.mark.slow
def test_at_any_moment_files_are_whole_and_the_next_run_ends_with_the_same_bytes(
    dpt: FrontDoor,
) -> None:
    run = Run(dpt)
    code, stderr = interrupt(run.start("whole"))
    assert code == 0, stderr
    whole = run.contents("whole")
    assert len(whole) == _NUM_PHOTOGRAPHS
    dice = random.Random(7)
    codes = []
    for number in range(_NUM_SLOW):
        output = f"out{number}"
        delays_s = (dice.uniform(0.0, 4.0), *(dice.uniform(0.0, 0.6) for _ in range(2)))
        code, stderr = interrupt(run.start(output), *delays_s)
        check(code, stderr)
        codes.append(code)
        assert run.contents(output).items() <= whole.items()
        if number % 9 == 0:
            code, stderr = interrupt(run.start(output))
            assert code == 0, stderr
            assert run.contents(output) == whole
    print(f"\n{codes.count(130)} of {_NUM_SLOW} interrupted, the rest had ended")
