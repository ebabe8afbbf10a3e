"""Depth maps and segmentation maps from photographs, with Dense Prediction Transformers.

import dpt_cli
predictor = dpt_cli.load("large", task="depth")
depth_map = predictor("photo.jpg")  # or a PIL image, an array, a tensor, a list of them
"""

from typing import TYPE_CHECKING, Any

from dpt_cli.version import __version__

if TYPE_CHECKING:
    from dpt_cli.calibration.fit import calibrate
    from dpt_cli.formats.read import read_map
    from dpt_cli.formats.table import save
    from dpt_cli.maps import Calibration, Camera, DepthMap, LabelMap, Provenance
    from dpt_cli.photos.decode import read_rgb
    from dpt_cli.pipeline.run import run
    from dpt_cli.predict.load import load
    from dpt_cli.predict.predictor import Predictor

__all__ = [
    "Calibration",
    "Camera",
    "DepthMap",
    "LabelMap",
    "Predictor",
    "Provenance",
    "__version__",
    "calibrate",
    "load",
    "read_map",
    "read_rgb",
    "run",
    "save",
]

_HOMES = {
    "Calibration": "dpt_cli.maps",
    "Camera": "dpt_cli.maps",
    "DepthMap": "dpt_cli.maps",
    "LabelMap": "dpt_cli.maps",
    "Provenance": "dpt_cli.maps",
    "Predictor": "dpt_cli.predict.predictor",
    "calibrate": "dpt_cli.calibration.fit",
    "load": "dpt_cli.predict.load",
    "read_map": "dpt_cli.formats.read",
    "read_rgb": "dpt_cli.photos.decode",
    "run": "dpt_cli.pipeline.run",
    "save": "dpt_cli.formats.table",
}


def __getattr__(name: str) -> Any:
    # Imported on first use, so that `dpt --help` imports neither numpy nor torch.
    if name not in _HOMES:
        raise AttributeError(f"module 'dpt_cli' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
