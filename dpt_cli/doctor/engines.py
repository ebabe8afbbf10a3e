"""Whether every engine, device and precision of this machine computes what torch does in fp32."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dpt_cli.checkpoint.specs import CheckpointSpec
from dpt_cli.doctor.check import Check
from dpt_cli.engine import Engine, RawOutput, choice
from dpt_cli.errors import DptError
from dpt_cli.host import has_bf16
from dpt_cli.photos.decode import read_photo
from dpt_cli.predict.conversion import PHOTOGRAPHS, TOLERANCE
from dpt_cli.predict.load import Weights, find_weights, load_engine
from dpt_cli.predict.predictor import Prepared, infer, prepare

Values = npt.NDArray[np.float32]

# How far the raw outputs may lie apart, ‖theirs − reference‖ / ‖reference‖. In fp32 only the order
# of roundings differs. fp16 and bf16 keep 11 and 8 bits and int8 is approximate: their limits are
# wide, to find what is broken rather than what is rounded.
LIMITS = {"fp32": TOLERANCE, "fp16": 2e-2, "bf16": 1e-1, "int8": 2e-1}


@dataclass(frozen=True)
class Way:
    """One way to run a network.

    Attributes:
        engine: `torch` or `openvino`.
        device: As `--device` takes it.
        precision: As `--precision` takes it.
        obstacle: Why this machine cannot run it; empty where it can.
        fix: What would help.
    """

    engine: str
    device: str
    precision: str
    obstacle: str = ""
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.engine} on {self.device} in {self.precision}"


REFERENCE = Way("torch", "cpu", "fp32")


def ways() -> list[Way]:
    """Return every way to run a network, those included that this machine lacks."""
    import importlib.util

    import torch

    gpus = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    has_mps = torch.backends.mps.is_available()
    found = [Way("torch", "cpu", "bf16")]
    for device in gpus or ["cuda"]:
        obstacle = "" if gpus else "torch finds no CUDA device"
        fix = "" if gpus else "with an NVIDIA GPU: install its driver, and torch built for CUDA"
        found += [Way("torch", device, it, obstacle, fix) for it in ("fp32", "fp16", "bf16")]
    obstacle, fix = ("", "") if has_mps else ("this machine has no Apple GPU", "nothing to do")
    found += [Way("torch", "mps", it, obstacle, fix) for it in ("fp32", "fp16")]
    install = "pip install 'dpt-vision[openvino]'"
    missing = ("", "") if choice.has_openvino() else ("OpenVINO is not installed", install)
    found.append(Way("openvino", "cpu", "fp32", *missing))
    found.append(Way("openvino", "cpu", "bf16", *(missing if missing[0] else _bf16_obstacle())))
    if not missing[0] and importlib.util.find_spec("nncf") is None:
        missing = ("nncf is not installed", "pip install 'dpt-vision[int8]'")
    found.append(Way("openvino", "cpu", "int8", *missing))
    return found


def _bf16_obstacle() -> tuple[str, str]:
    """Return why this CPU does not compute in bf16 itself, and what to do; empty if it does."""
    if has_bf16():
        return "", ""
    if has_bf16() is None:
        return (
            "this system does not list the instructions of its CPU",
            "'dpt bench --engine openvino --precision fp32,bf16' shows whether bf16 is faster here",
        )
    return "this CPU has no bf16 in hardware", "use --precision fp32"


def check_engines(spec: CheckpointSpec) -> Iterator[Check]:
    """Compare every way to run a row's network with the reference, over the bundled photographs.

    A row's weights must be on this disk.
    """
    photographs = [prepare(read_photo(path), spec) for path in sorted(PHOTOGRAPHS.glob("*.jpg"))]
    try:
        weights = find_weights(spec, offline=True, notify=_ignore)
        references = _outputs(load(spec, weights, REFERENCE), photographs)
    except Exception as error:  # noqa: BLE001  # a broken torch may raise anything
        name = f"{spec.id}: {REFERENCE}, the reference"
        fix = "see 'weights' above" if isinstance(error, DptError) else "install torch again"
        yield Check("engines", name, "fail", f"{type(error).__name__}: {error}", fix)
        return
    for way in ways():
        name = f"{spec.id}: {way}"
        if way.obstacle:
            yield Check("engines", name, "not run", way.obstacle, way.fix)
        else:
            yield _compared(name, spec, weights, way, photographs, references)


def _compared(
    name: str,
    spec: CheckpointSpec,
    weights: Weights,
    way: Way,
    photographs: list[Prepared],
    references: list[RawOutput],
) -> Check:
    fix = f"do not use --engine {way.engine} --device {way.device} --precision {way.precision} here"
    try:
        results = _outputs(load(spec, weights, way), photographs)
    except Exception as error:  # noqa: BLE001  # a broken driver may raise anything
        return Check("engines", name, "fail", f"{type(error).__name__}: {error}", fix)
    pairs = zip(results, references, strict=True)
    difference = max(relative_difference(one.values, other.values) for one, other in pairs)
    limit = LIMITS[way.precision]
    # JSON has neither NaN nor infinity.
    facts = {"difference": difference if np.isfinite(difference) else None, "limit": limit}
    found = f"differs by {difference:.1e}, the limit is {limit:.0e}"
    if any(result.precision != way.precision for result in results):
        found += f"; {way.precision} gave NaN or infinity, and fp32 was used instead"
    if difference <= limit:
        return Check("engines", name, "pass", found, facts=facts)
    more = "update " + ("the engine" if way.device == "cpu" else "the driver and the engine")
    return Check("engines", name, "fail", f"computes wrongly: {found}", f"{fix}; {more}", facts)


def relative_difference(values: Values, reference: Values) -> float:
    """Return ‖values − reference‖ / ‖reference‖, infinite where the sizes differ or both are 0."""
    if values.shape != reference.shape:
        return float("inf")
    target = reference.astype(np.float64)  # whose squares fit
    norm = np.linalg.norm(target)
    return float(np.linalg.norm(values - target) / norm) if norm else float("inf")


def _outputs(engine: Engine, photographs: list[Prepared]) -> list[RawOutput]:
    return [infer(engine, [photograph])[0] for photograph in photographs]


def load(spec: CheckpointSpec, weights: Weights, way: Way) -> Engine:
    """Return a row's network made ready in one way."""
    return load_engine(spec, weights, way.device, way.precision, way.engine)


def _ignore(_line: str) -> None:
    pass
