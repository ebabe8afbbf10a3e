"""`dpt info`."""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dpt_cli.cli.console import put, say
from dpt_cli.cli.options import debug_option
from dpt_cli.cli.values import InputPath
from dpt_cli.errors import SOME_FAILED, InputError

if TYPE_CHECKING:
    from dpt_cli.formats.read import SavedMap

_NEAR = {"small": "smaller is nearer", "large": "larger is nearer"}
_UNITS = {"m": "metres", "relative": "no unit"}
_FROM = {"file": "the file itself", "manifest": "the manifest above it"}


@click.command()
@click.argument("inputs", nargs=-1, required=True, metavar="IN...", type=InputPath())
@click.option("--json", "as_json", is_flag=True, help="One JSON object per file on stdout.")
@debug_option
@click.pass_context
def info(ctx: click.Context, inputs: tuple[Path, ...], as_json: bool) -> None:
    """Print what saved maps are: what their numbers mean, and what made them.

    Reads .npy, .npz, .pfm, .exr, .tiff and .png files. Of files that dpt did not write it prints
    what can be known, and what cannot. In folders, pictures that are no maps are passed over.

    Example: dpt info dpt-out/photo_depth.npy
    """
    from dpt_cli.formats.read import read_saved

    num_failed = 0
    for path in (file for given in inputs for file in _files(given)):
        try:
            if path.is_dir():
                raise InputError("there are no maps in this folder")  # noqa: TRY301
            saved = read_saved(path)
        except InputError as error:
            num_failed += 1
            say(f"Failed: {path}: {str(error).removeprefix(f'{path}: ')}")
            if as_json:
                put(json.dumps({"file": str(path), "error": str(error)}))
            continue
        if as_json:
            put(json.dumps({"file": str(path), "error": None, **_as_json(saved)}))
        else:
            put(f"{path}: {_title(saved)}")
            for line in _lines(saved):
                put(f"  {line}")
    if num_failed:
        ctx.exit(SOME_FAILED)


def _files(given: Path) -> list[Path]:
    """Return the maps below a folder in natural order; else, or without any, what was given."""
    from dpt_cli.formats.read import is_16_bit_png
    from dpt_cli.photos.find import natural_order
    from dpt_cli.pipeline.made import MadeByDpt

    if not given.is_dir():
        return [given]
    is_made = MadeByDpt()
    maps = [
        path
        for path in given.rglob("*")
        if path.suffix.lower() in (".npy", ".npz", ".pfm", ".exr")
        or (path.is_file() and (is_made(path) or is_16_bit_png(path)))
    ]
    return sorted(maps, key=natural_order) or [given]


def _as_json(saved: "SavedMap") -> dict[str, Any]:
    low, high, num_odd = _ends(saved)
    content = {
        "layout": saved.layout,
        "facts_from": saved.facts_from or None,
        "stored_min": low,
        "stored_max": high,
        "not_finite_px": num_odd,
        "step": saved.step,
    }
    return {**content, **saved.facts}


def _title(saved: "SavedMap") -> str:
    facts = saved.facts
    if not facts:
        return f"{saved.layout}, not described"
    meaning = [str(facts.get("kind") or facts.get("quantity"))]
    meaning += [
        words
        for key, table in (("near", _NEAR), ("unit", _UNITS))
        if (words := table.get(str(facts.get(key))))
    ]
    picture = "a picture of " if saved.stored is None else ""
    return picture + ", ".join(meaning)


def _lines(saved: "SavedMap") -> Iterator[str]:
    facts = saved.facts
    yield f"file: {saved.layout}"
    low, high, num_odd = _ends(saved)
    if saved.stored is not None:
        odd = f", {num_odd} pixels not finite" if num_odd else ""
        yield (
            f"stored: {_number(low)} to {_number(high)}{odd}"
            if low is not None
            else ("stored: no finite value")
        )
    if not facts:
        yield from _unknown(saved)
        return
    unit = " m" if facts.get("unit") == "m" else ""
    if facts.get("min") is not None:
        yield f"range: {_number(facts['min'])} to {_number(facts['max'])}{unit}"
    if saved.step is not None:
        yield f"step: {rounding(saved.step, facts)}"
    if facts.get("rounded_to"):
        yield f"rounded before: {rounding_before(facts)}"
    for key in ("bright", "colormap", "pixel", "clipped", "classes"):
        if facts.get(key):
            yield f"{key}: {facts[key]}"
    yield from _calibration(facts.get("calibration"))
    camera = facts.get("camera")
    if camera:
        yield f"camera: focal length {camera['focal_px']:.6g} px, from {camera['source']}"
    for key in ("photograph", "model", "weights", "engine", "precision", "dpt"):
        if facts.get(key):
            yield f"{key}: {facts[key]}"
    for key, name in (("photo_hw", "photograph size"), ("network_hw", "network size")):
        if facts.get(key):
            yield f"{name}: {facts[key][1]} x {facts[key][0]} px"
    yield f"known from: {_FROM[saved.facts_from]}"


def _calibration(fit: Mapping[str, Any] | None) -> Iterator[str]:
    if not fit:
        return
    error = "error not measured"
    if fit.get("error_m") is not None:
        error = f"{fit['error_kind']} error {fit['error_m']:.3g} m, {fit['error_percent']:.3g} %"
    yield (
        f"calibration: 1/z = {fit['scale']:.6g} * d + {fit['shift']:.6g} ({fit['method']}) from "
        f"{fit['num_points']} points, {error}"
    )


def _unknown(saved: "SavedMap") -> Iterator[str]:
    if saved.stored is None:
        yield "not known: whether it is a picture of a map at all; dpt did not describe it"
        return
    kind = saved.stored.dtype.kind
    what = "metres, millimetres, disparity or labels" if kind in "iu" else "metres or inverse depth"
    yield f"not known: whether the numbers are {what}, their unit, and which way is near"
    yield "not known: the photograph, the model, the camera"
    if kind in "iu":
        yield "by custom, 0 is unknown in 16-bit depth of KITTI (x 256), NYU and ROS (x 1000)"


def rounding(step: float, facts: Mapping[str, Any]) -> str:
    """Return a rounding step in words, at both ends of the range."""
    ends = facts.get("min"), facts.get("max")
    near, far = ends if facts.get("unit") == "m" else ends[::-1]
    unit = " m" if facts.get("unit") == "m" else ""
    shares = [
        f"{100 * step / abs(end):.2g} % {name}"
        for end, name in ((near, "at near"), (far, "at far"))
        if end
    ]
    return f"{_number(step)}{unit}" + (f" ({', '.join(shares)})" if shares else "")


def rounding_before(facts: Mapping[str, Any]) -> str:
    """Return in words the step of a 16-bit file that a map was read from."""
    if facts.get("calibration"):  # then it is the step at the far end
        return rounding(facts["rounded_to"], {**facts, "min": None})
    return rounding(facts["rounded_to"], facts)


def _ends(saved: "SavedMap") -> tuple[float | None, float | None, int]:
    """Return the least and greatest finite number stored, and how many are not finite."""
    import numpy as np

    if saved.stored is None:
        return None, None, 0
    finite = saved.stored[np.isfinite(saved.stored)]
    num_odd = saved.stored.size - finite.size
    if not finite.size:
        return None, None, num_odd
    return float(finite.min()), float(finite.max()), num_odd


def _number(value: float | None) -> str:
    return "unknown" if value is None or not math.isfinite(value) else f"{value:.6g}"
