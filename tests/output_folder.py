"""An output folder as runs leave it, of maps that a test chose: no network takes part."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

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
        """Record maps of a photograph, by format, as made; return the photograph.

        `npy` takes any array, `labels` and the other PNG what Pillow writes as it is.
        """
        photograph = self.photographs / name
        photograph.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(*size, seed=len(name))).save(photograph)
        outputs = {}
        for kind, array in maps.items():
            stem = Path(name).with_suffix("")
            end = "npy" if kind == "npy" else "png"
            outputs[kind] = self.path / stem.with_name(f"{stem.name}_{quantity}_{kind}.{end}")
            outputs[kind].parent.mkdir(parents=True, exist_ok=True)
            if kind == "npy":
                np.save(outputs[kind], array)
            else:
                Image.fromarray(array).save(outputs[kind])
        settings = {"task": "segment" if quantity == "labels" else "depth", "engine": "torch"}
        facts = _facts(quantity, maps.get("npy"))
        self._record(photograph, outputs, {**settings, **(options or {})}, facts)
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


def _facts(quantity: str, values: Values | None) -> dict[str, Any]:
    facts: dict[str, Any] = {"quantity": quantity, "unit": None, "min": None, "max": None}
    if quantity != "labels":
        facts["unit"] = "m" if quantity == "depth" else "relative"
        if values is not None and np.isfinite(values).any():
            finite = values[np.isfinite(values)]
            facts |= {"min": float(finite.min()), "max": float(finite.max())}
    return facts | {"network_hw": [96, 96], "precision": "fp32"}


def ramp(height: int, width: int, low: float, high: float) -> npt.NDArray[np.float32]:
    """Return values that differ from pixel to pixel, float32 (height, width)."""
    steps = np.linspace(low, high, height * width, dtype=np.float32)
    return steps.reshape(height, width)
