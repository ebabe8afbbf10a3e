"""The settings and results of a benchmark, as plain data with stable keys."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from dpt_cli.checkpoint.specs import CheckpointSpec
from dpt_cli.predict.preprocess import network_size

Status = Literal["measured", "skipped", "out of memory", "failed"]

RANDOM = "random"
"""The description of weights that are not on this disk and were replaced by random ones."""

_SHORTEST, _LONGEST = 5, 95  # percentiles of the timed runs


@dataclass(frozen=True)
class Setting:
    """What one row of a benchmark measures.

    Attributes:
        spec: The weights' row of the registry.
        target_hw: The size that the network size aims at [px].
        batch_size: Images per call.
        precision: `fp32`, `fp16`, `bf16` or `int8`.
    """

    spec: CheckpointSpec
    target_hw: tuple[int, int]
    batch_size: int
    precision: str

    @property
    def network_hw(self) -> tuple[int, int]:
        """Return the timed size [px]: the target's own shape, sides in whole patches."""
        return network_size(
            self.target_hw, self.target_hw, self.spec.multiple_of, self.spec.input.resize
        )

    @property
    def num_pixels(self) -> int:
        """Return the pixels of one image."""
        height, width = self.network_hw
        return height * width

    def __str__(self) -> str:
        height, width = self.network_hw
        return f"{self.spec.name} {width}×{height}, batch {self.batch_size}, {self.precision}"


@dataclass(frozen=True)
class Memory:
    """Peak memory while a row ran [bytes]; None if the system does not report it.

    Attributes:
        host_peak: Peak of the whole process.
        host_growth: The part of it above the process with its network loaded.
        gpu_peak: Peak of torch's tensors on the GPU, weights included.
    """

    host_peak: int | None = None
    host_growth: int | None = None
    gpu_peak: int | None = None


@dataclass(frozen=True)
class Operations:
    """Floating-point operations for one image; a multiplication and an addition count as two."""

    matrix: int
    convolution: int

    @property
    def total(self) -> int:
        """Return the sum."""
        return self.matrix + self.convolution


@dataclass(frozen=True)
class Row:
    """The results of one setting.

    Attributes:
        setting: What was measured.
        device: Where it ran.
        weights: A description of the weights, or `RANDOM`; None if none were loaded.
        status: `measured`, or the reason why there are no times.
        note: A remark for the user; may be empty.
        seconds: Duration of each timed call of a whole batch [s].
        memory: The memory that the calls took.
        operations: Operations for one image.
        share_of_peak: The time that the operations would take at the machine's measured peaks,
            divided by the median; 1 means as fast as the plain products.
        drift: Distance from the fp32 result at the weights' own resolution, 0 if they are equal;
            None if it was not measured.
        drift_measure: The measure of `drift`; see `dpt_cli.metrics.drift`.
    """

    setting: Setting
    device: str
    weights: str | None
    status: Status = "measured"
    note: str = ""
    seconds: tuple[float, ...] = ()
    memory: Memory = Memory()
    operations: Operations | None = None
    share_of_peak: float | None = None
    drift: float | None = None
    drift_measure: str | None = None

    @property
    def is_measured(self) -> bool:
        """Whether there are times."""
        return bool(self.seconds)

    @property
    def median_s(self) -> float:
        """Return the median of the calls [s]."""
        return float(np.median(self.seconds))

    @property
    def spread_s(self) -> tuple[float, float]:
        """Return the 5 % and 95 % percentiles of the calls [s]."""
        low, high = np.percentile(self.seconds, (_SHORTEST, _LONGEST))
        return float(low), float(high)

    @property
    def pictures_per_second(self) -> float:
        """Return the images per second, from the median."""
        return self.setting.batch_size / self.median_s

    def facts(self) -> dict[str, Any]:
        """Return all results as JSON values, always with the same keys."""
        setting, memory = self.setting, self.memory
        low, high = self.spread_s if self.is_measured else (None, None)
        return {
            "task": setting.spec.task,
            "model": setting.spec.name,
            "target_hw": list(setting.target_hw),
            "network_hw": list(setting.network_hw),
            "batch_size": setting.batch_size,
            "precision": setting.precision,
            "device": self.device,
            "weights": self.weights,
            "status": self.status,
            "note": self.note,
            "num_runs": len(self.seconds),
            "median_s": self.median_s if self.is_measured else None,
            "p5_s": low,
            "p95_s": high,
            "pictures_per_second": self.pictures_per_second if self.is_measured else None,
            "host_peak_bytes": memory.host_peak,
            "host_growth_bytes": memory.host_growth,
            "gpu_peak_bytes": memory.gpu_peak,
            "gflop": self.operations.total / 1e9 if self.operations else None,
            "share_of_peak": self.share_of_peak,
            "drift": self.drift,
            "drift_measure": self.drift_measure,
        }
