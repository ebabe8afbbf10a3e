"""One label map against its truth: how many pixels of each class got which."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dpt_cli.errors import InputError
from dpt_cli.evaluation.pairs import Pair
from dpt_cli.evaluation.truth import LabelFile
from dpt_cli.maps import LabelMap
from dpt_cli.metrics.segmentation import confusion

NUM_CLASSES = 150


@dataclass(frozen=True)
class LabelScorer:
    """Scores label maps."""

    def __call__(
        self, label_map: LabelMap, _photo_hw: tuple[int, int] | None, pair: Pair
    ) -> Mapping[str, Any]:
        """Return the counts of a map: `counts`, rows of true class, predicted class, pixels.

        Raises:
            InputError: The truth cannot be read, has another size, or has no labelled pixel.
        """
        truth = pair.truth
        if not isinstance(truth, LabelFile):
            raise InputError(f"{truth.path} holds depth, not classes")
        wanted = truth.read()
        if wanted.shape != label_map.labels.shape:
            raise InputError(
                f"its truth is {wanted.shape[1]} by {wanted.shape[0]} pixels, the map "
                f"{label_map.labels.shape[1]} by {label_map.labels.shape[0]}: classes cannot be "
                "resized"
            )
        counts = confusion(label_map.labels, wanted, NUM_CLASSES)
        if not counts.any():
            raise InputError("no pixel of its truth is labelled")
        cells = np.argwhere(counts)
        rows = np.column_stack([cells, counts[counts > 0]])
        return {"counts": rows.tolist(), "num_pixels": int(counts.sum())}


def counts_of(scores: Mapping[str, Any]) -> npt.NDArray[np.int64]:
    """Return the counts of a picture, int64 (150, 150), rows by truth."""
    counts = np.zeros((NUM_CLASSES, NUM_CLASSES), np.int64)
    rows = np.array(scores["counts"], np.int64).reshape(-1, 3)
    counts[rows[:, 0], rows[:, 1]] = rows[:, 2]
    return counts
