"""How depth is measured on each data set: what is aligned, capped, cropped and counted, as data."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from dpt_cli.metrics.protocol import Protocol

ProtocolName = Literal["zero-shot", "metric"]

_ERRORS = ("abs_rel", "sq_rel", "rmse", "rmse_log", "log10", "silog")
_DELTAS = ("delta1", "delta2", "delta3")


_ABS_REL = ("abs_rel", "bad_pixels", *_DELTAS, "rmse", "rmse_log", "log10", "silog")
_BAD_PIXELS = ("bad_pixels", "abs_rel", *_DELTAS, "rmse", "rmse_log", "log10", "silog")
# No number depends on the floor: it keeps logarithms finite (utils/eval_with_pngs.py of BTS).
_METRIC_MIN_M = 1e-3

_INPUT_NOTE = (
    "the input rule is that of MiDaS' paper; which one DPT's table 1 used is not published"
)


def _zero_shot(measures: tuple[str, ...], **changed: Any) -> Protocol:
    """Return what all zero-shot protocols share: the larger side is 384 px, as others are.

    Source: MiDaS (arXiv:1907.01341), §6 and supplement; the authors' scripts resize bilinearly.
    """
    shared = Protocol(measures, resize="upper_bound", multiple_of=32, is_bilinear=True)
    return replace(shared, **changed)


# Source: as above; DPT, table 1.
ZERO_SHOT: Mapping[str, Protocol] = {
    "nyu": _zero_shot(_BAD_PIXELS, cap_m=10, num_pictures=654, note=_INPUT_NOTE),
    "kitti": _zero_shot(
        _BAD_PIXELS,
        cap_m=80,
        resize="lower_bound",
        num_pictures=161,
        note="whether DPT's table 1 used whole pictures or their 1216 by 352 pixels at the bottom "
        "is not published",
    ),
    "eth3d": _zero_shot(_ABS_REL, cap_m=72, num_pictures=454, note=_INPUT_NOTE),
    "sintel": _zero_shot((*_ABS_REL, "boundary_f1"), cap_m=72, num_pictures=1064, note=_INPUT_NOTE),
    "tum": _zero_shot(
        _BAD_PIXELS,
        cap_m=10,
        num_pictures=1815,
        note="which 1,815 frames DPT's table 1 is of is not published",
    ),
    "diw": _zero_shot(
        ("whdr",),
        num_pictures=74441,
        note="'>' is read as: the first point is farther. A WHDR above 0.5 would mean the reverse",
    ),
    "middlebury": _zero_shot((*_ABS_REL, "boundary_f1")),
}


def _metric(**changed: Any) -> Protocol:
    """Return what both metric protocols share: metres as they are, by the authors' scripts.

    Source: isl-org/DPT, EVALUATION.md; cogaplex-bts/bts, utils/eval_with_pngs.py.
    """
    shared = Protocol(
        (*_DELTAS, *_ERRORS),
        alignment="none",
        min_m=_METRIC_MIN_M,
        resize="minimal",
        multiple_of=32,
    )
    return replace(shared, **changed)


METRIC: Mapping[str, Protocol] = {
    "nyu": _metric(cap_m=10, crop="eigen-nyu", num_pictures=654),
    "kitti": _metric(cap_m=80, crop="garg", photo_crop="kitti-benchmark", num_pictures=652),
}

PROTOCOLS: Mapping[ProtocolName, Mapping[str, Protocol]] = {
    "zero-shot": ZERO_SHOT,
    "metric": METRIC,
}

# Of one's own photographs: as `dpt depth` makes its maps.
OWN = Protocol((*_ABS_REL, "sq_rel", "boundary_f1"))

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
