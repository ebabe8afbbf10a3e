"""An output folder as runs leave it, of maps that a test chose: no network takes part."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from dpt_cli.formats.entry import Task
from dpt_cli.formats.files import replacing
from dpt_cli.formats.table import DEFAULT_OPTIONS, formats_of
from dpt_cli.maps import DepthMap, LabelMap, Provenance
from dpt_cli.maps.facts import facts_of
from dpt_cli.photos.source import stamp_of
from dpt_cli.pipeline.manifest import Manifest, Recipe
from front_door import picture

Values = npt.NDArray[Any]

WEIGHTS_SHA256 = 64 * "a"


class OutputFolder:
    """Photographs and the folder that their maps are recorded in.

    Attributes:
        photographs: The folder of the photographs.
        path: The output folder.
    """

    def __init__(self, desk: Path) -> None:
        self.photographs, self.path = desk / "photographs", desk / "out"
        self.photographs.mkdir(parents=True)
        self.path.mkdir()

    def add(
        self,
        name: str,
        maps: Mapping[str, Values],
        *,
        quantity: str,
        size: tuple[int, int],
        options: Mapping[str, Any] | None = None,
    ) -> Path:
        """Record files of one map of a photograph; return the photograph.

        Args:
            name: The photograph's name.
            maps: By format, the map: float32 (H, W), or zero-based uint8 (H, W). Colours (H, W, 3)
                and uint16 are written as they are.
            quantity: `depth`, `inverse_depth` or `labels`.
            size: Width and height of the photograph [px].
            options: Of the formats, where they are not the default.
        """
        photograph = self.photographs / name
        photograph.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(*size, seed=len(name))).save(photograph)
        task: Task = "segment" if quantity == "labels" else "depth"
        result = _map(next(iter(maps.values())), quantity)
        facts, outputs = facts_of(result), {}
        for kind, array in maps.items():
            end = {"stats": "json", "npy": "npy", "npz": "npz"}.get(kind, "png")
            stem = Path(name).with_suffix("")
            outputs[kind] = self.path / stem.with_name(f"{stem.name}_{quantity}_{kind}.{end}")
            outputs[kind].parent.mkdir(parents=True, exist_ok=True)
            if array.ndim == 3 or array.dtype == np.uint16:
                Image.fromarray(array).save(outputs[kind])
                continue
            chosen = {**DEFAULT_OPTIONS[task], **(options or {})}
            with replacing(outputs[kind]) as file:
                facts |= formats_of(task)[kind].write(file, result, None, chosen)
        settings = {"task": task, "engine": "torch", **(options or {})}
        self._record(photograph, outputs, settings, facts)
        return photograph

    def _record(
        self,
        photograph: Path,
        outputs: Mapping[str, Path],
        settings: Mapping[str, Any],
        facts: Mapping[str, Any],
    ) -> None:
        files = {kind: stamp_of(path) for kind, path in outputs.items()}
        recipe = Recipe(settings, f"{settings['task']}/small", WEIGHTS_SHA256)
        with Manifest(self.path) as manifest:
            manifest.begin(photograph, outputs, files)
            manifest.done(photograph, stamp_of(photograph), outputs, files, recipe, facts)


def _map(array: Values, quantity: str) -> DepthMap | LabelMap:
    made_by = Provenance("small", (96, 96), "fp32")
    if quantity == "labels":
        return LabelMap(array.astype(np.uint8), made_by)
    values = array if array.ndim == 2 else np.zeros(array.shape[:2], np.float32)
    return DepthMap(values, "depth" if quantity == "depth" else "inverse_depth", made_by)


def ramp(height: int, width: int, low: float, high: float) -> npt.NDArray[np.float32]:
    """Return values that differ from pixel to pixel, float32 (height, width)."""
    steps = np.linspace(low, high, height * width, dtype=np.float32)
    return steps.reshape(height, width)
