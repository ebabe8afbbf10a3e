"""What is measured and what was found: settings, rows, and their facts with stable keys.

Plain data: nothing here measures, prints or reads a file.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from dpt_cli.checkpoint.specs import CheckpointSpec
from dpt_cli.predict.preprocess import network_size

Status = Literal["measured", "skipped", "out of memory", "failed"]

RANDOM = "random"
"""What stands for weights where there are none on this disk."""

_SHORTEST, _LONGEST = 5, 95  # percentiles of the timed runs


@dataclass(frozen=True)
class Setting:
    """One row to measure.

    Attributes:
        spec: The weights' row.
        target_hw: What the network size aims at [px].
        batch_size: Images a call.
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
    """The most memory held while a row ran [bytes]; None where this system does not tell.

    Attributes:
        host_peak: Of the whole process.
        host_growth: Of that, what came on top of the process with its loaded network.
        gpu_peak: Of torch's tensors on the GPU, weights included.
    """

    host_peak: int | None = None
    host_growth: int | None = None
    gpu_peak: int | None = None


@dataclass(frozen=True)
class Operations:
    """Floating-point operations of one image, a multiplication and an addition as two."""

    matrix: int
    convolution: int

    @property
    def total(self) -> int:
        """Return all of them."""
        return self.matrix + self.convolution


@dataclass(frozen=True)
class Row:
    """What was found of one setting.

    Attributes:
        setting: What was measured.
        device: Where it ran.
        weights: The weights in words, or `RANDOM`; None where none were loaded.
        status: Whether there are times, and why not.
        note: What is to be known of it beside the numbers; empty for nothing.
        seconds: The timed calls, each of a whole batch [s].
        memory: What they took.
        operations: Of one image.
        share_of_peak: The time that the operations take at the machine's own measured peaks, over
            the median; 1 is a network as quick as the plain products it is made of.
        drift: How far the result lies from the fp32 result at the weights' own resolution; 0 is
            the same. None where it was not measured.
        drift_measure: What `drift` counts; see `dpt_cli.metrics.drift`.
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
        """Whether it has times."""
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
        """Return the images a second, by the median."""
        return self.setting.batch_size / self.median_s

    def facts(self) -> dict[str, Any]:
        """Return everything as JSON values, always with the same keys."""
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
