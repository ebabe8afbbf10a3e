"""From weights to the files that OpenVINO runs: converted once, checked at every use."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dpt_cli.checkpoint.fetch import Notify
from dpt_cli.checkpoint.integrity import converted_path
from dpt_cli.checkpoint.specs import CheckpointSpec
from dpt_cli.engine import Engine
from dpt_cli.engine.openvino.engine import OpenVinoEngine
from dpt_cli.engine.openvino.int8 import quantize, require_nncf
from dpt_cli.engine.openvino.keep import seal
from dpt_cli.errors import ConversionError
from dpt_cli.maps import DepthMap, LabelMap
from dpt_cli.metrics.drift import mean_drift, measure_of
from dpt_cli.photos.decode import Photo, read_rgb
from dpt_cli.photos.find import find_photographs
from dpt_cli.predict.conversion_place import Loaded, open_or_make
from dpt_cli.predict.predictor import Predictor, prepare

RGB = npt.NDArray[np.uint8]

PHOTOGRAPHS = Path(__file__).parents[1] / "bundled" / "photographs"
# Small beside the error of the published weights, an AbsRel near 0.1.
SMALL_DRIFT = 0.02
# The modules that stay in fp32: more in each attempt, until the drift is small. The convolutions
# that bring the encoder's levels to one width come first. A few channels of their inputs are far
# larger than the rest, which one scale per tensor cannot represent, and they are 4 % of the
# operations of DPT-Large.
KEPT_IN_FP32 = (("to_features",), ("to_features", "reassemble", "fusion", "head"))
# How far a conversion may differ from torch, relative to the norm of the output. Both compute in
# fp32, in another order: measured 1e-7 (DPT-Tiny) to 1e-6 (DPT-Hybrid). A lost layer or a fixed
# size makes far more.
TOLERANCE = 1e-4
# Parts of a photograph to calibrate with, as (top, left, side) relative to its size.
_PARTS = ((0.0, 0.0, 1.0), (0.2, 0.2, 0.6))


def load_openvino(
    spec: CheckpointSpec,
    weights: Path,
    sha256: str,
    precision: str,
    notify: Notify,
    *,
    must_keep: bool = False,
) -> Engine:
    """Load a weights file on OpenVINO, converting it unless that was done before.

    A conversion that cannot be kept is made in a temporary folder for this process alone.

    Args:
        spec: The weights' row.
        weights: The file.
        sha256: Hash of its content.
        precision: `fp32`, `bf16` or `int8`; bf16 runs the fp32 conversion.
        notify: Receives lines for the user.
        must_keep: Raise rather than convert for this process alone.

    Raises:
        CheckpointError: The file is damaged or does not fit the row's architecture.
        ConversionError: It cannot be converted, kept or run on OpenVINO; torch may be able to.
        DeviceError: int8 weights have to be made and NNCF is not installed, or memory is short.
    """
    return _load(spec, weights, sha256, precision, notify, must_keep=must_keep)[0]


def made_of(spec: CheckpointSpec, sha256: str, precision: str) -> dict[str, str]:
    """Return what a conversion is made from. The name of its folder has the first digits."""
    shape = hashlib.sha256(repr(spec.architecture).encode()).hexdigest()
    return {"weights": sha256, "architecture": shape, "precision": precision}


def _load(
    spec: CheckpointSpec,
    weights: Path,
    sha256: str,
    precision: str,
    notify: Notify,
    *,
    must_keep: bool,
) -> Loaded:
    in_bf16 = precision == "bf16"
    stored = "fp32" if in_bf16 else precision
    of = made_of(spec, sha256, stored)

    def make(work: Path) -> Loaded:
        if stored == "fp32":
            engine, conversion = _export(spec, weights, work, of, notify)
            if in_bf16:
                engine = OpenVinoEngine(conversion, notify, in_bf16=True)
            return engine, conversion
        require_nncf()
        fp32 = _load(spec, weights, sha256, "fp32", notify, must_keep=False)
        return _quantize(spec, fp32, work, of, notify)

    place = converted_path(sha256, spec.architecture, stored)
    return open_or_make(place, of, make, notify, must_keep=must_keep, in_bf16=in_bf16)


def _export(
    spec: CheckpointSpec, weights: Path, work: Path, of: Mapping[str, str], notify: Notify
) -> Loaded:
    """Write a network in fp32 into a folder, and compare it with torch."""
    from dpt_cli.checkpoint.load import load_network
    from dpt_cli.engine.openvino.export import export, torch_output

    notify(f"Converting {spec.id} for OpenVINO, once")
    network = load_network(weights, spec.architecture, sha256=of["weights"])
    images = _known_input(spec)
    expected = torch_output(network, images)
    part = work / "fp32"
    part.mkdir()
    export(network, spec.architecture, part)
    del network
    conversion = seal(part, of)
    engine = OpenVinoEngine(conversion, notify)
    difference = np.linalg.norm(engine(images)[0].values - expected)
    if not difference <= TOLERANCE * np.linalg.norm(expected):
        raise ConversionError(
            f"{spec.id} on OpenVINO differs from torch by {difference:.2g} of "
            f"{np.linalg.norm(expected):.2g}: not kept; --engine torch needs no conversion"
        )
    return engine, conversion


def _known_input(spec: CheckpointSpec) -> npt.NDArray[np.float32]:
    """Return a network input, float32 (1, 3, h, w), of a size that is new to the conversion.

    It is neither the size of the training, where the position embedding is not resized, nor that
    of the tracing.
    """
    (native_h, native_w), patch_px = spec.architecture.native_hw, spec.architecture.patch_px
    grid_h, grid_w = native_h // patch_px, native_w // patch_px
    height, width = max(1, grid_h // 2) * patch_px, max(1, grid_w // 2 + 1) * patch_px
    rgb = read_rgb(find_photographs((PHOTOGRAPHS,)).photographs[0].path)
    part = np.ascontiguousarray(rgb[:height, :width])
    return prepare(Photo(part), spec, (height, width)).image[None]


def _quantize(
    spec: CheckpointSpec, fp32: Loaded, work: Path, of: Mapping[str, str], notify: Notify
) -> Loaded:
    """Write a network with int8 weights into a folder, and measure what they change."""
    photographs = [read_rgb(it.path) for it in find_photographs((PHOTOGRAPHS,)).photographs]
    samples = [prepare(Photo(rgb), spec).image for rgb in _views(photographs)]
    engine, source = fp32
    references = _maps(spec, engine, photographs)
    found: dict[Path, float] = {}
    for attempt, kept in enumerate(KEPT_IN_FP32):
        notify(f"Quantising {spec.id} to int8, once; this takes minutes for a large network")
        part = work / str(attempt)
        quantize(source, samples, kept, part)
        int8 = OpenVinoEngine(seal(part, of), notify)
        found[part] = mean_drift(_maps(spec, int8, photographs), references)
        if found[part] <= SMALL_DRIFT:
            break
        notify(f"int8 changes the map by {found[part]:.1%}: keeping more in fp32")
    best = min(found, key=found.__getitem__)
    remark = (
        f"int8 changes the map by {found[best]:.2%} from fp32 "
        f"({measure_of(spec.output.quantity)}, {len(photographs)} photographs)"
    )
    conversion = seal(best, of, remark=remark, drift=found[best])
    return OpenVinoEngine(conversion, notify), conversion


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
