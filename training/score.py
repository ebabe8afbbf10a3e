"""Scores `tiny` against measured depth, beside its teachers, a constant and a ramp."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

import dpt_cli
from dpt_cli.checkpoint.registry import load_registry
from dpt_cli.checkpoint.specs import OutputSpec
from dpt_cli.model.architectures import ARCHITECTURES
from dpt_cli.predict.load import find_weights, load_engine
from dpt_cli.predict.predictor import Predictor
from training.prepare import load_photograph, read_index
from training.teachers import DepthTeacher
from training.truth import depth_errors, ramp, read_pairs

Guess = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.floating]]


def score_truth(folder: Path, guess: Guess) -> npt.NDArray[np.float64]:
    """Return AbsRel and the share with delta < 1.25 per picture, (11, 2)."""
    return np.array([depth_errors(guess(pair.rgb), pair.depth) for pair in read_pairs(folder)])


def baselines(teachers: Path) -> dict[str, Guess]:
    """Return the baselines that a depth network has to beat, and its teacher."""
    return {
        "constant": lambda rgb: np.zeros(rgb.shape[:2]),
        "ramp": lambda rgb: ramp((rgb.shape[0], rgb.shape[1])),
        "teacher at 192": DepthTeacher(teachers, 192),
        "teacher at 256": DepthTeacher(teachers, 256),
    }


def depth_guess(weights: Path | None, side_px: int) -> Guess:
    """Return `tiny` at a resolution, from a file or with the bundled weights."""
    predictor = dpt_cli.load("tiny", weights=weights, device="cpu", resolution=side_px)
    return lambda rgb: predictor(rgb).values


def correlations(cache: Path, guess: Guess) -> npt.NDArray[np.float64]:
    """Return the correlation with the teacher on each held-out photograph."""
    found = []
    for content in _held_out(cache):
        teacher = content["depth_0"].astype(np.float32)
        mine = guess(content["rgb"]).astype(np.float32)
        resized = cv2.resize(mine, teacher.shape[::-1], interpolation=cv2.INTER_AREA)
        found.append(np.corrcoef(resized.ravel(), teacher.ravel())[0, 1])
    return np.array(found)


def agreements(cache: Path, weights: Path, side_px: int) -> npt.NDArray[np.float64]:
    """Return the share of pixels with the teacher's label on each held-out photograph."""
    # The registry has no row for it, because no such weights are bundled.
    spec = replace(
        load_registry().find("depth", "tiny"),
        task="segment",
        architecture=ARCHITECTURES["tiny-segmentation"],
        output=OutputSpec("labels"),
        sources=(),
    )
    found = find_weights(spec, weights, notify=lambda _line: None)
    predictor = Predictor(spec, load_engine(spec, found, "cpu"), found.label, (side_px, side_px))
    shares = []
    for content in _held_out(cache):
        height, width = content["rgb"].shape[:2]
        labels = cv2.resize(content["labels"], (width, height), interpolation=cv2.INTER_NEAREST)
        shares.append(float(np.mean(predictor(content["rgb"]).labels == labels)))
    return np.array(shares)


def _held_out(cache: Path) -> Iterator[dict[str, npt.NDArray[np.generic]]]:
    return (load_photograph(cache, entry) for entry in read_index(cache) if entry.held_out)
