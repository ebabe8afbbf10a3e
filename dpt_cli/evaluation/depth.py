"""One depth map against its truth: the scores of a picture."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from dpt_cli.errors import InputError
from dpt_cli.evaluation.pairs import Pair
from dpt_cli.evaluation.truth import LabelFile, PointPair
from dpt_cli.maps import DepthMap
from dpt_cli.metrics.alignment import align
from dpt_cli.metrics.boundary import boundary_f1
from dpt_cli.metrics.depth import MEASURES
from dpt_cli.metrics.ordinal import whdr
from dpt_cli.metrics.protocol import Protocol
from dpt_cli.metrics.valid import crop_slices, valid_pixels

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True)
class DepthScorer:
    """Scores depth maps by a protocol.

    Attributes:
        protocol: How.
    """

    protocol: Protocol

    def __call__(
        self, depth_map: DepthMap, photo_hw: tuple[int, int] | None, pair: Pair
    ) -> Mapping[str, Any]:
        """Return the scores of a map.

        Args:
            depth_map: Of the part of the photograph that the network got.
            photo_hw: Size of the whole photograph [px]; None for the map's own, or where that is
                the protocol's crop, for the truth's.
            pair: The photograph and its truth.

        Returns:
            `measures` by name, None where one has no number; `num_pixels` that counted; `scale` and
            `shift` of the alignment.

        Raises:
            InputError: The truth cannot be read, has another shape, or has no pixel that counts.
        """
        inverse_depth = _inverse_depth(depth_map)
        truth = pair.truth
        if isinstance(truth, LabelFile):
            raise InputError(f"{truth.path} holds classes, not depth")
        if isinstance(truth, PointPair):
            return _ordinal(inverse_depth, truth)
        protocol = self.protocol
        if protocol.alignment in ("median", "none") and not depth_map.is_metric:
            raise InputError(f"its map is relative: alignment {protocol.alignment} needs metres")
        map_hw = inverse_depth.shape[0], inverse_depth.shape[1]
        truth_m = truth.read(photo_hw or map_hw)
        truth_hw = truth_m.shape[0], truth_m.shape[1]
        try:
            photo_hw = photo_hw or (truth_hw if _is_crop(map_hw, truth_hw, protocol) else map_hw)
            photo_slices = crop_slices(protocol.photo_crop, photo_hw)
            is_valid = valid_pixels(
                truth_m, min_m=protocol.min_m, max_m=protocol.cap_m or np.inf, crop=protocol.crop
            )
        except ValueError as error:
            raise InputError(str(error)) from error
        if map_hw != photo_hw:
            _check_same(truth_hw, photo_hw)
            # What the network did not get does not count.
            whole, is_seen = np.zeros(photo_hw), np.zeros(photo_hw, np.bool_)
            whole[photo_slices], is_seen[photo_slices] = inverse_depth, True
            inverse_depth, is_valid = whole, is_valid & is_seen
        elif truth_hw != photo_hw:
            _check_shape(truth_hw, photo_hw)
            inverse_depth = _resized(inverse_depth, truth_hw)
        num_missing = int((~np.isfinite(inverse_depth[is_valid])).sum())
        if num_missing:
            raise InputError(f"its map has no number at {num_missing} measured pixels")
        if not is_valid.any():
            raise InputError("no pixel of its truth counts: nothing was measured within the limits")
        max_m = protocol.cap_m or float(truth_m[is_valid].max())
        depth_m, fit = align(
            inverse_depth, truth_m, is_valid, protocol.alignment, min_m=protocol.min_m, max_m=max_m
        )
        predicted, wanted = depth_m[is_valid], truth_m[is_valid]
        measures = {
            name: boundary_f1(depth_m, truth_m, is_valid)
            if name == "boundary_f1"
            else MEASURES[name](predicted, wanted)
            for name in protocol.measures
        }
        return {
            "measures": {name: _number(value) for name, value in measures.items()},
            "num_pixels": int(is_valid.sum()),
            "scale": _number(fit.scale),
            "shift": _number(fit.shift),
        }


def _ordinal(inverse_depth: Floats, truth: PointPair) -> Mapping[str, Any]:
    height, width = truth.hw
    if inverse_depth.shape != truth.hw:
        inverse_depth = _resized(inverse_depth, truth.hw)
    values = [
        inverse_depth[min(max(y, 0), height - 1), min(max(x, 0), width - 1)]
        for y, x in (truth.a_yx, truth.b_yx)
    ]
    if not np.isfinite(values).all():
        raise InputError("its map has no number at one of the two points")
    wrong = whdr(np.array(values[:1]), np.array(values[1:]), np.array([truth.is_a_nearer]))
    return {"measures": {"whdr": wrong}, "num_pixels": 2, "scale": None, "shift": None}


def _inverse_depth(depth_map: DepthMap) -> Floats:
    if not depth_map.is_metric:
        return depth_map.values
    # Cubic overshoot may bring depth to zero or below: as near as can be.
    return 1 / np.maximum(depth_map.values.astype(np.float64), 1e-8)


def _is_crop(map_hw: tuple[int, int], truth_hw: tuple[int, int], protocol: Protocol) -> bool:
    """Return whether a map has the size of the crop that a protocol gives the network."""
    if protocol.photo_crop == "none" or map_hw == truth_hw:
        return False
    rows, columns = crop_slices(protocol.photo_crop, truth_hw)
    return map_hw == (rows.stop - rows.start, columns.stop - columns.start)


def _resized(inverse_depth: Floats, hw: tuple[int, int]) -> Floats:
    return np.asarray(cv2.resize(inverse_depth, hw[::-1]), np.float64)


def _check_same(truth_hw: tuple[int, int], photo_hw: tuple[int, int]) -> None:
    if truth_hw != photo_hw:
        raise InputError(f"its truth is {_size(truth_hw)}, the photograph {_size(photo_hw)}")


def _check_shape(truth_hw: tuple[int, int], photo_hw: tuple[int, int]) -> None:
    """Refuse a truth whose shape differs by more than rounding a side to whole pixels."""
    (truth_h, truth_w), (photo_h, photo_w) = truth_hw, photo_hw
    scale = math.sqrt(truth_h * truth_w / (photo_h * photo_w))
    if abs(truth_h - scale * photo_h) > 1 or abs(truth_w - scale * photo_w) > 1:
        raise InputError(
            f"its truth is {_size(truth_hw)}, the photograph {_size(photo_hw)}: of another shape"
        )


def _size(hw: tuple[int, int]) -> str:
    return f"{hw[1]} by {hw[0]} pixels"


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
