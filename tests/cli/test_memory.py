"""What a process does with unused memory, each case in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]


def run(script: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=_ROOT
    )
    return done.stdout.split()


# Pages that the system brings for 64 MB that were used before and freed.
FAULTS = """
import gc, resource
from dpt_cli.cli import main, memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    bytearray(b"1") * 64_000_000
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
"""


def test_cycles_are_collected_again_once_the_network_is_loaded_and_after_the_command() -> None:
    script = """
with memory.own_process():
    print(gc.isenabled(), gc.get_freeze_count() > 0)
    memory.loaded(keep_freed=False)
    print(gc.isenabled(), gc.get_freeze_count() > 0)
print(gc.isenabled())
try:
    main(["config", "--json"])
except SystemExit:
    print("end", gc.isenabled())
"""
    words = run(FAULTS + script)
    assert words[:5] == ["False", "False", "True", "True", "True"]
    assert words[-2:] == ["end", "True"]


def test_another_process_is_left_as_it_is() -> None:
    script = """
before = faults()
memory.loaded(keep_freed=True)
print(gc.isenabled(), gc.get_freeze_count(), faults() > before / 2)
"""
    assert run(FAULTS + script) == ["True", "0", "True"]


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc has the setting")
def test_freed_memory_is_used_again_without_page_faults() -> None:
    script = """
print(faults())
with memory.own_process():
    memory.loaded(keep_freed=True)
    faults()
    print(faults())
"""
    before, after = map(int, run(FAULTS + script))
    if before < 1000:
        pytest.skip("this C library keeps freed memory by itself")
    assert after < before / 10
