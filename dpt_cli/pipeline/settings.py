"""What a run makes of photographs, and how."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dpt_cli.checkpoint.specs import CheckpointSpec
from dpt_cli.errors import ArgumentError

if TYPE_CHECKING:
    from dpt_cli.calibration.known import KnownDistances
    from dpt_cli.pipeline.saved_depth import SavedDepth
    from dpt_cli.predict.predictor import MapSize


@dataclass(frozen=True)
class EngineSettings:
    """How to run a network; the fields are arguments of `dpt_cli.load`."""

    weights: Path | None = None
    device: str = "auto"
    precision: str = "auto"
    engine: str = "auto"
    cuda_graphs: bool | None = None
    offline: bool = False


@dataclass(frozen=True)
class RunSettings:
    """What to make of photographs, and how.

    Attributes:
        formats: Names of the task's formats.
        output: The output folder.
        options: Values of the options of formats, such as `colormap`.
        resolution: Height and width the network size aims at [px]; None for the weights' own.
        multiple_of: What both its sides are multiples of [px]; None for the weights' own.
        batch_size: How many photographs share a batch.
        force: Redo what is done, and overwrite files that dpt did not write.
        dry_run: Yield what would be done, and touch nothing.
        max_errors: How many failed photographs stop the run; 0 for never.
        engine: How the network runs.
        known: Distances that turn relative depth into metres; None for none.
        depth: Saved depth maps, for statistics of each class; None for none.
        fov_deg: Field of view along the longer side of photographs whose file has no focal length
            [degrees]; None where it is not known.
        size: Size of the maps; see `predict.predictor.map_size`.
    """

    formats: tuple[str, ...]
    output: Path
    options: Mapping[str, Any]
    engine: EngineSettings
    resolution: tuple[int, int] | None = None
    multiple_of: int | None = None
    batch_size: int = 1
    force: bool = False
    dry_run: bool = False
    max_errors: int = 0
    known: "KnownDistances | None" = None
    fov_deg: float | None = None
    size: "MapSize" = "photo"
    depth: "SavedDepth | None" = None

    def options_for(self, photograph: Path) -> Mapping[str, Any]:
        """Return the values of the formats' options for one photograph.

        Raises:
            InputError: Its saved depth map is missing, or cannot be read.
        """
        if self.depth is None:
            return self.options
        return {**self.options, "depth": self.depth.map_of(photograph)}


def map_quantity(spec: CheckpointSpec, settings: RunSettings) -> str:
    """Return what the maps of a run hold: the output of the weights, or metres by calibration.

    Raises:
        ArgumentError: Known distances are given, and the weights do not give relative depth.
    """
    quantity = spec.output.quantity
    if settings.known is None:
        return quantity
    if quantity != "inverse_depth":
        gives = "metres" if quantity == "depth" else "labels"
        raise ArgumentError(
            f"{spec.id} gives {gives}: known distances are for models that give relative depth"
        )
    return "depth"
