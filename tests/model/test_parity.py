"""The network gives the numbers of the authors' implementation, for the same weights."""

import numpy as np
import pytest
import torch
from _pytest.mark import ParameterSet

import formula
from dpt_cli.checkpoint.specs import OutputSpec
from dpt_cli.model.config import Readout
from dpt_cli.predict.postprocess import to_metres
from published import CONFIGS, REFERENCE, network, samples

# Both sides are float32 sums of thousands of terms in different orders: on damped weights they
# differ by about 1e-6. Every known trap (epsilons, resampling modes, padding) costs 1e-4 or more.
TOLERANCE = 1e-5

_REFERENCES = np.load(REFERENCE / "networks.npz")
_METRIC = {
    "hybrid-kitti": OutputSpec("depth", 0.00006016, 0.00579),
    "hybrid-nyu": OutputSpec("depth", 0.000305, 0.1378),
}


def _cases() -> list[ParameterSet]:
    cases = []
    for key in _REFERENCES.files:
        if not key.endswith("/samples"):
            continue
        architecture, readout, size, _ = key.split("/")
        # Full-size networks at a small size, and the default one at its own.
        is_quick = architecture.startswith("small") or (readout, size) == ("project", "96x128")
        is_quick |= (architecture, readout, size) == ("hybrid-depth", "project", "384x512")
        marks = () if is_quick else (pytest.mark.slow,)
        cases.append(pytest.param(architecture, readout, size, marks=marks))
    return cases


@pytest.mark.parametrize(("architecture", "readout", "size"), _cases())
@torch.inference_mode()
def test_network_equals_the_authors(architecture: str, readout: Readout, size: str) -> None:
    *batch, height, width = (int(side) for side in size.split("x"))
    image = torch.from_numpy(formula.image((height, width), *batch))
    values = network(architecture, readout)(image).numpy()
    if architecture in _METRIC:
        values = to_metres(values, _METRIC[architecture])

    reference = {
        field: _REFERENCES[f"{architecture}/{readout}/{size}/{field}"]
        for field in ("samples", "norm", "shape")
    }
    assert values.shape == tuple(reference["shape"])
    expected = reference["samples"]
    difference = np.linalg.norm(samples(values) - expected) / np.linalg.norm(expected)
    print(f"parity {architecture} {readout} {size}: {difference:.2e}")
    assert difference <= TOLERANCE
    assert np.linalg.norm(values.astype(np.float64)) == pytest.approx(
        float(reference["norm"]), rel=TOLERANCE
    )


def test_every_architecture_has_references() -> None:
    assert {key.split("/")[0] for key in _REFERENCES.files} == set(CONFIGS)
