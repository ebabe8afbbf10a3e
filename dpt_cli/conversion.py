"""Weights to the files OpenVINO runs: made once a checkpoint on this disk, then kept."""

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dpt_cli.checkpoint.fetch import Notify
from dpt_cli.checkpoint.integrity import converted_path
from dpt_cli.decode import read_rgb
from dpt_cli.engine import Engine
from dpt_cli.engine.openvino_engine import COMPILED_FOLDER, REMARK_FILE, OpenVinoEngine, move_in
from dpt_cli.engine.openvino_int8 import quantize, require_nncf
from dpt_cli.inputs import find_photographs
from dpt_cli.maps import DepthMap, LabelMap
from dpt_cli.measure.drift import mean_drift, measure_of
from dpt_cli.predict import Predictor, prepare
from dpt_cli.specs import CheckpointSpec

RGB = npt.NDArray[np.uint8]

PHOTOGRAPHS = Path(__file__).parent / "bundled" / "photographs"
# Drift that is small beside the error of the published weights themselves, an AbsRel near 0.1.
SMALL_DRIFT = 0.02
# What stays in fp32, more from rung to rung until the drift is small. The convolutions that bring
# the encoder's levels to one width come first: their inputs have a few channels far larger than the
# rest, which one scale a tensor cannot hold, and they are 4 % of DPT-Large's operations.
KEPT_IN_FP32 = (("to_features",), ("to_features", "reassemble", "fusion", "head"))
# Parts of a photograph to calibrate with, as (top, left, side), all relative to its size.
_PARTS = ((0.0, 0.0, 1.0), (0.2, 0.2, 0.6))


def load_openvino(
    spec: CheckpointSpec, weights: Path, sha256: str, precision: str, notify: Notify
) -> Engine:
    """Return a weights file on OpenVINO, converted now unless it was before.

    Args:
        spec: The weights' row.
        weights: The file.
        sha256: Hash of its content.
        precision: `fp32` or `int8`.
        notify: Takes one line for the user.

    Raises:
        CheckpointError: The file is damaged or does not fit the row's architecture.
        DeviceError: int8 weights have to be made, and what makes them is not installed.
    """
    folder = converted_path(sha256, spec.architecture, precision)
    if folder.is_dir():
        # What cannot be read, a damaged cache, is made again.
        with contextlib.suppress(RuntimeError):
            return OpenVinoEngine(folder)
        shutil.rmtree(folder)
    if precision == "int8":
        require_nncf()
        fp32 = load_openvino(spec, weights, sha256, "fp32", notify)
        _quantize(spec, fp32, converted_path(sha256, spec.architecture), folder, notify)
        return OpenVinoEngine(folder)
    from dpt_cli.checkpoint.load import load_network
    from dpt_cli.engine.openvino_export import export

    notify(f"Converting {spec.id} for OpenVINO, once")
    export(load_network(weights, spec.architecture), spec.architecture, folder)
    return OpenVinoEngine(folder)


def _quantize(
    spec: CheckpointSpec, fp32: Engine, source: Path, folder: Path, notify: Notify
) -> None:
    """Write int8 weights and what they change, into a folder that appears whole or not at all."""
    photographs = [read_rgb(it.path) for it in find_photographs((PHOTOGRAPHS,)).photographs]
    samples = [prepare(rgb, spec).image for rgb in _views(photographs)]
    references = _maps(spec, fp32, photographs)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{folder.name}.") as work:
        found: dict[Path, float] = {}
        for rung, kept in enumerate(KEPT_IN_FP32):
            notify(f"Quantising {spec.id} to int8, once; minutes for a large network")
            part = Path(work, str(rung))
            quantize(source, samples, kept, part)
            found[part] = mean_drift(_maps(spec, OpenVinoEngine(part), photographs), references)
            if found[part] <= SMALL_DRIFT:
                break
            notify(f"int8 moves the map by {found[part]:.1%}: more is kept in fp32")
        best = min(found, key=found.__getitem__)
        remark = (
            f"int8 moves the map by {found[best]:.2%} from fp32 "
            f"({measure_of(spec.output.quantity)}, {len(photographs)} photographs)"
        )
        (best / REMARK_FILE).write_text(json.dumps({"remark": remark, "drift": found[best]}))
        shutil.rmtree(best / COMPILED_FOLDER)  # its name holds the path it was compiled at
        move_in(best, folder)


def _views(photographs: Sequence[RGB]) -> Iterator[RGB]:
    """Yield each photograph, parts of it, and their mirror images."""
    for rgb in photographs:
        height, width = rgb.shape[:2]
        for top, left, side in _PARTS:
            y, x = round(top * height), round(left * width)
            part = rgb[y : y + round(side * height), x : x + round(side * width)]
            yield np.ascontiguousarray(part)
            yield np.ascontiguousarray(part[:, ::-1])


def _maps(
    spec: CheckpointSpec, engine: Engine, photographs: Sequence[RGB]
) -> list[DepthMap | LabelMap]:
    predictor: Predictor[Any] = Predictor(spec, engine, "")
    return [predictor(rgb) for rgb in photographs]
