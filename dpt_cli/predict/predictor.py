"""Photograph in, map out: the stages between a decoded picture and a finished map.

Plain functions over plain data, so that any scheduler can run them; `Predictor` is the shortest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from dpt_cli.checkpoint.specs import CheckpointSpec
from dpt_cli.maps import DepthMap, LabelMap, Quantity
from dpt_cli.model.config import PATCH_SIZE
from dpt_cli.predict.preprocess import network_input, network_size

if TYPE_CHECKING:
    from dpt_cli.engine import Engine, RawOutput

MapT = TypeVar("MapT", DepthMap, LabelMap)


@dataclass(frozen=True)
class Prepared:
    """A photograph made ready for a network.

    Attributes:
        image: float32 (3, h, w), normalised.
        photo_hw: Size of the photograph [px].
    """

    image: npt.NDArray[np.float32]
    photo_hw: tuple[int, int]

    @property
    def network_hw(self) -> tuple[int, int]:
        """Return the size the network sees [px]."""
        return self.image.shape[1], self.image.shape[2]


def prepare(
    rgb: npt.NDArray[np.uint8],
    spec: CheckpointSpec,
    target_hw: tuple[int, int] | None = None,
    multiple_of: int = PATCH_SIZE,
) -> Prepared:
    """Resize and normalise a photograph, uint8 (H, W, 3), as its weights expect.

    Args:
        rgb: The photograph.
        spec: The weights' row.
        target_hw: Size the "minimal" rule aims at [px], instead of the row's.
        multiple_of: What both sides of the network size are multiples of [px].
    """
    photo_hw = rgb.shape[0], rgb.shape[1]
    network_hw = network_size(photo_hw, target_hw or spec.input.target_hw, multiple_of)
    return Prepared(network_input(rgb, network_hw, spec.input), photo_hw)


def infer(engine: "Engine", batch: Sequence[Prepared]) -> "list[RawOutput]":
    """Run prepared photographs of one network size through an engine, one result each."""
    return engine(np.stack([prepared.image for prepared in batch]))


def predict_depth(
    raw: "RawOutput", prepared: Prepared, spec: CheckpointSpec, weights: str
) -> DepthMap:
    """Bring a raw output to the photograph's frame; metres where the weights are metric."""
    from dpt_cli.predict.postprocess import resize_depth

    values = resize_depth(raw.values, prepared.photo_hw, spec.output)
    quantity: Quantity = "depth" if spec.output.quantity == "depth" else "inverse_depth"
    return DepthMap(values, quantity, weights, prepared.network_hw, raw.precision)


def predict_labels(raw: "RawOutput", prepared: Prepared, weights: str) -> LabelMap:
    """Bring raw logits to the photograph's frame and take the best class of each pixel."""
    from dpt_cli.predict.postprocess import resize_labels

    labels = resize_labels(raw.values, prepared.photo_hw)
    return LabelMap(labels, weights, prepared.network_hw, raw.precision)


@dataclass(frozen=True)
class Predictor(Generic[MapT]):
    """A loaded network that turns a photograph into a map. Made by `dpt_cli.load`.

    Attributes:
        spec: The weights' row.
        engine: The network on its device.
        weights: The weights in words, as written into every map.
        target_hw: Size the "minimal" rule aims at [px]; None for the row's.
        multiple_of: What both sides of the network size are multiples of [px].
    """

    spec: CheckpointSpec
    engine: "Engine"
    weights: str
    target_hw: tuple[int, int] | None = None
    multiple_of: int = PATCH_SIZE

    def __call__(self, rgb: npt.NDArray[np.uint8]) -> MapT:
        """Predict one photograph.

        Args:
            rgb: uint8 (H, W, 3), RGB order, upright.

        Returns:
            A `DepthMap` or a `LabelMap` (H, W), as the task of the weights says.

        Raises:
            ValueError: The array is no such picture.
            NetworkOutputError: The network gave NaN or infinity.
            OutOfMemoryError: It does not fit.
        """
        if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.size == 0:
            raise ValueError(f"expected uint8 (H, W, 3), got {rgb.dtype} {rgb.shape}")
        prepared = self.prepare(rgb)
        return self.finish(infer(self.engine, [prepared])[0], prepared)

    def prepare(self, rgb: npt.NDArray[np.uint8]) -> Prepared:
        """Make a photograph, uint8 (H, W, 3), ready for the network."""
        return prepare(rgb, self.spec, self.target_hw, self.multiple_of)

    def finish(self, raw: "RawOutput", prepared: Prepared) -> MapT:
        """Turn one raw output into a map in the photograph's frame."""
        result: DepthMap | LabelMap
        if self.spec.task == "depth":
            result = predict_depth(raw, prepared, self.spec, self.weights)
        else:
            result = predict_labels(raw, prepared, self.weights)
        return result  # type: ignore[return-value]  # MapT follows from the task
