"""The steps of one photograph, as plain objects that can be sent to another process."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dpt_cli.calibration.known import KnownDistances
from dpt_cli.calibration.scene import with_scene
from dpt_cli.checkpoint.specs import CheckpointSpec
from dpt_cli.engine import RawOutput
from dpt_cli.formats.table import formats_of
from dpt_cli.maps import DepthMap, LabelMap
from dpt_cli.photos.decode import Photo, decode_photo
from dpt_cli.pipeline.lazy_engine import LazyEngine
from dpt_cli.pipeline.local import Stages
from dpt_cli.pipeline.plan import Job
from dpt_cli.pipeline.settings import RunSettings
from dpt_cli.predict.predictor import MapSize, Prepared, finish, infer, prepare, provenance_of

RGB = npt.NDArray[np.uint8]


def decode(data: bytes, _job: Job) -> Photo:
    """Decode a picture file's bytes."""
    return decode_photo(data)


@dataclass(frozen=True)
class Prepare:
    """Makes a photograph ready for the network."""

    spec: CheckpointSpec
    resolution: tuple[int, int] | None
    multiple_of: int | None

    def __call__(self, photo: Photo) -> Prepared:
        """Resize and normalise."""
        return prepare(photo, self.spec, self.resolution, self.multiple_of)


@dataclass(frozen=True)
class Infer:
    """Runs prepared photographs of one network size through the network."""

    engine: LazyEngine

    def __call__(self, batch: Sequence[Prepared]) -> list[RawOutput]:
        """Return one raw output per photograph."""
        return infer(self.engine.load(), batch)


@dataclass(frozen=True)
class Finish:
    """Brings a raw output to the photograph's frame, and adds what the user knows of the scene."""

    spec: CheckpointSpec
    engine: LazyEngine
    known: KnownDistances | None = None
    fov_deg: float | None = None
    size: MapSize = "photo"

    def __call__(self, raw: RawOutput, prepared: Prepared, job: Job) -> DepthMap | LabelMap:
        """Return the map (H, W).

        Raises:
            CalibrationError: The known distances give no metres.
        """
        weights = self.engine.weights
        made_by = provenance_of(self.spec, self.engine.load(), weights.label, weights.sha256)
        result = finish(raw, prepared, self.spec, made_by, self.size)
        if isinstance(result, LabelMap):
            return result
        return with_scene(result, job.photograph, self.known, self.fov_deg)


def stages_of(
    spec: CheckpointSpec,
    settings: RunSettings,
    engine: LazyEngine,
    read: Callable[[Job], bytes],
    write: Callable[[Any, RGB | None, Job], Mapping[str, Any]],
) -> Stages[Any]:
    """Return the stages of a run on this machine, between its ways to read and to write."""
    formats = formats_of(spec.task)
    return Stages(
        read=read,
        decode=decode,
        prepare=Prepare(spec, settings.resolution, settings.multiple_of),
        load=engine.num_at_once,
        infer=Infer(engine),
        finish=Finish(spec, engine, settings.known, settings.fov_deg, settings.size),
        write=write,
        keeps_photographs=any(formats[name].needs_photograph for name in settings.formats),
    )
