"""Networks made ready on a device: float32 (B, 3, h, w) in, raw float32 output out."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class RawOutput:
    """A network's output for one image.

    Attributes:
        values: float32 (h, w) raw depth or (num_classes, h, w) logits.
        precision: The arithmetic it was computed in: `fp32`, `fp16`, `bf16` or `int8`.
    """

    values: npt.NDArray[np.float32]
    precision: str


class Engine(Protocol):
    """Anything that runs a loaded network."""

    @property
    def name(self) -> str:
        """What computes: `torch` or `openvino`."""

    @property
    def device(self) -> str:
        """Where it runs, in words for the user."""

    @property
    def precision(self) -> str:
        """The arithmetic asked for: `fp32`, `fp16`, `bf16` or `int8`."""

    @property
    def remark(self) -> str:
        """How its arithmetic changes the maps; empty if only by rounding."""

    @property
    def num_at_once(self) -> int:
        """How many threads may call it at once to keep it busy."""

    def __call__(self, images: npt.NDArray[np.float32]) -> list[RawOutput]:
        """Run a batch, float32 (B, 3, h, w), normalised; return one result per image."""
