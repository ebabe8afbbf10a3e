"""Describe a map, in the same words wherever it is stored, and rebuild it from that description.

`facts_of` goes into the manifest, `--json`, `.npz` and TIFF; `as_text` into PNG and EXR.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from dpt_cli.maps import Calibration, Camera, DepthMap, LabelMap, Provenance

Facts = Mapping[str, Any]

# Marks the PNG files that dpt writes; `pipeline.made` looks for it.
_SOFTWARE = {"Software": "dpt"}
_PREFIX = "dpt:"
_SIZES = ("map_hw", "network_hw", "photo_hw")
_OBJECTS = ("calibration", "camera")
_NUMBERS = ("min", "max", "rounded_to")
CLASSES = "ADE20K SceneParse150"


def facts_of(result: DepthMap | LabelMap) -> dict[str, Any]:
    """Return the description of a map: JSON values under stable keys, None where unknown."""
    if isinstance(result, LabelMap):
        meaning: dict[str, Any] = {
            "kind": "labels",
            "quantity": "labels",
            "unit": None,
            "near": None,
            "min": None,
            "max": None,
            "classes": CLASSES,
            "map_hw": list(result.labels.shape),
        }
    else:
        low, high = result.span or (None, None)
        metric = "metric depth" if result.calibration is None else "calibrated metric depth"
        meaning = {
            "kind": metric if result.is_metric else "relative inverse depth",
            "quantity": result.quantity,
            "unit": result.unit,
            "near": "small" if result.is_metric else "large",
            "min": low,
            "max": high,
            "map_hw": list(result.values.shape),
            "calibration": result.calibration and asdict(result.calibration),
            "camera": result.camera and asdict(result.camera),
        }
        if result.rounded_to is not None:
            meaning["rounded_to"] = result.rounded_to
    made = asdict(result.provenance)
    sizes = {key: it and list(it) for key, it in made.items() if key in _SIZES}
    return meaning | {key: it or None for key, it in made.items()} | sizes


def as_text(facts: Facts) -> dict[str, str]:
    """Return facts as key and text; unknown ones are left out."""
    known = {key: value for key, value in facts.items() if value is not None}
    return _SOFTWARE | {_PREFIX + key: _text(key, value) for key, value in known.items()}


def from_text(text: Mapping[str, str]) -> dict[str, Any]:
    """Return the facts that `as_text` wrote, and no other text.

    Raises:
        ValueError: A text is not what `as_text` writes under its key.
    """
    ours = {key.removeprefix(_PREFIX): text[key] for key in text if key.startswith(_PREFIX)}
    return {key: _value(key, value) for key, value in ours.items()}


def map_from(values: npt.NDArray[Any], facts: Facts) -> DepthMap | LabelMap:
    """Return a map from its bare numbers and its facts.

    Args:
        values: float (H, W) depth, or integer (H, W) zero-based labels.
        facts: As `facts_of` returns them; other keys do not matter.

    Raises:
        ValueError: The facts do not say what the numbers are, or are damaged.
    """
    quantity = facts.get("quantity")
    try:
        made: dict[str, Any] = {it.name: facts.get(it.name) for it in fields(Provenance)}
        made |= {key: made[key] and tuple(made[key]) for key in ("network_hw", "photo_hw")}
        made |= {key: made[key] or "" for key in ("weights", "precision")}
        provenance = Provenance(**made)
        if quantity == "labels":
            return LabelMap(np.ascontiguousarray(values, np.uint8), provenance)
        if quantity not in ("depth", "inverse_depth"):
            raise ValueError(f"the quantity {quantity!r} is not known")
        calibration, camera = facts.get("calibration"), facts.get("camera")
        return DepthMap(
            np.ascontiguousarray(values, np.float32),
            quantity,
            provenance,
            Calibration(**calibration) if calibration else None,
            Camera(**camera) if camera else None,
            facts.get("rounded_to"),
        )
    except TypeError as error:
        raise ValueError(f"the description is damaged: {error}") from error


def describe(result: DepthMap | LabelMap) -> dict[str, str]:
    """Return the description of a map as key and text."""
    return as_text(facts_of(result))


def _text(key: str, value: Any) -> str:
    if key in _SIZES:
        return " ".join(map(str, value))
    # Nine digits restore every float32 exactly.
    if key in _NUMBERS:
        return f"{value:.9g}"
    return json.dumps(value) if key in _OBJECTS else str(value)


def _value(key: str, text: str) -> Any:
    if key in _SIZES:
        return [int(side) for side in text.split()]
    if key in _NUMBERS:
        return float(text)
    return json.loads(text) if key in _OBJECTS else text
