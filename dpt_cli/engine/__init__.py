"""Networks made ready on a device: float32 (B, 3, h, w) in, raw float32 output out."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class RawOutput:
    """What a network said of one image.

    Attributes:
        values: float32 (h, w) inverse depth or (num_classes, h, w) logits.
        precision: The arithmetic that made it: `fp32`, `fp16`, `bf16` or `int8`.
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
        """What its arithmetic changes in the maps; empty where that is rounding alone."""

    @property
    def num_at_once(self) -> int:
        """How many batches keep it busy: it may be called from so many threads."""

    def __call__(self, images: npt.NDArray[np.float32]) -> list[RawOutput]:
        """Run a batch, float32 (B, 3, h, w), normalised; one result an image."""
