"""From a decoded photograph to a map: prepare, infer, finish.

These are plain functions over plain data, so that any scheduler can run them. `Predictor` runs them
one after the other.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

import numpy as np
import numpy.typing as npt

from dpt_cli.checkpoint.specs import CheckpointSpec
from dpt_cli.errors import InputError, OutOfMemoryError
from dpt_cli.maps import Camera, DepthMap, LabelMap, Provenance, Quantity
from dpt_cli.photos.decode import Photo
from dpt_cli.predict.arguments import check_batch_size, in_pythons_words
from dpt_cli.predict.pictures import Picture, as_photo
from dpt_cli.predict.preprocess import network_input, network_size

if TYPE_CHECKING:
    from dpt_cli.engine import Engine, RawOutput

# Of a map: the photograph's, the network's, or its longer side [px].
MapSize = Literal["photo", "network"] | int
# Largest area of a network size, over its target's. Where a strip's shorter side has to meet the
# target, the network would take all memory and days: attention grows with the area's square.
_MAX_TARGETS = 64
MapT = TypeVar("MapT", DepthMap, LabelMap)


@dataclass(frozen=True)
class Prepared:
    """A photograph made ready for a network.

    Attributes:
        image: float32 (3, h, w), normalised.
        photo_hw: Size of the photograph [px].
        focal_px: The camera's focal length in pixels of the photograph; None where unknown.
    """

    image: npt.NDArray[np.float32]
    photo_hw: tuple[int, int]
    focal_px: float | None = None

    @property
    def network_hw(self) -> tuple[int, int]:
        """Return the size the network sees [px]."""
        return self.image.shape[1], self.image.shape[2]


def prepare(
    photo: Photo,
    spec: CheckpointSpec,
    target_hw: tuple[int, int] | None = None,
    multiple_of: int | None = None,
) -> Prepared:
    """Resize and normalise a photograph as its weights expect.

    Args:
        photo: The photograph.
        spec: The weights' row.
        target_hw: Size the network size aims at [px], instead of the row's.
        multiple_of: What both its sides are multiples of [px], instead of the row's.

    Raises:
        InputError: The photograph is a strip so long that the network would not come to an end.
    """
    photo_hw = photo.rgb.shape[0], photo.rgb.shape[1]
    target_hw = target_hw or spec.input.target_hw
    network_hw = network_size(
        photo_hw, target_hw, multiple_of or spec.multiple_of, spec.input.resize
    )
    if math.prod(network_hw) > _MAX_TARGETS * math.prod(target_hw):
        (height, width), (network_h, network_w) = photo_hw, network_hw
        raise InputError(
            f"its {width}x{height} px are too long a strip: {spec.id} would run at "
            f"{network_w}x{network_h} px; cut it into pieces"
        )
    image = network_input(photo.rgb, network_hw, spec.input)
    return Prepared(image, photo_hw, photo.focal_px)


def infer(engine: "Engine", batch: Sequence[Prepared]) -> "list[RawOutput]":
    """Run prepared photographs of one network size through an engine, one result each."""
    return engine(np.stack([prepared.image for prepared in batch]))


def provenance_of(
    spec: CheckpointSpec, engine: "Engine", weights: str, sha256: str | None
) -> Provenance:
    """Return what every map of a network has in common; `finish` adds what differs.

    Args:
        spec: The weights' row.
        engine: The network on its device.
        weights: The weights in words.
        sha256: Hash of the weights.
    """
    return Provenance(
        weights,
        model=spec.id,
        weights_sha256=sha256,
        engine=engine.name,
        protocol=None if spec.protocol == "authors" else spec.protocol,
    )


def map_size(
    size: MapSize, photo_hw: tuple[int, int], network_hw: tuple[int, int]
) -> tuple[int, int]:
    """Return the height and width of a map [px].

    Args:
        size: `photo`, `network`, or the longer side [px], the photograph's aspect ratio kept.
        photo_hw: Size of the upright photograph [px].
        network_hw: Size that the network sees [px].
    """
    if isinstance(size, str):
        return photo_hw if size == "photo" else network_hw
    height, width = (max(1, round(side * size / max(photo_hw))) for side in photo_hw)
    return height, width


def finish(
    raw: "RawOutput",
    prepared: Prepared,
    spec: CheckpointSpec,
    made_by: Provenance,
    size: MapSize = "photo",
) -> DepthMap | LabelMap:
    """Bring a raw output to the frame of the photograph, in metres if the weights are metric.

    Logits become the best class of each pixel. The camera's focal length follows the size; at
    the network's size, whose aspect ratio is another, there is none.
    """
    from dpt_cli.predict.postprocess import resize_depth, resize_labels

    provenance = replace(
        made_by,
        network_hw=prepared.network_hw,
        precision=raw.precision,
        photo_hw=prepared.photo_hw,
    )
    map_hw = map_size(size, prepared.photo_hw, prepared.network_hw)
    if spec.task == "segment":
        labels = resize_labels(raw.values, map_hw, spec.output.interpolation)
        return LabelMap(labels, provenance)
    values = resize_depth(raw.values, map_hw, spec.output)
    quantity: Quantity = "depth" if spec.output.quantity == "depth" else "inverse_depth"
    camera = None
    if prepared.focal_px is not None and size != "network":
        scale = max(map_hw) / max(prepared.photo_hw)
        camera = Camera(prepared.focal_px * scale, "exif")
    return DepthMap(values, quantity, provenance, camera=camera)


@dataclass(frozen=True)
class Predictor(Generic[MapT]):
    """A loaded network that turns a photograph into a map. Made by `dpt_cli.load`.

    Attributes:
        spec: The weights' row.
        engine: The network on its device.
        weights: The weights in words, as written into every map.
        target_hw: Size the network size aims at [px]; None for the row's.
        multiple_of: What both its sides are multiples of [px]; None for the row's.
        weights_sha256: Hash of the weights; None where it is not known.
    """

    spec: CheckpointSpec
    engine: "Engine"
    weights: str
    target_hw: tuple[int, int] | None = None
    multiple_of: int | None = None
    weights_sha256: str | None = None

    @overload
    def __call__(self, picture: Picture, *, batch_size: int = ...) -> MapT: ...

    @overload
    def __call__(
        self, picture: "list[Any] | tuple[Any, ...]", *, batch_size: int = ...
    ) -> list[MapT]: ...

    def __call__(
        self, picture: Picture | list[Any] | tuple[Any, ...], *, batch_size: int = 4
    ) -> MapT | list[MapT]:
        """Predict one photograph, or a list of them.

        Args:
            picture: A path, a PIL image, a uint8 array (H, W, 3) in RGB order, a torch tensor
                (3, H, W), uint8 or float in [0, 1]; or a list or tuple of them.
            batch_size: How many photographs of a list run at once if their network size is the
                same; fewer if they do not fit into memory.

        Returns:
            A `DepthMap` or a `LabelMap` (H, W), as the task of the weights says; a list of them,
            in the same order, for a list.

        Raises:
            InputError: A path is not a readable photograph.
            ValueError, TypeError: Something else is not a picture of these kinds.
            NetworkOutputError: The network returned NaN or infinity.
            OutOfMemoryError: Not even one photograph fits into memory.
        """
        with in_pythons_words():
            if isinstance(picture, (list, tuple)):
                return self._all(picture, batch_size)
            prepared = self.prepare(as_photo(picture))
            return _named(self.finish(infer(self.engine, [prepared])[0], prepared), picture)

    def _all(self, pictures: Sequence[Picture], batch_size: int) -> list[MapT]:
        check_batch_size(batch_size)
        prepared = [self.prepare(as_photo(picture)) for picture in pictures]
        by_size: dict[tuple[int, int], list[int]] = defaultdict(list)
        for index, one in enumerate(prepared):
            by_size[one.network_hw].append(index)
        maps: dict[int, MapT] = {}
        for indices in by_size.values():
            for start in range(0, len(indices), batch_size):
                part = indices[start : start + batch_size]
                for index, raw in zip(part, self._fitting(prepared, part), strict=True):
                    maps[index] = _named(self.finish(raw, prepared[index]), pictures[index])
        return [maps[index] for index in range(len(prepared))]

    def _fitting(self, prepared: Sequence[Prepared], part: Sequence[int]) -> "list[RawOutput]":
        """Run a batch, in halves if it does not fit into memory."""
        try:
            return infer(self.engine, [prepared[index] for index in part])
        except OutOfMemoryError:
            if len(part) == 1:
                raise
        half = len(part) // 2
        return self._fitting(prepared, part[:half]) + self._fitting(prepared, part[half:])

    def prepare(self, photo: Photo) -> Prepared:
        """Make a photograph ready for the network."""
        return prepare(photo, self.spec, self.target_hw, self.multiple_of)

    def finish(self, raw: "RawOutput", prepared: Prepared) -> MapT:
        """Turn one raw output into a map in the photograph's frame."""
        made_by = provenance_of(self.spec, self.engine, self.weights, self.weights_sha256)
        return finish(raw, prepared, self.spec, made_by)  # type: ignore[return-value]  # MapT follows from the task


def _named(result: MapT, picture: Picture) -> MapT:
    """Return a map with the file name of its photograph, if it has one."""
    if isinstance(picture, (str, PathLike)):
        return result.made_from(Path(fspath(picture)).name)
    return result
