"""A map as the page shows it: values under the pointer, or a picture where no file holds them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from dpt_cli.gallery.pictures import Layer, Record
from dpt_cli.gallery.reading import Values, pixels_of, values_of
from dpt_cli.gallery.values import DEPTH_SIDE_PX, LABEL_SIDE_PX, packed, sampled, steps
from dpt_cli.maps.colormaps import colormap_table
from dpt_cli.maps.paint import painted_depth, painted_labels

RGB = npt.NDArray[np.uint8]
Json = dict[str, Any]

_HASH_DIGITS = 12


def layer_of(folder: Path, layer: Layer) -> tuple[Json, RGB]:
    """Return what the page knows of a map, as JSON values, and the map as a picture.

    Raises:
        InputError: Its file cannot be read.
    """
    about: Json = {
        "task": layer.task,
        "weights": _without_hash(layer.record),
        "facts": [[name, value] for name, value in _facts(layer.record) if value],
        "files": [[kind, url_of(name)] for kind, name in sorted(layer.files.items())],
    }
    values = values_of(folder, layer)
    if values is None:
        name = layer.files[str(layer.picture_format)]
        picture = {"picture": url_of(name), "is_framed": layer.is_framed}
        return about | picture, pixels_of(folder / name)
    if layer.task == "segment":
        shown, small = _labels(values)
    else:
        shown, small = _depth(values, layer.record)
    return about | shown | {"size": small.shape[1::-1], "map_size": values.shape[::-1]}, small


def url_of(name: str) -> str:
    """Return a path relative to the page as a URL: whatever bytes a name has, it stays a name."""
    return "./" + quote(name.encode("utf-8", "surrogateescape"))


def _depth(values: Values, record: Record) -> tuple[Json, RGB]:
    small = sampled(values, DEPTH_SIDE_PX).astype(np.float32)
    facts = record["facts"]
    is_metric = facts["quantity"] == "depth"
    # The map's own, which the sample may not reach; none where no value is finite.
    span = None if facts["min"] is None else (facts["min"], facts["max"])
    low, high = span or (0.0, 0.0)
    settings = record["settings"]
    colormap, invert = settings.get("colormap", "inferno"), bool(settings.get("invert", False))
    table = colormap_table(colormap)
    painted = painted_depth(small, span, table, larger_is_nearer=not is_metric, invert=invert)
    shown = {
        "unit": "m" if is_metric else "relative",
        "range": span,
        "palette": (table[::-1] if invert else table).tobytes().hex(),
        "data": packed(steps(small, low, high)),
    }
    return shown, painted


def _labels(values: Values) -> tuple[Json, RGB]:
    small = sampled(values, LABEL_SIDE_PX).astype(np.uint8)
    counts = np.bincount(np.asarray(values).ravel(), minlength=256)
    # Stable, so that equal shares keep the order of the classes.
    order = np.argsort(-counts, kind="stable")
    shares = [[int(it), float(counts[it] / values.size)] for it in order[counts[order] > 0]]
    return {"shares": shares, "data": packed(small)}, painted_labels(small)


def _without_hash(record: Record) -> str:
    return str(record.get("weights", "")).partition(", sha256 ")[0]


def _facts(record: Record) -> Iterator[tuple[str, str]]:
    facts = record["facts"]
    low, high, unit = facts.get("min"), facts.get("max"), facts.get("unit")
    if facts["quantity"] == "depth":
        yield "Quantity", "depth in metres, small is near"
    elif facts["quantity"] == "inverse_depth":
        yield "Quantity", "relative inverse depth: no unit, large is near"
    else:
        yield "Quantity", "ADE20K class of each pixel"
    if low is not None and high is not None:
        yield "Range", f"{low:.5g} to {high:.5g}{' m' if unit == 'm' else ''}"
    calibration = facts.get("calibration")
    if calibration:
        error = calibration.get("error_m")
        known = f", median error {error:.3g} m ({calibration.get('error_kind')})" if error else ""
        yield "Calibrated", f"by {calibration.get('num_points')} points{known}"
    yield "Weights", _without_hash(record)
    yield "SHA-256", str(record.get("weights_sha256", ""))[:_HASH_DIGITS]
    if facts.get("network_hw"):
        yield "Network", "{1} × {0} px".format(*facts["network_hw"])
    yield "Precision", f"{facts.get('precision', '')}, {record['settings'].get('engine', '')}"
    yield "dpt", str(record.get("dpt", ""))
