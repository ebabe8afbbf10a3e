"""What a run prints: paths or JSON on stdout, everything else on stderr."""

import json
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from dpt_cli.checkpoint.specs import CheckpointSpec
from dpt_cli.cli import console
from dpt_cli.maps.camera import DEFAULT_FOV_DEG
from dpt_cli.pipeline.plan import Job

if TYPE_CHECKING:
    from rich.progress import Progress

    from dpt_cli.pipeline.events import Done, Failed
    from dpt_cli.pipeline.lazy_engine import LazyEngine

_SECONDS_BETWEEN_LINES = 10.0
_SCHEMA = 1
_HASH = re.compile(r"\b[0-9a-f]{64}\b")
_HASH_DIGITS = 12  # enough to tell files apart; the manifest, --json and -v have all 64


class Report:
    """Prints the progress of a run: a bar on a terminal, a line now and then elsewhere.

    While the bar is shown, no paths are printed on that terminal; a pipe or file gets all of them.

    Attributes:
        num_done: Photographs whose files have all been written.
        num_skipped: Photographs that were already done.
        num_failed: Photographs that failed.
        num_files: Files written.
        num_mapped: Photographs whose map is made, and whose other files wait for the range of all.
    """

    def __init__(self, total: int, quiet: bool, verbose: bool, as_json: bool) -> None:
        self.num_done = self.num_skipped = self.num_failed = self.num_files = 0
        self.num_mapped = 0
        self._total = total
        self._quiet = quiet
        self._verbose = verbose
        self._as_json = as_json
        self._reasons: Counter[str] = Counter()
        self._num_clipped = self._num_with_clipped = 0
        self._clipped_m = 0.0
        self._num_thinned = self._num_assumed = 0
        self._started = self._last_line = time.monotonic()
        self._progress: Progress | None = None
        self._bar = ExitStack()  # closed when the bar is removed
        # The thread that loads the network shows the bar, perhaps while a photograph fails or the
        # run ends.
        self._lock = threading.Lock()
        self._is_over = False

    def __enter__(self) -> "Report":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            self._is_over = True
            self._bar.close()
            self._progress = None

    def say(self, line: str) -> None:
        """Print a line for the user, unless quiet."""
        if not self._quiet:
            console.say(line)

    def begin(self) -> None:
        """Start the clock and, on a terminal, the bar. Called when the network is ready."""
        self._started = self._last_line = time.monotonic()
        # JSON on the same terminal shows progress itself, and would break up the bar.
        is_torn = self._as_json and sys.stdout.isatty()
        if self._quiet or self._total < 2 or is_torn or not sys.stderr.isatty():
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
        from rich.text import Text

        terminal = Console(stderr=True)
        if not terminal.is_interactive:  # TERM=dumb
            return
        progress = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=terminal,
            # Paths meant for a pipe must not end up on the terminal.
            redirect_stdout=sys.stdout.isatty(),
            transient=True,  # the summary repeats the count
        )
        with self._lock:
            if self._is_over:
                return
            # Photographs that could not be decoded may have failed already.
            progress.add_task("", total=self._total, completed=self._num_ended)
            self._bar.enter_context(
                console.above_bar(lambda line: terminal.print(Text(line), soft_wrap=True))
            )
            self._bar.enter_context(progress)
            self._progress = progress

    def planned(self, job: Job) -> None:
        """Report a photograph that a run would process."""
        self._print(job, "planned", {})

    def mapped(self) -> None:
        """Count a photograph whose map is made, and whose other files wait for the range of all."""
        self.num_mapped += 1
        self._advance()

    def ignored(self, path: Path) -> None:
        """Report a file of a folder that is no photograph, with -v or --json."""
        if self._as_json:
            self._print(Job(path, {}), "ignored", {})
        if self._verbose:
            self.say(f"Ignored: {path}: not a photograph")

    def skipped(self, job: Job) -> None:
        """Report a photograph that was already done."""
        self.num_skipped += 1
        if self._as_json:
            self._print(job, "skipped", {})

    def done(self, outcome: "Done") -> None:
        """Report a photograph that is done."""
        self.num_done += 1
        self.num_files += len(outcome.job.outputs)
        clipped = outcome.facts.get("clipped_px", 0)
        self._num_clipped += clipped
        self._num_with_clipped += clipped > 0
        self._clipped_m = outcome.facts.get("clipped_m", self._clipped_m)
        self._num_thinned += outcome.facts.get("num_thinned", 0) > 0
        self._num_assumed += "assumed_fov_deg" in outcome.facts
        self._print(outcome.job, "done", outcome.facts)
        if outcome.facts.get("calibration"):
            self.say(f"{outcome.job.photograph}: {_calibrated(outcome.facts['calibration'])}")
        if self._verbose:
            height, width = outcome.facts["network_hw"]
            self.say(
                f"{outcome.job.photograph}: {width} x {height} px, {outcome.facts['precision']}"
            )
        self._advance()

    def redone_in_fp32(self, job: Job, precision: str) -> None:
        """Report that half precision gave NaN or infinity."""
        self.say(f"{job.photograph}: {precision} gave NaN or infinity, so it was repeated in fp32")

    def failed(self, outcome: "Failed") -> None:
        """Report a photograph that failed, even if quiet."""
        self.num_failed += 1
        path = str(outcome.job.photograph)
        reason = str(outcome.error).removeprefix(f"{path}: ")
        # Without its path, so that equal reasons are counted together.
        self._reasons[_without(path, reason)] += 1
        console.say(f"Failed: {path}: {reason}")
        if self._as_json:
            self._print(outcome.job, "failed", {"error": reason})
        self._advance()

    def _print(self, job: Job, status: str, facts: Mapping[str, Any]) -> None:
        if not self._as_json:
            if self._progress is not None and sys.stdout.isatty():
                return  # the bar is shown; the summary names the folder
            for path in job.outputs.values():
                console.put_path(path)
            return
        outputs = {} if status == "failed" else {k: str(p) for k, p in job.outputs.items()}
        line = {"schema": _SCHEMA, "input": str(job.photograph), "status": status}
        # ASCII: names that are not UTF-8 survive, and any terminal can show it.
        console.put(json.dumps({**line, "outputs": outputs, "error": None, **facts}))

    @property
    def _num_ended(self) -> int:
        num_made = max(self.num_done + self.num_skipped, self.num_mapped)
        return min(self._total, num_made + self.num_failed)

    def _advance(self) -> None:
        progress = self._progress
        if progress is not None:
            progress.update(progress.task_ids[0], completed=self._num_ended)
            return
        now = time.monotonic()
        if now - self._last_line >= _SECONDS_BETWEEN_LINES and self._num_ended < self._total:
            self._last_line = now
            self.say(f"{self._num_ended} of {self._total}, {self._speed()}")

    def _speed(self) -> str:
        elapsed = max(time.monotonic() - self._started, 1e-9)
        rate = (max(self.num_done, self.num_mapped) + self.num_failed) / elapsed
        return f"{rate:.1f} a second" if rate >= 1 else f"{1 / max(rate, 1e-9):.1f} s each"

    def interrupted(self) -> None:
        """Report how far the run got."""
        ended = self.num_done + self.num_skipped
        maps = f", {counted(self.num_mapped, 'map')} made" if self.num_mapped > ended else ""
        console.say(
            f"Interrupted: {ended} of {self._total} done{maps}. Run the same command to continue."
        )

    def facts(self, lines: Sequence[str]) -> None:
        """Print what made the maps, if there are any; hashes are shortened unless verbose."""
        for line in lines if self.num_done or self.num_mapped else ():
            self.say(line if self._verbose else _HASH.sub(_shortened, line))
        self._say_of_points()

    def summary(self, folder: Path, lines: Sequence[str]) -> None:
        """Print how many photographs are done, where, how fast, and what the numbers mean."""
        elapsed = time.monotonic() - self._started
        before = f", {self.num_skipped} already done" if self.num_skipped else ""
        files = f", {counted(self.num_files, 'file')}" if self.num_files else ""
        where = f" in {folder}" if self.num_done or self.num_skipped else ""
        speed = f", {elapsed:.1f} s ({self._speed()})" if self.num_done else ""
        self.say(f"{self.num_done} of {self._total} done{before}{files}{where}{speed}")
        self.facts(lines)
        if self._num_clipped:
            beyond = (
                f"are farther than {self._clipped_m:.5g} m, the most that 16 bits hold here"
                if self._clipped_m
                else "lie outside the range, and have its ends in the 16-bit file"
            )
            pixels = f"{self._num_clipped} pixels of {counted(self._num_with_clipped, 'file')}"
            self.say(f"{pixels} {beyond}; npy, npz, exr and tiff hold them")
        if self.num_failed and self._total > 1:  # the only failure is named above
            console.say(f"{self.num_failed} of {self._total} failed:")
            for reason, count in self._reasons.most_common():
                console.say(f"  {counted(count, 'file')}: {reason}")

    def _say_of_points(self) -> None:
        if self._num_assumed:
            self.say(
                f"{counted(self._num_assumed, 'photograph')} without a focal length in EXIF: the "
                f"points assume a field of view of {DEFAULT_FOV_DEG:g} degrees; give --fov"
            )
        if self._num_thinned:
            self.say(
                f"the points of {counted(self._num_thinned, 'photograph')} were thinned out; "
                "--max-points 0 keeps all"
            )


def _without(path: str, reason: str) -> str:
    """Return a reason without the path of its file, but with paths that only contain it."""
    return re.sub(rf"(?<![\w./\\-]){re.escape(path)}(?![\w/\\-]|\.\w)", "the file", reason)


def _shortened(match: re.Match[str]) -> str:
    return match[0][:_HASH_DIGITS]


def _calibrated(fit: Mapping[str, Any]) -> str:
    """Return a calibration in words: what it was fitted to, its error, and why this fit."""
    error = "error unknown, as two points leave nothing to test it on"
    if fit["error_kind"] is not None:
        size = f"{fit['error_m']:.2g} m ({fit['error_percent']:.2g} %)"
        error = f"{fit['error_kind']} error {size}"
        if fit["error_kind"] == "residual":
            error = f"the map misses the known distances by {size}"
    outliers = fit["num_outliers"]
    ignored = f", of which {counted(outliers, 'outlier')} ignored" if outliers else ""
    points = counted(fit["num_points"], "known point")
    return f"calibrated by {points}{ignored}; {error}; {fit['reason']}"


def counted(number: int, noun: str) -> str:
    """Return a number and its noun, in the plural unless the number is 1."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def what_made(
    spec: CheckpointSpec, engine: "LazyEngine | None", *, is_calibrated: bool
) -> Sequence[str]:
    """Return which weights made the maps, how they were checked, and what the numbers mean."""
    if engine is None or not engine.is_loaded:
        return ()
    weights, loaded = engine.weights, engine.load()
    return (
        f"weights: {weights.label} (checked against: {weights.checked})",
        f"device: {loaded.device}, {loaded.precision}",
        *([f"precision: {loaded.remark}"] if loaded.remark else []),
        f"numbers: {'depth in metres, by calibration' if is_calibrated else spec.meaning}",
    )
