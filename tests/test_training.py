"""The recipe of the bundled weights still fits the network that it trains."""

from pathlib import Path

import numpy as np
import pytest
import torch

_ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the package `training` importable, which only a checkout has."""
    if not (_ROOT / "training").is_dir():
        pytest.skip("the recipe is only in a checkout")
    monkeypatch.syspath_prepend(_ROOT)


def test_a_training_step_moves_encoder_and_both_heads(tmp_path: Path) -> None:
    from training.samples import Batch
    from training.train import Pair, Plan, _optimizer, _step

    plan = Plan(tmp_path, tmp_path, tmp_path, steps=10)
    torch.manual_seed(0)
    pair = Pair()
    optimizer = _optimizer(pair, plan)
    names = ("encoder.", "depth.head.", "labels.head.")
    before = {
        part: [value.clone() for name, value in pair.named_parameters() if part in f"{name}."]
        for part in names
    }
    rng = np.random.default_rng(0)
    batch = Batch(
        torch.from_numpy(rng.normal(size=(2, 3, 64, 64)).astype(np.float32)),
        torch.from_numpy(rng.normal(size=(2, 64, 64)).astype(np.float32)),
        torch.tensor([[0, 5]]),
        torch.full((1, 2, 32, 32), 0.5),
    )
    depth_error, labels_error, num_pictures = _step(
        pair, optimizer, batch, torch.device("cpu"), plan, edges=0.5
    )
    assert depth_error > 0
    assert labels_error > 0
    assert num_pictures == 2
    for part in names:
        after = [value for name, value in pair.named_parameters() if part in f"{name}."]
        assert before[part]
        assert any(not torch.equal(old, new) for old, new in zip(before[part], after, strict=True))
