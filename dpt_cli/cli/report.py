"""What a run says: paths on stdout, everything else on stderr."""

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import click

from dpt_cli.batch import Done, Failed
from dpt_cli.maps import DepthMap, LabelMap
from dpt_cli.plan import Job

if TYPE_CHECKING:
    from rich.progress import Progress

_SECONDS_BETWEEN_LINES = 10.0


class Report:
    """Tells of a run as it goes: a bar on a terminal, a plain line now and then elsewhere.

    Attributes:
        num_done: Photographs whose files are all written.
        num_failed: Photographs that failed.
        num_files: Files written.
    """

    def __init__(self, total: int, quiet: bool, verbose: bool) -> None:
        self.num_done = self.num_failed = self.num_files = 0
        self._total = total
        self._quiet = quiet
        self._verbose = verbose
        self._started = self._last_line = time.monotonic()
        self._progress: Progress | None = None

    def __enter__(self) -> "Report":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    def say(self, line: str) -> None:
        """Write one line for the user."""
        if not self._quiet:
            click.echo(line, err=True)

    def begin(self) -> None:
        """Start the clock and, on a terminal, the bar: the network is ready."""
        self._started = self._last_line = time.monotonic()
        if self._quiet or self._total < 2 or not sys.stderr.isatty():
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        self._progress = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            # Paths meant for a pipe must not be drawn on the terminal instead.
            redirect_stdout=sys.stdout.isatty(),
        )
        # Photographs that did not decode may have failed before.
        self._progress.add_task("", total=self._total, completed=self.num_done + self.num_failed)
        self._progress.start()

    def done(self, outcome: Done[DepthMap] | Done[LabelMap]) -> None:
        """Tell of a photograph that is done."""
        self.num_done += 1
        self.num_files += len(outcome.job.outputs)
        for path in outcome.job.outputs.values():
            click.echo(_printable(path))
        result = outcome.result
        if self._verbose:
            height, width = result.network_hw
            self.say(f"{outcome.job.photograph}: {width} x {height} px, {result.precision}")
        self._advance()

    def redone_in_fp32(self, job: Job, precision: str) -> None:
        """Tell that half precision gave no finite numbers."""
        self.say(f"{job.photograph}: {precision} gave NaN or infinity; done again in fp32")

    def failed(self, outcome: Failed) -> None:
        """Tell of a photograph that failed, quiet or not."""
        self.num_failed += 1
        reason = str(outcome.error)
        path = str(outcome.job.photograph)
        click.echo(f"Failed: {reason if path in reason else f'{path}: {reason}'}", err=True)
        self._advance()

    def _advance(self) -> None:
        if self._progress is not None:
            self._progress.advance(self._progress.task_ids[0])
            return
        now = time.monotonic()
        count = self.num_done + self.num_failed
        if now - self._last_line >= _SECONDS_BETWEEN_LINES and count < self._total:
            self._last_line = now
            self.say(f"{count} of {self._total}, {self._speed()}")

    def _speed(self) -> str:
        elapsed = max(time.monotonic() - self._started, 1e-9)
        rate = (self.num_done + self.num_failed) / elapsed
        return f"{rate:.1f} a second" if rate >= 1 else f"{1 / max(rate, 1e-9):.1f} s each"

    def summary(self, folder: Path, lines: Sequence[str]) -> None:
        """Say how it ended: how many, where, how fast, and what the numbers are."""
        elapsed = time.monotonic() - self._started
        self.say(
            f"{self.num_done} of {self._total} done, {_counted(self.num_files)} in {folder}, "
            f"{elapsed:.1f} s ({self._speed()})"
        )
        for line in lines:
            self.say(line)
        if self.num_failed:
            click.echo(f"{self.num_failed} of {self._total} failed; see above.", err=True)


def _counted(num_files: int) -> str:
    return "1 file" if num_files == 1 else f"{num_files} files"


def _printable(path: Path) -> str:
    # A name that is no UTF-8, or that stdout's encoding lacks, must not end the run.
    encoding = sys.stdout.encoding or "utf-8"
    return os.fsencode(path).decode("utf-8", "replace").encode(encoding, "replace").decode(encoding)
