"""The networks that share DPT's decoder give the numbers of their authors' code.

`tests/reference/make_family_references.py` wrote down what that code computes from weights filled
by formula, under the names of its own files.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import torch

import formula
from dpt_cli.checkpoint.convert import convert_state_dict
from dpt_cli.checkpoint.registry import load_registry
from dpt_cli.engine.torch.engine import TorchEngine
from dpt_cli.maps import DepthMap
from dpt_cli.model.architectures import ARCHITECTURES, build_network
from dpt_cli.model.dpt import DPT
from dpt_cli.photos.decode import Photo
from dpt_cli.predict.predictor import Predictor
from dpt_cli.predict.preprocess import network_size
from family import SMALL
from published import REFERENCE, samples

# As in test_parity.py: sums in another order cost 1e-6, any known trap 1e-4 or more.
TOLERANCE = 1e-5

_REFERENCES = np.load(REFERENCE / "family.npz")
_NAMES = [key.removesuffix("/keys") for key in _REFERENCES.files if key.endswith("/keys")]
_ROWS = {
    "midas-v21": "midas",
    "anything-v2-small": "anything",
    "anything-v1-small": "anything",
    "beit-base-384": "beit",
}


def network(name: str) -> DPT:
    """Return a network filled by formula, under the authors' names and from them to ours."""
    rows = [str(row).split("\t") for row in _REFERENCES[f"{name}/keys"]]
    shapes = {key: tuple(int(side) for side in text.split(",") if side) for key, text in rows}
    filled = {key: torch.from_numpy(np.asarray(it)) for key, it in formula.state_dict(shapes)}
    with torch.device("meta"):
        built = build_network((SMALL | ARCHITECTURES)[name])
    built.load_state_dict(convert_state_dict(filled), strict=True, assign=True)
    return built.eval().requires_grad_(False)


def difference(values: npt.NDArray[np.float32], expected: npt.NDArray[np.float32]) -> float:
    return float(np.linalg.norm(values - expected) / np.linalg.norm(expected))


@pytest.mark.parametrize(
    "name",
    [it if it in SMALL else pytest.param(it, marks=pytest.mark.slow) for it in _NAMES],
)
@torch.inference_mode()
def test_network_equals_the_authors(name: str) -> None:
    built = network(name)
    sizes = [
        key.split("/")[1]
        for key in _REFERENCES.files
        if key.startswith(f"{name}/") and key.endswith("/norm")
    ]
    assert len(sizes) == 3
    for size in sizes:
        height, width = map(int, size.split("x"))
        values = built(torch.from_numpy(formula.image((height, width)))).numpy()
        expected = _REFERENCES[f"{name}/{size}/samples"]
        found = difference(samples(values, len(expected)), expected)
        print(f"parity {name} {size} authors: {found:.1e}")
        assert found <= TOLERANCE
        norm = np.linalg.norm(values.astype(np.float64))
        assert norm == pytest.approx(float(_REFERENCES[f"{name}/{size}/norm"]), rel=TOLERANCE)


@pytest.mark.parametrize("row", _ROWS)
def test_network_sizes_equal_the_authors(row: str) -> None:
    spec = load_registry().find("depth", row)
    for height, width, *expected_hw in _REFERENCES[f"{row}/sizes"].tolist():
        found = network_size(
            (height, width), spec.input.target_hw, spec.multiple_of, spec.input.resize
        )
        assert list(found) == expected_hw


@pytest.mark.parametrize("row", _ROWS)
def test_a_photograph_becomes_the_map_of_the_authors(row: str) -> None:
    spec = load_registry().find("depth", row)
    # The picture of make_family_references.py, through the row's small twin.
    planes = formula.image((301, 433))[0].transpose(1, 2, 0)
    rgb = np.clip((planes + 1) * 127.5, 0, 255).astype(np.uint8)
    engine = TorchEngine(network(_ROWS[row]), "cpu")
    spec = replace(spec, architecture=SMALL[_ROWS[row]])
    predictor: Predictor[DepthMap] = Predictor(spec, engine, "")
    prepared = predictor.prepare(Photo(rgb)).image
    expected = _REFERENCES[f"{row}/input_samples"]
    # float32 rounding of values within about 3.
    np.testing.assert_allclose(samples(prepared, len(expected)), expected, atol=5e-7)
    values = predictor(rgb).values
    expected = _REFERENCES[f"{row}/map_samples"]
    found = difference(samples(values, len(expected)), expected)
    print(f"parity {row} photograph to map: {found:.1e}")
    assert found <= TOLERANCE
