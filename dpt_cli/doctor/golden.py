"""Whether published weights give the published values: the one check from outside this project."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dpt_cli.checkpoint.fetch import locate
from dpt_cli.checkpoint.specs import CheckpointSpec
from dpt_cli.doctor.check import Check
from dpt_cli.doctor.engines import REFERENCE, load
from dpt_cli.errors import DptError
from dpt_cli.photos.decode import read_photo
from dpt_cli.predict.load import find_weights
from dpt_cli.predict.predictor import infer, prepare

PICTURE = "http://images.cocodataset.org/val2017/000000039769.jpg"
_PICTURE_HW = (480, 640)
_GROUP = "published values"


@dataclass(frozen=True)
class Golden:
    """The upper left corner of a raw output, as recorded by somebody else.

    Attributes:
        model: The row's task and name.
        repo: Whose weights they are, on the Hub.
        corner: (3, 3), of the only channel or the first.
        divisor: What the raw output was divided by.
        tolerance: How far ours may lie off, absolutely and relatively.

    Source: huggingface/transformers, tests/models/dpt/test_modeling_dpt.py and
        test_modeling_dpt_hybrid.py: on `PICTURE`, in the protocol of the Hub.
    """

    model: str
    repo: str
    corner: tuple[tuple[float, float, float], ...]
    divisor: float = 1.0
    tolerance: float = 2e-4


GOLDENS = (
    Golden(
        "depth/large",
        "Intel/dpt-large",
        ((6.3199, 6.3629, 6.4148), (6.3850, 6.3615, 6.4166), (6.3519, 6.3176, 6.3575)),
    ),
    Golden(
        "segment/large",
        "Intel/dpt-large-ade",
        ((4.0480, 4.2420, 4.4360), (4.3124, 4.5693, 4.8261), (4.5768, 4.8965, 5.2163)),
    ),
    Golden(
        "depth/hybrid",
        "Intel/dpt-hybrid-midas",
        ((5.6437, 5.6146, 5.6511), (5.4371, 5.5649, 5.5958), (5.5215, 5.5184, 5.5293)),
        divisor=100.0,
        # transformers and the authors standardise weights differently, by up to 1.4e-4.
        tolerance=1e-3,
    ),
)


def check_goldens(rows: Sequence[CheckpointSpec], picture: Path | None) -> Iterator[Check]:
    """Compare each published corner with what its weights give here, by torch in fp32 on the CPU.

    Args:
        rows: The rows of the registry.
        picture: `PICTURE` on this disk.
    """
    fix = f"download {PICTURE} and give it as --picture"
    known = {row.id: row for row in rows}
    for golden in GOLDENS:
        name = f"{golden.repo} ({golden.model})"
        row = known.get(golden.model)
        if row is None or not row.hub_protocol or locate(row) is None:
            pull = f"dpt models pull {golden.model}"
            yield Check(_GROUP, name, "not run", "the weights are not on this disk", pull)
        elif picture is None:
            found = "the picture that the values were recorded on is not at hand"
            yield Check(_GROUP, name, "not run", found, fix)
        else:
            yield _compared(name, golden, row, picture)


def _compared(name: str, golden: Golden, row: CheckpointSpec, picture: Path) -> Check:
    try:
        photo = read_photo(picture)
        if photo.rgb.shape[:2] != _PICTURE_HW:
            height, width = photo.rgb.shape[:2]
            found = f"{picture} is {width}x{height} px, and the picture is 640x480"
            return Check(
                _GROUP, name, "not run", found, f"download {PICTURE}, give it as --picture"
            )
        spec = row.as_on_the_hub()
        weights = find_weights(spec, offline=True, notify=lambda _line: None)
        raw = infer(load(spec, weights, REFERENCE), [prepare(photo, spec)])[0].values
    except DptError as error:  # the network's output is finite, or there is a NetworkOutputError
        return Check(_GROUP, name, "fail", str(error), "see 'weights' above")
    corner = raw.reshape(-1, *raw.shape[-2:])[0, :3, :3] / golden.divisor
    difference = np.abs(corner - golden.corner)
    allowed = golden.tolerance * (1 + np.abs(golden.corner))
    facts = {"difference": float(difference.max()), "limit": float(allowed.min())}
    found = f"differs by {facts['difference']:.1e}, the limit is {facts['limit']:.1e}"
    if (difference <= allowed).all():
        return Check(_GROUP, name, "pass", found, facts=facts)
    fix = f"see that {picture} is {PICTURE}; if so, torch computes wrongly here: install it again"
    return Check(_GROUP, name, "fail", found, fix, facts)
