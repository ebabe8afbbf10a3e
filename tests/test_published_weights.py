"""The published weights give the numbers that transformers' own tests record for them.

Needs the weights in the Hugging Face cache and COCO's val2017/000000039769.jpg, named by
DPT_TEST_COCO_IMAGE. Source of the numbers: huggingface/transformers, tests/models/dpt.
"""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dpt_cli.checkpoint.fetch import locate
from dpt_cli.checkpoint.load import load_network
from dpt_cli.checkpoint.registry import load_registry
from dpt_cli.checkpoint.specs import Task

pytestmark = pytest.mark.weights

_GOLDEN = {
    ("depth", "large", 384, 1.0): [
        [6.3199, 6.3629, 6.4148],
        [6.3850, 6.3615, 6.4166],
        [6.3519, 6.3176, 6.3575],
    ],
    ("depth", "hybrid", 384, 100.0): [
        [5.6437, 5.6146, 5.6511],
        [5.4371, 5.5649, 5.5958],
        [5.5215, 5.5184, 5.5293],
    ],
    ("segment", "large", 480, 1.0): [
        [4.0480, 4.2420, 4.4360],
        [4.3124, 4.5693, 4.8261],
        [4.5768, 4.8965, 5.2163],
    ],
}


@pytest.mark.parametrize(("task", "name", "side", "divisor"), _GOLDEN)
@torch.inference_mode()
def test_golden_corner(task: Task, name: str, side: int, divisor: float) -> None:
    row = load_registry().find(task, name)
    found = locate(row)
    if found is None:
        pytest.skip(f"weights: {row.id} is not in the cache; see 'dpt models pull'")
    picture = os.environ.get("DPT_TEST_COCO_IMAGE")
    if not picture:
        pytest.skip("weights: DPT_TEST_COCO_IMAGE names no picture")
    # transformers' processor: a square, resized as uint8 by Pillow's bilinear filter.
    resized = (
        Image.open(Path(picture)).convert("RGB").resize((side, side), Image.Resampling.BILINEAR)
    )
    image = (np.asarray(resized, np.float32) / 255 - 0.5) / 0.5
    network = load_network(found[1], row.architecture)
    output = network(torch.from_numpy(image.transpose(2, 0, 1)[None].copy()))[0]
    corner = output.reshape(-1, side, side)[0, :3, :3].numpy() / divisor
    # As recorded there; Hybrid adds what the two weight standardisations differ by, up to 1.4e-4.
    tolerance = 1e-3 if name == "hybrid" else 2e-4
    golden = _GOLDEN[task, name, side, divisor]
    np.testing.assert_allclose(corner, golden, rtol=tolerance, atol=tolerance)
