"""Measures one loaded network: times, memory, and drift on photographs."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dpt_cli.bench.forecast import MemoryForecast
from dpt_cli.bench.machine import PeakMemory, resident_bytes
from dpt_cli.bench.rows import RANDOM, Memory, Setting
from dpt_cli.checkpoint.specs import CheckpointSpec
from dpt_cli.engine import Engine
from dpt_cli.errors import OutOfMemoryError
from dpt_cli.maps import DepthMap, LabelMap
from dpt_cli.metrics.drift import mean_drift
from dpt_cli.photos.decode import Photo
from dpt_cli.predict.predictor import Predictor, infer

RGB = npt.NDArray[np.uint8]

# Timed calls if no number is given: at least, at most, and in between until the time is up.
_MIN_RUNS, _MAX_RUNS, _ENOUGH_S = 3, 20, 10.0
# A GPU chooses its kernels and raises its clock in the first calls.
_NUM_WARM_UPS, _NUM_WARM_UPS_ON_CPU = 3, 1


@dataclass(frozen=True)
class Model:
    """A network to measure.

    Attributes:
        spec: Its row of the registry.
        weights: A description of the weights, or `RANDOM`.
        engine: Returns the network's engine for a precision.
    """

    spec: CheckpointSpec
    weights: str
    engine: Callable[[str], Engine]

    @property
    def has_weights(self) -> bool:
        """Whether its weights are real, so that drift means something."""
        return self.weights != RANDOM


class Loaded:
    """Measures one network."""

    def __init__(self, model: Model, device: str) -> None:
        """Load the network's weights into memory and note how much is in use then."""
        self.model, self._device = model, device
        self._engines: dict[str, Engine] = {}
        self._references: list[DepthMap | LabelMap] = []
        self._drifts: dict[tuple[tuple[int, int], str], float] = {}
        config = model.spec.architecture
        # A call with the smallest input loads the weights from the disk and takes little else.
        self._tiny_hw = (2 * config.patch_px, 2 * config.patch_px)
        model.engine("fp32")(_noise(1, self._tiny_hw))
        self._peak = PeakMemory(device)
        self._resident = resident_bytes()
        num_channels = config.num_classes if config.head == "segmentation" else 1
        self._forecast = MemoryForecast(device, num_channels, self._peak.gpu_bytes() or 0)

    def objection(self, precision: str, network_hw: tuple[int, int], batch_size: int) -> str | None:
        """Return why a call will not fit into memory; None if it fits or it is unknown."""
        self._engine(precision)
        height, width = network_hw
        return self._forecast.objection(precision, height * width, batch_size)

    def times(
        self, setting: Setting, num_runs: int | None
    ) -> tuple[tuple[float, ...], Memory, str]:
        """Time calls with a batch of noise, after a warm-up.

        The engine takes and returns numpy arrays, so a call includes the copies to and from a GPU
        and ends when the GPU is done.

        Args:
            setting: What to time.
            num_runs: Number of timed calls; None for as many as fit into a few seconds.

        Returns:
            The duration of each call [s], the memory they took, and a note for the user.

        Raises:
            OutOfMemoryError: It does not fit.
            NetworkOutputError: The network gave NaN or infinity.
        """
        engine = self._engine(setting.precision)
        images = _noise(setting.batch_size, setting.network_hw)
        is_cpu = self._device.startswith("cpu")
        self._peak.restart()
        for _ in range(_NUM_WARM_UPS_ON_CPU if is_cpu else _NUM_WARM_UPS):
            outputs = engine(images)
        seconds: list[float] = []
        while not _is_enough(seconds, num_runs):
            started = time.perf_counter()
            outputs = engine(images)
            seconds.append(time.perf_counter() - started)
        memory = self._memory()
        self._forecast.learn(setting.precision, setting.num_pixels, setting.batch_size, memory)
        redone = outputs[0].precision != setting.precision
        note = (
            f"{setting.precision} gave NaN or infinity; times include the fp32 run that replaced it"
        )
        return tuple(seconds), memory, note if redone else ""

    def drift(self, setting: Setting, photographs: Sequence[RGB]) -> float:
        """Return how far a setting's maps lie from those in fp32 at the weights' own resolution.

        Raises:
            OutOfMemoryError: A photograph does not fit.
            NetworkOutputError: The network gave NaN or infinity.
        """
        own_hw = setting.spec.input.target_hw
        if not self._references:
            self._references = list(self._maps(photographs, own_hw, "fp32"))
        if (own_hw, "fp32") == (setting.target_hw, setting.precision):
            return mean_drift(self._references, self._references)
        key = setting.target_hw, setting.precision
        if key not in self._drifts:
            maps = self._maps(photographs, *key)
            self._drifts[key] = mean_drift(maps, self._references)
        return self._drifts[key]

    def _maps(
        self, photographs: Sequence[RGB], target_hw: tuple[int, int], precision: str
    ) -> Iterator[DepthMap | LabelMap]:
        predictor: Predictor[Any] = Predictor(
            self.model.spec, self._engine(precision), self.model.weights, target_hw
        )
        for rgb in photographs:
            prepared = predictor.prepare(Photo(rgb))
            reason = self.objection(precision, prepared.network_hw, 1)
            if reason is not None:
                raise OutOfMemoryError(reason)
            yield predictor.finish(infer(predictor.engine, [prepared])[0], prepared)

    def _engine(self, precision: str) -> Engine:
        if precision not in self._engines:
            engine, image = self.model.engine(precision), _noise(1, self._tiny_hw)
            engine(image)
            self._peak.restart()
            engine(image)
            # The starting point of the forecast's line.
            self._forecast.learn(precision, self._tiny_hw[0] * self._tiny_hw[1], 1, self._memory())
            self._engines[precision] = engine
        return self._engines[precision]

    def _memory(self) -> Memory:
        host, growth = self._peak.host_bytes(), None
        if host is not None and self._resident is not None:
            growth = max(0, host - self._resident)
        return Memory(host, growth, self._peak.gpu_bytes())


def _noise(batch_size: int, network_hw: tuple[int, int]) -> npt.NDArray[np.float32]:
    # Normalised photographs are about as large.
    shape = (batch_size, 3, *network_hw)
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def _is_enough(seconds: Sequence[float], num_runs: int | None) -> bool:
    if num_runs is not None:
        return len(seconds) >= num_runs
    if len(seconds) < _MIN_RUNS:
        return False
    return len(seconds) >= _MAX_RUNS or sum(seconds) >= _ENOUGH_S
