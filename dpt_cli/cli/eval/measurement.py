"""What an evaluation measured and how: everything that decides its numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dpt_cli.cli.eval.options import EvalOptions
from dpt_cli.evaluation.summary import SEGMENTATION_MEASURES, Result
from dpt_cli.metrics.protocol import Protocol
from dpt_cli.metrics.published import Published, published

LABELS = {
    "abs_rel": "AbsRel",
    "sq_rel": "SqRel [m]",
    "rmse": "RMSE [m]",
    "rmse_log": "RMSElog",
    "log10": "log10",
    "silog": "SILog",
    "delta1": "δ1",
    "delta2": "δ2",
    "delta3": "δ3",
    "bad_pixels": "δ > 1.25 [%]",
    "boundary_f1": "boundary F1",
    "whdr": "WHDR",
    "pixel_accuracy": "pixel accuracy [%]",
    "mean_iou": "mIoU [%]",
}
"""The measures as people know them, by name."""

LARGER_IS_BETTER = frozenset(
    {"delta1", "delta2", "delta3", "boundary_f1", "pixel_accuracy", "mean_iou"}
)


@dataclass(frozen=True)
class Measurement:
    """What was measured, and how.

    Attributes:
        dataset: The data set; None for one's own pictures.
        name: `zero-shot`, `metric`, `single` or `multi-scale`.
        protocol: How depth was compared.
        is_changed: Whether options changed the protocol, so that published figures are of another.
    """

    dataset: str | None
    name: str
    protocol: Protocol
    is_changed: bool

    def published(self, result: Result, options: EvalOptions) -> Mapping[str, Published]:
        """Return the published figures that a result may stand beside."""
        is_own = options.weights is not None or options.resolution is not None
        if self.dataset is None or self.is_changed or is_own:
            return {}
        return published(result.model, self.dataset, self.name)

    def facts(self, result: Result, options: EvalOptions) -> dict[str, Any]:
        """Return everything that decides the numbers, as JSON values."""
        shared = {
            "dataset": self.dataset,
            "protocol": self.name,
            "num_pictures": len(result.scores),
            "num_pixels": result.num_pixels,
            "engine": result.engine,
            "precision": result.precision,
        }
        if result.is_segmentation:
            if result.resolution is None:
                return shared
            scales = "six scales, windows, mirrored" if self.name == "multi-scale" else "none"
            which = f"{options.protocol}: " if self.name == "multi-scale" else ""
            return shared | {"test_time_augmentation": f"{which}{scales}"}
        protocol = self.protocol
        facts = shared | {
            "alignment": protocol.alignment,
            "cap_m": protocol.cap_m,
            "min_m": protocol.min_m,
            "crop": protocol.crop,
            "photo_crop": protocol.photo_crop,
        }
        if result.resolution is None:
            return facts
        return facts | {
            "resize": result.resize,
            "multiple_of": result.multiple_of,
            "output_resized": "bilinear" if protocol.is_bilinear else "by the weights' own rule",
            "test_time_augmentation": "none",
        }


def measures_of(result: Result, protocol: Protocol) -> tuple[str, ...]:
    """Return the names of a result's measures, the one the field reports first."""
    return SEGMENTATION_MEASURES if result.is_segmentation else protocol.measures
