"""ADE20K's test-time protocols: a photograph at six scales, in windows, and mirrored.

DPT's own is not published beyond "multi-scale"; these are those of the code that it follows.
"""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from dpt_cli.checkpoint.specs import InputSpec
from dpt_cli.engine import Engine

if TYPE_CHECKING:
    from torch import Tensor

MultiScale = Literal["encnet", "lseg"]

_SCALES = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
# The longer side at scale 1, by the side of a window: 520 px for the published 480.
_BASE = 520 / 480


def multiscale_scores(
    engine: Engine, image: npt.NDArray[np.float32], spec: InputSpec, protocol: MultiScale
) -> npt.NDArray[np.float32]:
    """Return the summed scores of all classes at every pixel, (num_classes, H, W).

    Args:
        engine: A loaded segmentation network.
        image: The photograph at its own size, float32 (3, H, W), normalised.
        spec: Mean, standard deviation, and the side of a window [px].
        protocol: `encnet` sums exp(logits) of windows, `lseg` the logits.

    Source: zhanghang1989/PyTorch-Encoding, encoding/models/sseg/base.py, `MultiEvalModule`;
    isl-org/lang-seg, additional_utils/models.py.
    """
    whole = torch.from_numpy(image)[None]
    height, width = image.shape[1:]
    window_px = min(spec.target_hw)
    total: Tensor | None = None
    for scale in _SCALES:
        long_px = math.ceil(round(_BASE * window_px) * scale)
        # parity: sides are rounded half up, as int(x + 0.5), not half to even.
        if height > width:
            size_hw = long_px, int(width * long_px / height + 0.5)
        else:
            size_hw = int(height * long_px / width + 0.5), long_px
        scaled = _resized(whole, size_hw)
        scores = _resized(_in_windows(engine, scaled, spec, window_px, protocol), (height, width))
        total = scores if total is None else total.add_(scores)
    assert total is not None
    return total[0].numpy()


def _in_windows(
    engine: Engine, scaled: "Tensor", spec: InputSpec, window_px: int, protocol: MultiScale
) -> "Tensor":
    """Return the mean scores of all windows over a scaled photograph, (1, num_classes, h, w)."""
    height, width = scaled.shape[2:]
    padded = _padded(scaled, spec, window_px)
    total: Tensor | None = None
    visits = torch.zeros(padded.shape[2:])
    for rows, columns in _windows(padded.shape[2], padded.shape[3], window_px):
        part = _padded(padded[:, :, rows, columns], spec, window_px)
        scores = _scores(engine, part, protocol)
        if total is None:
            total = torch.zeros(1, scores.shape[1], *padded.shape[2:])
        num_rows, num_columns = rows.stop - rows.start, columns.stop - columns.start
        total[:, :, rows, columns] += scores[:, :, :num_rows, :num_columns]
        visits[rows, columns] += 1
    assert total is not None
    return (total / visits)[:, :, :height, :width]


def _windows(height: int, width: int, window_px: int) -> Iterator[tuple[slice, slice]]:
    """Yield windows two thirds of their side apart; the last of a row or column may be cut off."""
    stride = int(window_px * 2 / 3)
    for top in range(0, max(math.ceil((height - window_px) / stride), 0) * stride + 1, stride):
        rows = slice(top, min(top + window_px, height))
        for left in range(0, max(math.ceil((width - window_px) / stride), 0) * stride + 1, stride):
            yield rows, slice(left, min(left + window_px, width))


def _scores(engine: Engine, window: "Tensor", protocol: MultiScale) -> "Tensor":
    """Return the scores of a window and its mirror image, (1, num_classes, h, w)."""
    both = torch.cat([window, window.flip(3)]).numpy()
    plain, mirrored = (torch.from_numpy(raw.values) for raw in engine(both))
    logits = (plain + mirrored.flip(2))[None]
    return logits.exp_() if protocol == "encnet" else logits


def _padded(image: "Tensor", spec: InputSpec, window_px: int) -> "Tensor":
    """Pad a photograph with black at the right and below to a window's size at least."""
    below, right = (max(0, window_px - side) for side in image.shape[2:])
    if not (below or right):
        return image
    black = [-mean / std for mean, std in zip(spec.mean, spec.std, strict=True)]
    planes = [
        F.pad(image[:, i : i + 1], (0, right, 0, below), value=value)
        for i, value in enumerate(black)
    ]
    return torch.cat(planes, dim=1)


def _resized(image: "Tensor", size_hw: tuple[int, int]) -> "Tensor":
    return F.interpolate(image, size=size_hw, mode="bilinear", align_corners=True)
