"""Standard streams that are closed, full or no longer read, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from front_door import FrontDoor, written_in

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has /dev/full")


def shell(line: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash that starts with $DPT; the exit code is that of its first program."""
    environment = {
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "DPT": f"{sys.executable} -m dpt_cli",
    }
    return subprocess.run(
        ["bash", "-c", f"{line}\nexit ${{PIPESTATUS[0]}}"],
        cwd=folder,
        env={**os.environ, **environment, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("$DPT models list >&-", 1),
        ("$DPT models list >/dev/full", 1),
        ("$DPT depth --help >/dev/full", 1),
        ("$DPT config --json >/dev/full", 1),
        ("$DPT models list --json | (exec <&-; sleep 1)", 141),
        ("$DPT models list 2>&-", 0),
        ("$DPT models list 2>/dev/full", 0),
        ("$DPT models list >&- 2>&-", 1),
        ("$DPT models list <&- >/dev/null", 0),
        ("$DPT depth no-such.png 2>/dev/full", 3),
        ("$DPT depth --no-such 2>&-", 2),
    ],
)
def test_what_cannot_be_printed_is_an_exit_code_and_no_traceback(
    tmp_path: Path, line: str, code: int
) -> None:
    done = shell(line, tmp_path)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    says = code == 1 and "2>" not in line
    assert ("standard output" in done.stderr) is says


@pytest.mark.parametrize(
    ("redirect", "code"),
    [("| (exec <&-; sleep 3)", 141), (">/dev/full 2>/dev/full", 1), ("<&- >&- 2>&-", 1)],
)
def test_a_run_goes_on_whoever_reads_its_paths(dpt: FrontDoor, redirect: str, code: int) -> None:
    num_photographs = 12
    for number in range(num_photographs):
        dpt.photograph(f"in/{number}.png", 32, 32)
    words = f"depth in -o out --registry {dpt.registry} --weights {dpt.weights()} --engine torch"
    done = shell(f"$DPT {words} {redirect}", dpt.desk)
    assert done.returncode == code, done.stderr
    assert len(written_in(dpt.desk / "out")) == num_photographs
    assert "Traceback" not in done.stderr
    # Nothing else was opened under the number of a stream that was closed.
    (record, *_) = (dpt.desk / "out" / "manifest.jsonl").read_text().splitlines()
    assert record.startswith("{")


def test_bytes_that_do_not_arrive_are_an_error(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    words = f"--registry {dpt.registry} --weights {dpt.weights()} --engine torch"
    done = shell(f"$DPT depth a.png -o - {words} >&-", dpt.desk)
    assert done.returncode == 1
    assert "standard output" in done.stderr


def test_some_failed_beats_a_reader_that_is_gone(dpt: FrontDoor) -> None:
    (dpt.desk / "bad.png").write_text("no picture")
    words = f"depth bad.png --json --registry {dpt.registry} --weights {dpt.weights()}"
    assert shell(f"$DPT {words} >/dev/full", dpt.desk).returncode == 3
