"""An engine that is loaded when it is first needed."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from dpt_cli.checkpoint.fetch import Notify, locate
from dpt_cli.checkpoint.specs import CheckpointSpec
from dpt_cli.engine import Engine, RawOutput
from dpt_cli.pipeline.settings import EngineSettings
from dpt_cli.predict.load import Weights, find_weights, load_engine


class LazyEngine:
    """An engine that the first batch downloads: without a readable photograph nothing is."""

    def __init__(
        self,
        spec: CheckpointSpec,
        settings: EngineSettings,
        notify: Notify,
        on_loaded: Callable[[Engine], None] = lambda _engine: None,
    ) -> None:
        """Store what to load.

        Args:
            spec: The weights' row.
            settings: How to run it.
            notify: Takes one line for the user.
            on_loaded: Called once with the engine, in the thread that loaded it.
        """
        self._spec, self._settings = spec, settings
        self._notify, self._on_loaded = notify, on_loaded
        self._weights: Weights | None = None
        self._engine: Engine | None = None
        self._error: Exception | None = None
        self._lock = threading.RLock()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what to load, not the network: another process loads it when it needs it."""
        return LazyEngine, (self._spec, self._settings, _ignore)

    def __call__(self, images: npt.NDArray[np.float32]) -> list[RawOutput]:
        """Run a batch, as any engine does."""
        return self.load()(images)

    @property
    def is_loaded(self) -> bool:
        """Whether it has been loaded."""
        return self._engine is not None

    @property
    def is_here(self) -> bool:
        """Whether the weights are on this disk."""
        return self._settings.weights is not None or locate(self._spec) is not None

    def load_ahead(self) -> None:
        """Start to load in the background, unless that needs a download."""
        if self.is_here:
            # A daemon thread: an interrupted run does not wait for it.
            threading.Thread(target=self._try_to_load, daemon=True).start()

    def _try_to_load(self) -> None:
        with self._lock:
            try:
                self.load()
            except Exception as error:  # noqa: BLE001  # load() raises it again
                self._error = error

    def load(self) -> Engine:
        """Return the engine, loading it or waiting for it where needed.

        Raises:
            DptError: The weights cannot be downloaded or do not fit, or the device cannot be used.
        """
        with self._lock:
            if self._error is not None:
                raise self._error
            if self._engine is None:
                settings, weights = self._settings, self.weights
                self._notify(f"Loading {weights.path.name}")
                self._engine = load_engine(
                    self._spec,
                    weights,
                    settings.device,
                    settings.precision,
                    settings.engine,
                    self._notify,
                    cuda_graphs=settings.cuda_graphs,
                )
                self._on_loaded(self._engine)
            return self._engine

    def num_at_once(self) -> int:
        """Load the engine and return how many batches keep it busy."""
        return self.load().num_at_once

    @property
    def weights(self) -> Weights:
        """The weights file, downloaded where it is not on this disk."""
        with self._lock:
            if self._weights is None:
                settings = self._settings
                if self._spec.sources and not settings.offline and not self.is_here:
                    self._notify(f"Downloading the weights of {self._spec.id}")
                self._weights = find_weights(
                    self._spec, settings.weights, offline=settings.offline, notify=self._notify
                )
            return self._weights


def _ignore(_line: str) -> None:
    pass
