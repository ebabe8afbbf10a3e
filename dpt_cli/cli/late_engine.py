"""An engine that loads itself when it is first needed, and what a command does with its output."""

import threading
from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from dpt_cli.checkpoint.fetch import hush_hub, locate
from dpt_cli.checkpoint.specs import CheckpointSpec
from dpt_cli.cli import memory
from dpt_cli.cli.options import RunOptions
from dpt_cli.cli.report import Report
from dpt_cli.engine import Engine, RawOutput
from dpt_cli.formats.files import Writer
from dpt_cli.predict.load import Weights, find_weights, load_engine
from dpt_cli.predict.predictor import MapT, Prepared

RGB = npt.NDArray[np.uint8]

Finish = Callable[[RawOutput, Prepared, CheckpointSpec, str], MapT]
"""Turns a raw output into a map, given its photograph, the weights' row and their label."""

Write = Callable[[str, Writer, MapT, RGB | None], None]
"""Writes a map in one format into a file, given the photograph where it was kept."""


class LateEngine:
    """An engine that is downloaded for the first batch: no input that decodes, no download."""

    def __init__(self, spec: CheckpointSpec, options: RunOptions, report: Report) -> None:
        self._spec = spec
        self._options = options
        self._report = report
        self._weights: Weights | None = None
        self._engine: Engine | None = None
        self._error: Exception | None = None
        self._lock = threading.RLock()

    def __call__(self, images: npt.NDArray[np.float32]) -> list[RawOutput]:
        """Run a batch, as any engine does."""
        return self._load()(images)

    def load(self) -> int:
        """Load it, or wait until it is loaded; return how many batches keep it busy."""
        self._load()
        self._report.begin()
        return self.num_at_once

    @property
    def _is_here(self) -> bool:
        return self._options.weights is not None or locate(self._spec) is not None

    def load_ahead(self) -> None:
        """Load in the background, while photographs decode, what needs no download."""
        if self._is_here:
            # A daemon: whoever interrupts a run does not wait for weights nobody will use.
            threading.Thread(target=self._try_to_load, daemon=True).start()

    def _try_to_load(self) -> None:
        with self._lock:
            try:
                self._load()
            except Exception as error:  # noqa: BLE001  # the first batch raises it again
                self._error = error

    def _load(self) -> Engine:
        with self._lock:
            if self._error is not None:
                raise self._error
            if self._engine is None:
                options, weights = self._options, self.weights
                self._report.say(f"Loading {weights.path.name}")
                self._engine = load_engine(
                    self._spec,
                    weights,
                    options.device,
                    options.precision,
                    options.engine,
                    self._report.say,
                    cuda_graphs=options.cuda_graphs,
                )
                memory.loaded(keep_freed=self._engine.device == "cpu")
            return self._engine

    @property
    def weights(self) -> Weights:
        """The weights file, fetched where it is not on this disk."""
        with self._lock:
            if self._weights is None:
                options, say = self._options, self._report.say
                hush_hub(progress_bars=not options.quiet)
                if not options.offline and not self._is_here:
                    say(f"Downloading the weights of {self._spec.id}")
                self._weights = find_weights(
                    self._spec, options.weights, offline=options.offline, notify=say
                )
            return self._weights

    @cached_property
    def expected_sha256(self) -> str:
        """The hash of the weights; a dry run asks the registry rather than download them."""
        if self._options.dry_run and not self._is_here:
            return next((source.sha256 for source in self._spec.sources), None) or ""
        return self.weights.sha256

    @property
    def device(self) -> str:
        """Where it runs; empty before it is loaded."""
        return self._engine.device if self._engine else ""

    @property
    def precision(self) -> str:
        """The arithmetic asked for; empty before it is loaded."""
        return self._engine.precision if self._engine else ""

    @property
    def num_at_once(self) -> int:
        """How many batches keep it busy; 1 before it is loaded."""
        return self._engine.num_at_once if self._engine else 1

    @property
    def remark(self) -> str:
        """What its arithmetic changes in the maps; empty before it is loaded."""
        return self._engine.remark if self._engine else ""

    def identity(self) -> dict[str, str]:
        """Return the model, its weights and the device, for machines."""
        weights = self.weights
        return {"model": self._spec.id, "weights_sha256": weights.sha256, "device": self.device}

    def facts(self) -> Sequence[str]:
        """Say which weights made the maps, how they were checked, and what the numbers mean."""
        if self._engine is None:
            return ()
        return (
            f"weights: {self.weights.label} (checked against: {self.weights.checked})",
            f"device: {self.device}, {self.precision}",
            *([f"precision: {self.remark}"] if self.remark else []),
            f"numbers: {self._spec.meaning}",
        )
