"""The network on OpenVINO: a CPU, without torch once a checkpoint was converted."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from dpt_cli.engine import RawOutput
from dpt_cli.errors import NetworkOutputError, OutOfMemoryError

MODEL_FILE = "model.xml"


class OpenVinoEngine:
    """A converted network, compiled for this CPU.

    Attributes:
        device: Where it runs.
        precision: `fp32`.
    """

    device = "cpu (OpenVINO)"
    precision = "fp32"

    def __init__(self, folder: Path) -> None:
        """Compile the model in a folder that `openvino_export.export` filled.

        What the compiler finds out about this CPU is kept there for the next start.
        """
        import openvino

        self._model = openvino.Core().compile_model(
            folder / MODEL_FILE,
            "CPU",
            {
                # It would compute in bf16 where a CPU has the instructions.
                "INFERENCE_PRECISION_HINT": "f32",
                "PERFORMANCE_HINT": "LATENCY",
                "CACHE_DIR": str(folder / "compiled"),
            },
        )

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
