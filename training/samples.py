"""Draws training batches: crops of photographs and scenes, augmented."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from training.prepare import NUM_CLASSES_KEPT, load_photograph, read_index

WHOLE_VIEW_SHARE = 0.8
CROP_AREA = (0.6, 1.0)
ASPECT_JITTER = 0.25

Floats = npt.NDArray[np.float32]
Crop = tuple[float, float, float, float]


@dataclass(frozen=True)
class Batch:
    """The pictures of one step: photographs first, then rendered scenes.

    Attributes:
        image: (B, 3, h, w), normalised.
        inverse_depth: (B, h, w), standardized over the whole view of each crop.
        classes: (P, k), of the P photographs.
        probabilities: (P, k, h / 2, w / 2).
    """

    image: Tensor
    inverse_depth: Tensor
    classes: Tensor
    probabilities: Tensor


class TrainingSet:
    """All training pictures, in memory."""

    def __init__(self, cache: Path, scenes: Path, scene_share: float) -> None:
        entries = [entry for entry in read_index(cache) if not entry.held_out]
        loaded = (load_photograph(cache, entry) for entry in entries)
        self._photographs = [_with_standard_depth(content) for content in loaded]
        self._boxes = [entry.boxes for entry in entries]
        weights = np.array([entry.weight for entry in entries])
        self._odds = weights / weights.sum()
        self._scenes = []
        for file in sorted(scenes.glob("[0-9]*.npz")) if scene_share else ():
            with np.load(file) as content:
                self._scenes.append((content["rgb"], _standardized(content["depth_0"])))
        self._scene_share = scene_share

    def draw(self, rng: np.random.Generator, size: int, hw: tuple[int, int]) -> Batch:
        """Draw `size` pictures of `hw` pixels."""
        num_scenes = rng.binomial(size, self._scene_share) if self._scenes else 0
        num_photographs = max(1, size - num_scenes)
        images, depths, classes, probabilities = [], [], [], []
        for _ in range(num_photographs):
            number = rng.choice(len(self._photographs), p=self._odds)
            image, depth, some_classes, some = self._photograph(rng, number, hw)
            images.append(image)
            depths.append(depth)
            classes.append(some_classes)
            probabilities.append(some)
        for _ in range(size - num_photographs):
            rgb, depth = self._scenes[rng.integers(len(self._scenes))]
            image, depth = _scene(rng, rgb, depth, hw)
            images.append(image)
            depths.append(depth)
        for index, image in enumerate(images):
            if rng.random() < 0.1:
                # A reflection, as in a window; the depth stays that of the picture behind it.
                images[index] = image + rng.uniform(0, 0.3) * (images[rng.integers(size)] - image)
        stacked = np.stack([_recoloured(rng, image) for image in images])
        return Batch(
            torch.from_numpy(stacked.transpose(0, 3, 1, 2) * 2 - 1),
            torch.from_numpy(np.stack(depths)),
            torch.from_numpy(np.stack(classes)),
            torch.from_numpy(np.stack(probabilities).transpose(0, 3, 1, 2).copy()),
        )

    def _photograph(
        self, rng: np.random.Generator, number: int, hw: tuple[int, int]
    ) -> tuple[Floats, Floats, npt.NDArray[np.int64], Floats]:
        content = self._photographs[number]
        boxes = self._boxes[number]
        view = 0 if rng.random() < WHOLE_VIEW_SHARE else int(rng.integers(1, len(boxes)))
        box = boxes[view]
        height, width = content["rgb"].shape[:2]
        x0, y0, x1, y1 = _crop(rng, (box[3] - box[1]) * height, (box[2] - box[0]) * width, hw)
        left, top = round(box[0] * width + x0), round(box[1] * height + y0)
        right, bottom = round(box[0] * width + x1), round(box[1] * height + y1)
        whole = (left / width, top / height, right / width, bottom / height)
        in_box = (
            (whole[0] - box[0]) / (box[2] - box[0]),
            (whole[1] - box[1]) / (box[3] - box[1]),
            (whole[2] - box[0]) / (box[2] - box[0]),
            (whole[3] - box[1]) / (box[3] - box[1]),
        )
        image = _resized(content["rgb"][top:bottom, left:right], hw)
        depth = _cut(content[f"depth_{view}"], in_box, hw)
        half_hw = (hw[0] // 2, hw[1] // 2)
        probabilities = _cut(content["probabilities"], whole, half_hw, corners=True)
        if rng.random() < 0.5:
            image, depth, probabilities = image[:, ::-1], depth[:, ::-1], probabilities[:, ::-1]
        return image, depth, content["classes"], probabilities.reshape(*half_hw, NUM_CLASSES_KEPT)


def _with_standard_depth(
    content: dict[str, npt.NDArray[np.generic]],
) -> dict[str, npt.NDArray[np.generic]]:
    for name in [name for name in content if name.startswith("depth_")]:
        content[name] = _standardized(content[name])
    return content


def _standardized(inverse_depth: npt.NDArray[np.float16]) -> npt.NDArray[np.float16]:
    """Return a map with median 0 and mean deviation 1, clipped to -6 to 6."""
    centred = inverse_depth.astype(np.float32) - np.median(inverse_depth.astype(np.float32))
    return np.clip(centred / max(np.abs(centred).mean(), 1e-4), -6, 6).astype(np.float16)


def _scene(
    rng: np.random.Generator,
    rgb: npt.NDArray[np.uint8],
    depth: npt.NDArray[np.float16],
    hw: tuple[int, int],
) -> tuple[Floats, Floats]:
    height, width = rgb.shape[:2]
    left, top, right, bottom = (round(side) for side in _crop(rng, height, width, hw))
    image = _resized(rgb[top:bottom, left:right], hw)
    part = (left / width, top / height, right / width, bottom / height)
    cut = _cut(depth, part, hw)
    return (image[:, ::-1], cut[:, ::-1]) if rng.random() < 0.5 else (image, cut)


def _crop(rng: np.random.Generator, height: float, width: float, hw: tuple[int, int]) -> Crop:
    """Return x0, y0, x1, y1 [px] of a crop with about the aspect ratio of `hw`."""
    aspect = hw[1] / hw[0] * np.exp(rng.uniform(-ASPECT_JITTER, ASPECT_JITTER))
    largest = min(height, width / aspect)
    crop_height = largest * np.sqrt(rng.uniform(*CROP_AREA))
    crop_width = crop_height * aspect
    x, y = rng.uniform(0, width - crop_width), rng.uniform(0, height - crop_height)
    return x, y, x + crop_width, y + crop_height


def _resized(rgb: npt.NDArray[np.uint8], hw: tuple[int, int]) -> Floats:
    shrinks = rgb.shape[0] > hw[0]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(rgb, hw[::-1], interpolation=how).astype(np.float32) / 255


def _cut(
    grid: npt.NDArray[np.float16], part: Crop, hw: tuple[int, int], corners: bool = False
) -> Floats:
    """Sample a part of a map bilinearly at `hw` points."""
    height, width = grid.shape[:2]
    x0, y0, x1, y1 = part
    step_x, step_y = (x1 - x0) / hw[1], (y1 - y0) / hw[0]
    # Maps the centre of an output pixel to a position in the map [index].
    spans, shift = ((width - 1, height - 1), 0.0) if corners else ((width, height), 0.5)
    matrix = np.array(
        [
            [step_x * spans[0], 0, (x0 + step_x / 2) * spans[0] - shift],
            [0, step_y * spans[1], (y0 + step_y / 2) * spans[1] - shift],
        ]
    )
    planes = [
        cv2.warpAffine(
            np.ascontiguousarray(part_of, np.float32),
            matrix,
            hw[::-1],
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        for part_of in _four_channels_each(grid)
    ]
    return planes[0] if grid.ndim == 2 else np.concatenate(planes, axis=2)


def _four_channels_each(grid: npt.NDArray[np.float16]) -> list[npt.NDArray[np.float16]]:
    # OpenCV warps at most four channels.
    if grid.ndim == 2:
        return [grid]
    return [grid[..., first : first + 4] for first in range(0, grid.shape[2], 4)]


def _recoloured(rng: np.random.Generator, image: Floats) -> Floats:
    """Vary exposure, contrast, white balance, gamma and noise of RGB in 0 to 1."""
    if rng.random() < 0.06:
        image = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2)
    contrast = rng.uniform(0.7, 1.3)
    gains = rng.uniform(0.75, 1.25) * rng.uniform(0.92, 1.08, 3)
    mean = image.mean()
    image = np.clip(((image - mean) * contrast + mean) * gains, 0, 1)
    if rng.random() < 0.5:
        image = image ** rng.uniform(0.7, 1.4)
    if rng.random() < 0.1:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.2))
    if rng.random() < 0.2:
        image = image + rng.normal(0, rng.uniform(0, 0.04), image.shape)
    return np.clip(image, 0, 1).astype(np.float32)
