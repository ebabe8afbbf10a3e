"""An engine that loads itself when it is first needed, and what a command does with its output."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dpt_cli.api import Weights, find_weights, load_engine
from dpt_cli.batch import RGB
from dpt_cli.checkpoint.fetch import hush_hub, locate
from dpt_cli.cli.options import RunOptions
from dpt_cli.cli.report import Report
from dpt_cli.engine import Engine, RawOutput
from dpt_cli.predict import MapT, Prepared
from dpt_cli.specs import CheckpointSpec

Finish = Callable[[RawOutput, Prepared, CheckpointSpec, str], MapT]
"""Turns a raw output into a map, given its photograph, the weights' row and their label."""

Write = Callable[[MapT, RGB, Mapping[str, Path]], None]
"""Writes a map's files, given the photograph and the paths by format."""


class LateEngine:
    """An engine that is loaded with the first batch: where no input decodes, nothing is fetched."""

    def __init__(self, spec: CheckpointSpec, options: RunOptions, report: Report) -> None:
        self._spec = spec
        self._options = options
        self._report = report
        self._weights: Weights | None = None
        self._engine: Engine | None = None

    def __call__(self, images: npt.NDArray[np.float32]) -> list[RawOutput]:
        """Run a batch, as any engine does."""
        if self._engine is None:
            self._report.say(f"Loading {self.weights.path.name}")
            options = self._options
            self._engine = load_engine(self._spec, self.weights, options.device, options.precision)
            self._report.begin()
        return self._engine(images)

    @property
    def weights(self) -> Weights:
        """The weights file, fetched where it is not on this disk."""
        if self._weights is None:
            options, say = self._options, self._report.say
            hush_hub(progress_bars=not options.quiet)
            if options.weights is None and not options.offline and locate(self._spec) is None:
                say(f"Downloading the weights of {self._spec.id}")
            self._weights = find_weights(
                self._spec, options.weights, offline=options.offline, notify=say
            )
        return self._weights

    def expected_sha256(self) -> str:
        """Return the hash of the weights; a dry run asks the registry rather than download them."""
        options = self._options
        if options.dry_run and options.weights is None and locate(self._spec) is None:
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
            f"numbers: {self._spec.meaning}",
        )
