"""Photographs with measured depth that are not trained on, and their errors."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from dpt_cli.evaluation.truth import DepthFile, DisparityFile
from dpt_cli.metrics.alignment import align
from dpt_cli.metrics.depth import abs_rel, within
from dpt_cli.metrics.valid import valid_pixels
from dpt_cli.photos.decode import read_rgb

DEPTH_CAP_M = 10.0
# Middlebury 2014 Motorcycle at a quarter of its size: focal length [px], baseline [m], and the
# difference between the two cameras' principal points [px].
_MOTORCYCLE = (994.978, 0.193001, 31.086)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Pair:
    """A photograph and its depth.

    Attributes:
        name: Its folder and file.
        rgb: (H, W, 3) uint8.
        depth: (H, W) [m], nan where nothing was measured.
    """

    name: str
    rgb: npt.NDArray[np.uint8]
    depth: Floats


def read_pairs(folder: Path) -> Iterator[Pair]:
    """Yield the eleven pairs of the model card."""
    focal_px, baseline_m, offset_px = _MOTORCYCLE
    stem = folder / "motorcycle"
    disparity = DisparityFile(stem / "motorcycle_disp.npz", focal_px, baseline_m, offset_px)
    yield _pair("motorcycle", stem / "motorcycle_left.png", disparity)
    for number in range(1, 6):
        stem = folder / "slambook2_ch5"
        yield _named(stem / f"color{number}.png", stem / f"depth{number}.pgm", 1000)
    for number in (1, 2):
        stem = folder / "slambook2_ch7"
        yield _named(stem / f"color{number}.png", stem / f"depth{number}.png", 5000)
    for frame in ("00000", "00050", "00100"):
        stem = folder / "metric3d_nyu"
        yield _named(stem / f"rgb_{frame}.jpg", stem / f"depth_{frame}.png", 1000)


def _named(photograph: Path, depth: Path, steps_per_metre: int) -> Pair:
    name = f"{photograph.parent.name}/{photograph.name}"
    return _pair(name, photograph, DepthFile(depth, steps_per_metre))


def _pair(name: str, photograph: Path, truth: DepthFile | DisparityFile) -> Pair:
    rgb = read_rgb(photograph)
    return Pair(name, rgb, truth.read((rgb.shape[0], rgb.shape[1])))


def depth_errors(inverse_depth: npt.NDArray[np.floating], truth: Floats) -> tuple[float, float]:
    """Return AbsRel and the share of pixels with delta < 1.25.

    Scale and shift of the prediction are fitted in inverse depth by least squares, as in
    `dpt eval`. Predictions beyond the cap are set to the cap, and no measured pixel is left out.

    Args:
        inverse_depth: (h, w) of any size, resized bilinearly to the truth's.
        truth: (H, W) [m], nan where unknown.
    """
    height, width = truth.shape
    resized = cv2.resize(inverse_depth.astype(np.float32), (width, height))
    counts = valid_pixels(truth)
    aligned, _ = align(resized, truth, counts, "inverse-depth", max_m=DEPTH_CAP_M)
    depth, wanted = aligned[counts], truth[counts]
    return abs_rel(depth, wanted), within(depth, wanted)


def ramp(hw: tuple[int, int]) -> Floats:
    """Return a map that only depends on the row, larger further down: a guess without looking."""
    return np.repeat(np.linspace(0, 1, hw[0])[:, None], hw[1], axis=1)
