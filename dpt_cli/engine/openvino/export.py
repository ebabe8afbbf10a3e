"""Convert a network from torch to OpenVINO's files."""

import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from dpt_cli.engine.openvino.compiled import import_openvino
from dpt_cli.engine.openvino.files import MODEL_FILE
from dpt_cli.engine.torch.fold import fold_constants
from dpt_cli.errors import ConversionError
from dpt_cli.model.config import Architecture
from dpt_cli.model.dpt import DPT


def export(network: DPT, architecture: Architecture, folder: Path) -> None:
    """Convert a network for any batch and any multiple of its patch, into an empty folder.

    Args:
        network: In eval mode; its constants are folded in place.
        architecture: Its shape.
        folder: The folder to write to.

    Raises:
        OSError: The files cannot be written.
        ConversionError: OpenVINO cannot convert the network.
    """
    openvino = import_openvino()
    (height, width), patch_px = architecture.native_hw, architecture.patch_px
    # Not the size it was trained at, where the position embedding is not resized.
    example = torch.zeros(1, 3, height + patch_px, width + 2 * patch_px)
    with warnings.catch_warnings(), torch.inference_mode():
        # Tracing warns about checks that see one size only, but the sizes stay free in the
        # conversion. torch also deprecates the tracing that OpenVINO 2026.4 uses (torch 2.13:
        # DeprecationWarning). A user can do nothing about either.
        tracer_warning = torch.jit.TracerWarning  # type: ignore[attr-defined]  # not in the stubs
        warnings.simplefilter("ignore", tracer_warning)
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        try:
            model = openvino.convert_model(
                fold_constants(network),
                example_input=example,
                input=[openvino.PartialShape([-1, 3, -1, -1])],
            )
        except RuntimeError as error:
            last = str(error).strip().splitlines()[-1]
            raise ConversionError(f"OpenVINO cannot convert the network: {last}") from error
    try:
        openvino.save_model(model, folder / MODEL_FILE, compress_to_fp16=False)
    except RuntimeError as error:  # such as a full disk
        raise OSError(f"OpenVINO cannot write it: {str(error).strip().splitlines()[-1]}") from error


@torch.inference_mode()
def torch_output(network: DPT, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the output of a network on torch for one image, float32 (1, 3, h, w)."""
    values: npt.NDArray[np.float32] = network(torch.from_numpy(images))[0].numpy()
    return values
