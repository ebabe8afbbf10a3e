"""How a depth map is compared with the truth, by name: nothing here computes."""

from dataclasses import dataclass
from typing import Literal

Alignment = Literal["inverse-depth", "scale", "median", "none"]
Crop = Literal["none", "garg", "eigen-kitti", "eigen-nyu", "kitti-benchmark"]
Resize = Literal["minimal", "lower_bound", "upper_bound"]  # as in `InputSpec`

ALIGNMENTS: tuple[Alignment, ...] = ("inverse-depth", "scale", "median", "none")
CROPS: tuple[Crop, ...] = ("none", "garg", "eigen-kitti", "eigen-nyu", "kitti-benchmark")
RESIZES: tuple[Resize, ...] = ("minimal", "lower_bound", "upper_bound")


@dataclass(frozen=True)
class Protocol:
    """How a depth map is compared with the truth.

    Attributes:
        measures: Names of measures, the one the field reports first.
        alignment: What a prediction is given before its errors count.
        cap_m: Truth from here on does not count, and no prediction lies beyond [m]; None for no
            limit on the truth, and the farthest truth of each picture for the prediction.
        min_m: Truth up to here does not count, and no prediction is nearer [m].
        crop: The part of the truth that counts.
        photo_crop: The part of the photograph that the network gets.
        resize: Which side of the photograph meets the network's resolution; None for the weights'
            own rule.
        multiple_of: What both sides of the network size are multiples of [px], where the patches
            allow it; None for the weights' own.
        is_bilinear: Whether the network's output is brought to the photograph's size bilinearly,
            instead of in the weights' own way.
        num_pictures: How many pictures the published figures are of; None where there are none.
        note: What is not known of the authors' own measurement; empty where nothing is.
    """

    measures: tuple[str, ...]
    alignment: Alignment = "inverse-depth"
    cap_m: float | None = None
    min_m: float = 0.0
    crop: Crop = "none"
    photo_crop: Crop = "none"
    resize: Resize | None = None
    multiple_of: int | None = None
    is_bilinear: bool = False
    num_pictures: int | None = None
    note: str = ""
