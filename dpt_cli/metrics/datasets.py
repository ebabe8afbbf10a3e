"""How depth is measured on each data set: what is aligned, capped, cropped and counted, as data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from dpt_cli.metrics.alignment import Alignment
from dpt_cli.metrics.valid import Crop

InputRule = Literal["larger", "smaller", "minimal"]
INPUT_RULES: tuple[InputRule, ...] = ("larger", "smaller", "minimal")
ProtocolName = Literal["zero-shot", "metric"]

_ERRORS = ("abs_rel", "sq_rel", "rmse", "rmse_log", "log10", "silog")
_DELTAS = ("delta1", "delta2", "delta3")


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
        input_rule: Which side of the photograph the network's resolution means; `minimal` is the
            rule of the authors' scripts.
        multiple_of: What both sides of the network size are multiples of [px].
        num_pictures: How many pictures the published figures are of; None where there are none.
        note: What is not known of the authors' own measurement; empty where nothing is.
    """

    measures: tuple[str, ...]
    alignment: Alignment = "inverse-depth"
    cap_m: float | None = None
    min_m: float = 0.0
    crop: Crop = "none"
    photo_crop: Crop = "none"
    input_rule: InputRule = "larger"
    multiple_of: int = 32
    num_pictures: int | None = None
    note: str = ""


_ABS_REL = ("abs_rel", "bad_pixels", *_DELTAS, "rmse", "rmse_log", "log10", "silog")
_BAD_PIXELS = ("bad_pixels", "abs_rel", *_DELTAS, "rmse", "rmse_log", "log10", "silog")
# No number depends on the floor: it keeps logarithms finite (utils/eval_with_pngs.py of BTS).
_METRIC_MIN_M = 1e-3

_INPUT_NOTE = (
    "the input rule is that of MiDaS' paper; which one DPT's table 1 used is not published"
)

# Source: MiDaS (arXiv:1907.01341), §6 and supplement; DPT, table 1.
ZERO_SHOT: Mapping[str, Protocol] = {
    "nyu": Protocol(_BAD_PIXELS, cap_m=10, num_pictures=654, note=_INPUT_NOTE),
    "kitti": Protocol(
        _BAD_PIXELS,
        cap_m=80,
        input_rule="smaller",
        num_pictures=161,
        note="whether DPT's table 1 used whole pictures or their 1216 by 352 pixels at the bottom "
        "is not published",
    ),
    "eth3d": Protocol(_ABS_REL, cap_m=72, num_pictures=454, note=_INPUT_NOTE),
    "sintel": Protocol((*_ABS_REL, "boundary_f1"), cap_m=72, num_pictures=1064, note=_INPUT_NOTE),
    "tum": Protocol(
        _BAD_PIXELS,
        cap_m=10,
        num_pictures=1815,
        note="which 1,815 frames DPT's table 1 is of is not published",
    ),
    "diw": Protocol(
        ("whdr",),
        num_pictures=74441,
        note="'>' is read as: the first point is farther. A WHDR above 0.5 would mean the reverse",
    ),
    "middlebury": Protocol((*_ABS_REL, "boundary_f1")),
}

# Source: isl-org/DPT, EVALUATION.md; cogaplex-bts/bts, utils/eval_with_pngs.py.
METRIC: Mapping[str, Protocol] = {
    "nyu": Protocol(
        (*_DELTAS, *_ERRORS),
        alignment="none",
        cap_m=10,
        min_m=_METRIC_MIN_M,
        crop="eigen-nyu",
        input_rule="minimal",
        num_pictures=654,
    ),
    "kitti": Protocol(
        (*_DELTAS, *_ERRORS),
        alignment="none",
        cap_m=80,
        min_m=_METRIC_MIN_M,
        crop="garg",
        photo_crop="kitti-benchmark",
        input_rule="minimal",
        num_pictures=652,
    ),
}

PROTOCOLS: Mapping[ProtocolName, Mapping[str, Protocol]] = {
    "zero-shot": ZERO_SHOT,
    "metric": METRIC,
}

# Of one's own photographs: as `dpt depth` makes its maps.
OWN = Protocol((*_ABS_REL, "sq_rel", "boundary_f1"), input_rule="minimal", multiple_of=16)

DATASETS = tuple(ZERO_SHOT)

# The drives of KITTI's official validation split. The 161 pictures of the zero-shot protocol are
# those of the Eigen test split that lie in them.
KITTI_VALIDATION_DRIVES = frozenset(
    {
        *("2011_09_26_drive_0002_sync", "2011_09_26_drive_0013_sync"),
        *("2011_09_26_drive_0020_sync", "2011_09_26_drive_0023_sync"),
        *("2011_09_26_drive_0036_sync", "2011_09_30_drive_0016_sync"),
        "2011_10_03_drive_0047_sync",
    }
)
