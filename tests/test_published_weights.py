"""The published weights give the numbers that transformers' own tests record for them.

Needs the weights in the Hugging Face cache and COCO's val2017/000000039769.jpg, named by
DPT_TEST_COCO_IMAGE.
"""

import os
from pathlib import Path

import pytest

from dpt_cli.checkpoint.registry import load_registry
from dpt_cli.doctor.golden import GOLDENS, check_goldens

pytestmark = pytest.mark.weights


@pytest.mark.parametrize("number", range(len(GOLDENS)), ids=[it.model for it in GOLDENS])
def test_golden_corner(number: int) -> None:
    picture = os.environ.get("DPT_TEST_COCO_IMAGE")
    row = load_registry().select([GOLDENS[number].model])
    checks = list(check_goldens(row, Path(picture) if picture else None))
    if checks[number].status == "not run":
        pytest.skip(f"weights: {checks[number].found}")
    assert checks[number].status == "pass", checks[number].found
