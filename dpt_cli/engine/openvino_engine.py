"""The network on OpenVINO: a CPU, without torch once a checkpoint was converted."""

import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt

from dpt_cli.engine import RawOutput
from dpt_cli.errors import NetworkOutputError, OutOfMemoryError

MODEL_FILE = "model.xml"
REMARK_FILE = "int8.json"
COMPILED_FOLDER = "compiled"


def import_openvino() -> ModuleType:
    """Import OpenVINO without its telemetry, which would send events as soon as imported."""
    # As if that package were not installed, which OpenVINO provides for.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    module: ModuleType = openvino
    return module


def move_in(part: Path, folder: Path) -> None:
    """Give a filled folder its name; where another process was first, its work stays."""
    try:
        part.rename(folder)
    except OSError:
        if not (folder / MODEL_FILE).is_file():
            raise


class OpenVinoEngine:
    """A converted network, compiled for this CPU.

    Attributes:
        device: Where it runs.
        precision: `fp32` or `int8`.
        remark: For int8, what it changes in the maps.
        num_at_once: 1.
    """

    device = "cpu (OpenVINO)"
    num_at_once = 1

    def __init__(self, folder: Path) -> None:
        """Compile the model in a folder that `openvino_export` or `openvino_int8` filled.

        What the compiler finds out about this CPU is kept there for the next start.
        """
        remark_file = folder / REMARK_FILE
        is_int8 = remark_file.is_file()
        self.precision = "int8" if is_int8 else "fp32"
        self.remark = json.loads(remark_file.read_bytes())["remark"] if is_int8 else ""
        settings = {
            # For what is not int8: else bf16, where a CPU has the instructions.
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "LATENCY",
            "CACHE_DIR": str(folder / COMPILED_FOLDER),
            # With OPTIMIZE_SIZE, OpenVINO 2026.4.1 reads back a hybrid that fails at 384 x 384.
            "CACHE_MODE": "OPTIMIZE_SPEED",
        }
        core = import_openvino().Core()
        self._model = core.compile_model(folder / MODEL_FILE, "CPU", settings)

    def __call__(self, images: npt.NDArray[np.float32]) -> list[RawOutput]:
        """Run a batch, image by image: as quick, and no result depends on its neighbours.

        Args:
            images: float32 (B, 3, h, w), normalised.

        Raises:
            NetworkOutputError: NaN or infinity.
            OutOfMemoryError: An image does not fit.
        """
        return [self._one(image) for image in images]

    def _one(self, image: npt.NDArray[np.float32]) -> RawOutput:
        try:
            values: npt.NDArray[np.float32] = self._model(image[None])[0][0].copy()
        except RuntimeError as error:
            if "alloc" not in str(error):
                raise
            _, height, width = image.shape
            raise OutOfMemoryError(
                f"out of memory on {self.device} with {width} x {height} px; "
                "use a smaller --resolution"
            ) from error
        if not np.isfinite(values).all():
            raise NetworkOutputError("the network gave NaN or infinity")
        return RawOutput(values, self.precision)
