"""A network on torch to OpenVINO's files, once a checkpoint."""

import tempfile
import warnings
from pathlib import Path

import torch

from dpt_cli.engine.fold import fold_constants
from dpt_cli.engine.openvino_engine import MODEL_FILE, import_openvino, move_in
from dpt_cli.model.config import PATCH_SIZE, DPTConfig
from dpt_cli.model.dpt import DPT


def export(network: DPT, config: DPTConfig, folder: Path) -> None:
    """Convert a network for any batch and any multiple of 16, into a new folder.

    The folder appears whole or not at all; where another process was first, its work stays.
    """
    openvino = import_openvino()
    grid_h, grid_w = config.vit.grid_hw
    # Not the size it was trained at, where the position embedding is not resized.
    example = torch.zeros(1, 3, (grid_h + 1) * PATCH_SIZE, (grid_w + 2) * PATCH_SIZE)
    with warnings.catch_warnings(), torch.inference_mode():
        # Of checks that see one size only; the conversion keeps the sizes free. And torch 2.13
        # deprecates the tracing that OpenVINO 2026.4 converts by.
        tracer_warning = torch.jit.TracerWarning  # type: ignore[attr-defined]  # not in the stubs
        warnings.simplefilter("ignore", tracer_warning)
        warnings.simplefilter("ignore", DeprecationWarning)
        model = openvino.convert_model(
            fold_constants(network),
            example_input=example,
            input=[openvino.PartialShape([-1, 3, -1, -1])],
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{folder.name}.") as work:
        part = Path(work, "fp32")
        part.mkdir()
        openvino.save_model(model, part / MODEL_FILE, compress_to_fp16=False)
        move_in(part, folder)
