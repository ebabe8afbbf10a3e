"""What a process does with memory that nobody needs: each in a process of its own."""

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


def test_cycles_are_collected_again_once_the_network_is_loaded_and_after_the_command() -> None:
    script = """
import gc
from dpt_cli.cli import main
from dpt_cli.cli.memory import collect_from_now_on, rare_collection
with rare_collection():
    print(gc.isenabled(), gc.get_freeze_count() > 0)
    collect_from_now_on()
    print(gc.isenabled(), gc.get_freeze_count() > 0)
print(gc.isenabled())
try:
    main(["config", "--json"])
except SystemExit:
    print("end", gc.isenabled())
"""
    words = run(script)
    assert words[:5] == ["False", "False", "True", "True", "True"]
    assert words[-2:] == ["end", "True"]


def test_a_collector_that_is_on_stays_as_it_is() -> None:
    script = """
import gc
from dpt_cli.cli.memory import collect_from_now_on
collect_from_now_on()
print(gc.isenabled(), gc.get_freeze_count())
"""
    assert run(script) == ["True", "0"]


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc has the setting")
def test_freed_memory_is_used_again_without_page_faults() -> None:
    script = """
import resource
from dpt_cli.cli.memory import keep_freed_memory

def faults_of_64_megabytes():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    bytearray(b"1") * 64_000_000
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults_of_64_megabytes()
print(faults_of_64_megabytes())
keep_freed_memory()
faults_of_64_megabytes()
print(faults_of_64_megabytes())
"""
    before, after = map(int, run(script))
    if before < 1000:
        pytest.skip("this C library keeps freed memory by itself")
    assert after < before / 10
