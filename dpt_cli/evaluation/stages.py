"""The steps from a photograph to its scores, as plain objects that can be sent to another process.

They are those of a run, except for the sizes of a protocol and for what comes in place of writing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from dpt_cli.checkpoint.specs import CheckpointSpec
from dpt_cli.engine import RawOutput
from dpt_cli.errors import InputError
from dpt_cli.evaluation.multiscale import MultiScale, multiscale_scores
from dpt_cli.evaluation.nyu import NyuFile
from dpt_cli.evaluation.pairs import Pair
from dpt_cli.evaluation.truth import NyuDepth
from dpt_cli.maps import DepthMap, LabelMap
from dpt_cli.maps.types import Provenance
from dpt_cli.metrics.protocol import Protocol
from dpt_cli.metrics.valid import crop_slices
from dpt_cli.photos.decode import Photo, decode_photo
from dpt_cli.photos.source import read_file
from dpt_cli.pipeline.lazy_engine import LazyEngine
from dpt_cli.pipeline.plan import Job
from dpt_cli.predict.predictor import Prepared, finish, prepare, provenance_of


@dataclass(frozen=True)
class Photographs:
    """Reads the photographs of pairs, in files or inside NYU's container."""

    pairs: Mapping[Path, Pair]

    def read(self, job: Job) -> bytes:
        """Return a photograph's bytes; of one in a container, its pixels."""
        truth = self.pairs[job.photograph].truth
        if isinstance(truth, NyuDepth):
            return NyuFile.of(truth.path).rgb(truth.index).tobytes()
        return read_file(job.photograph)[0]

    def decode(self, data: bytes, job: Job) -> Photo:
        """Return a photograph."""
        if isinstance(self.pairs[job.photograph].truth, NyuDepth):
            return Photo(np.frombuffer(data, np.uint8).reshape(480, 640, 3))
        return decode_photo(data)


@dataclass(frozen=True)
class PrepareByProtocol:
    """Makes a photograph ready for the network, at the size of a protocol.

    Attributes:
        spec: The weights' row.
        protocol: Crop, resize rule and multiple.
        resolution: Height and width the rule aims at [px]; None for the weights' own.
    """

    spec: CheckpointSpec
    protocol: Protocol
    resolution: tuple[int, int] | None

    def __call__(self, photo: Photo) -> Prepared:
        """Crop, resize and normalise.

        Raises:
            InputError: The photograph is smaller than the crop.
        """
        hw = photo.rgb.shape[0], photo.rgb.shape[1]
        try:
            part = photo.rgb[crop_slices(self.protocol.photo_crop, hw)]
        except ValueError as error:
            raise InputError(str(error)) from error
        spec = spec_by_protocol(self.spec, self.protocol)
        return prepare(Photo(np.ascontiguousarray(part)), spec, self.resolution)


def spec_by_protocol(spec: CheckpointSpec, protocol: Protocol) -> CheckpointSpec:
    """Return a row with the resize rule of a protocol, and its multiple where the patches fit."""
    multiple_of = protocol.multiple_of
    if multiple_of is None or multiple_of % spec.architecture.patch_px:
        multiple_of = spec.multiple_of
    resize = protocol.resize or spec.input.resize
    return replace(spec, input=replace(spec.input, resize=resize, multiple_of=multiple_of))


@dataclass(frozen=True)
class FinishByProtocol:
    """Brings a raw output to the photograph's frame in a protocol's way."""

    spec: CheckpointSpec
    engine: LazyEngine
    protocol: Protocol

    def __call__(self, raw: RawOutput, prepared: Prepared, _job: Job) -> DepthMap | LabelMap:
        """Return the depth map (H, W) of the part that the network got."""
        if self.protocol.is_bilinear:
            # parity: OpenCV's bilinear resize is torch's with align_corners=False.
            resized = np.asarray(cv2.resize(raw.values, prepared.photo_hw[::-1]), np.float32)
            # Nothing is left for `finish` to resize: it keeps values at pixels as they are.
            raw = replace(raw, values=resized)
        return finish(raw, prepared, self.spec, _made_by(self.spec, self.engine))


def _made_by(spec: CheckpointSpec, engine: LazyEngine) -> Provenance:
    weights = engine.weights
    return provenance_of(spec, engine.load(), weights.label, weights.sha256)


@dataclass(frozen=True)
class PrepareWhole:
    """Normalises a photograph at its own size, for a network that is given windows of it."""

    spec: CheckpointSpec

    def __call__(self, photo: Photo) -> Prepared:
        """Normalise."""
        mean, std = (np.array(it, np.float32) for it in (self.spec.input.mean, self.spec.input.std))
        # parity: in float32, as torchvision's ToTensor and Normalize.
        image = (photo.rgb.astype(np.float32) / np.float32(255) - mean) / std
        planes = np.ascontiguousarray(image.transpose(2, 0, 1), np.float32)
        return Prepared(planes, (planes.shape[1], planes.shape[2]))


@dataclass(frozen=True)
class InferMultiScale:
    """Runs photographs through the network at several scales."""

    spec: CheckpointSpec
    engine: LazyEngine
    protocol: MultiScale

    def __call__(self, batch: Sequence[Prepared]) -> list[RawOutput]:
        """Return the best class's number of each pixel as the one raw output per photograph."""
        engine = self.engine.load()
        results = []
        for prepared in batch:
            scores = multiscale_scores(engine, prepared.image, self.spec.input, self.protocol)
            best = scores.argmax(0).astype(np.float32)
            results.append(RawOutput(best, engine.precision))
        return results


@dataclass(frozen=True)
class FinishLabels:
    """Turns the best class of each pixel into a label map."""

    spec: CheckpointSpec
    engine: LazyEngine

    def __call__(self, raw: RawOutput, _prepared: Prepared, _job: Job) -> LabelMap:
        """Return the map (H, W)."""
        return LabelMap(raw.values.astype(np.uint8), _made_by(self.spec, self.engine))
