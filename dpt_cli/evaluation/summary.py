"""What the scores of many pictures come to: means, dataset-wide counts, differences of models."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from dpt_cli.evaluation.labels import NUM_CLASSES, counts_of
from dpt_cli.metrics.bootstrap import interval, mean_interval
from dpt_cli.metrics.segmentation import mean_iou, pixel_accuracy

SEGMENTATION_MEASURES = ("mean_iou", "pixel_accuracy")


@dataclass
class Result:
    """The scores of one model at one resolution.

    Attributes:
        model: The row's name with its task, or the folder of saved maps.
        title: What it is called in tables.
        resolution: Height and width the network size aimed at [px]; None for saved maps.
        resize: Which side met it; empty for saved maps.
        multiple_of: What both sides of the network size were multiples of [px].
        engine: What computed: `torch` or `openvino`; empty where it is not known.
        precision: The arithmetic; empty where it is not known.
        weights: The weights in words; empty where they are not known.
        scores: By picture.
        num_failed: Pictures without scores.
    """

    model: str
    title: str
    resolution: tuple[int, int] | None
    resize: str = ""
    multiple_of: int | None = None
    engine: str = ""
    precision: str = ""
    weights: str = ""
    scores: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    num_failed: int = 0

    @property
    def num_pixels(self) -> int:
        """Return how many pixels counted, over all pictures."""
        return sum(scores["num_pixels"] for scores in self.scores.values())

    @property
    def is_segmentation(self) -> bool:
        """Whether the scores are counts of classes."""
        return any("counts" in scores for scores in self.scores.values())

    @property
    def num_not_positive(self) -> int:
        """Return how many fits had a scale of zero or less."""
        scales = (scores.get("scale") for scores in self.scores.values())
        return sum(scale is not None and scale <= 0 for scale in scales)

    def counts(self) -> npt.NDArray[np.int64]:
        """Return the pixels of each true and predicted class over all pictures, (150, 150)."""
        total = np.zeros((NUM_CLASSES, NUM_CLASSES), np.int64)
        for scores in self.scores.values():
            total += counts_of(scores)
        return total

    def mean(self, measure: str) -> float:
        """Return a measure of the whole set: of depth, the mean over pictures that have it."""
        if measure in SEGMENTATION_MEASURES:
            counts = self.counts()
            return mean_iou(counts) if measure == "mean_iou" else pixel_accuracy(counts)
        values = [v for v in self.values(measure, list(self.scores)) if not math.isnan(v)]
        return float(np.mean(values)) if values else float("nan")

    def values(self, measure: str, pictures: Sequence[str]) -> npt.NDArray[np.float64]:
        """Return a measure of each picture, (N,); NaN where it has no number."""
        found = (self.scores[name]["measures"][measure] for name in pictures)
        return np.array([math.nan if value is None else value for value in found])


@dataclass(frozen=True)
class Difference:
    """How much a model's measure lies above another's on the pictures that both have.

    Attributes:
        model: The model.
        other: The model that is subtracted.
        measure: The measure.
        value: The difference; NaN where no picture is common.
        low: The lower end of its 95 % bootstrap interval.
        high: The upper end.
        num_pictures: How many pictures both have.
    """

    model: str
    other: str
    measure: str
    value: float
    low: float
    high: float
    num_pictures: int


def difference(result: Result, other: Result, measure: str) -> Difference:
    """Return the paired difference of two models with its bootstrap interval over pictures."""
    common = [name for name in result.scores if name in other.scores]
    if measure in SEGMENTATION_MEASURES:
        value, low, high = _of_counts(result, other, measure, common)
    else:
        differences = result.values(measure, common) - other.values(measure, common)
        differences = differences[np.isfinite(differences)]
        value = float(differences.mean()) if differences.size else math.nan
        low, high = mean_interval(differences)
        common = common[: differences.size]
    return Difference(result.title, other.title, measure, value, low, high, len(common))


def _of_counts(
    result: Result, other: Result, measure: str, common: Sequence[str]
) -> tuple[float, float, float]:
    if not common:
        return math.nan, math.nan, math.nan
    parts = [_class_counts(result, common), _class_counts(other, common)]

    def statistic(chosen: npt.NDArray[np.intp]) -> float:
        mine, theirs = (_from_class_counts(part[chosen].sum(0), measure) for part in parts)
        return mine - theirs

    low, high = interval(statistic, len(common))
    return statistic(np.arange(len(common))), low, high


def _class_counts(result: Result, pictures: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return hits, true and predicted pixels of each class by picture, (N, 3, 150)."""
    rows = []
    for name in pictures:
        counts = counts_of(result.scores[name])
        rows.append([np.diag(counts), counts.sum(1), counts.sum(0)])
    return np.array(rows, np.int64)


def _from_class_counts(sums: npt.NDArray[np.int64], measure: str) -> float:
    hits, true, predicted = sums
    if measure == "pixel_accuracy":
        return float(100 * hits.sum() / true.sum())
    union = true + predicted - hits
    there = union > 0
    return float(100 * np.mean(hits[there] / union[there]))
