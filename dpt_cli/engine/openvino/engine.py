"""Run a converted network on OpenVINO, on the CPU and without torch."""

import threading
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from dpt_cli.engine import RawOutput
from dpt_cli.engine.openvino.compiled import compile_network
from dpt_cli.engine.openvino.files import Conversion
from dpt_cli.errors import ConversionError, DeviceError, NetworkOutputError, OutOfMemoryError


class OpenVinoEngine:
    """A converted network, compiled for this CPU.

    Attributes:
        device: Where it runs.
        precision: `fp32`, `bf16` or `int8`.
        name: `openvino`.
        remark: For int8, how it changes the maps.
        num_at_once: 1.
    """

    device = "cpu (OpenVINO)"
    name = "openvino"
    num_at_once = 1

    def __init__(
        self,
        conversion: Conversion,
        notify: Callable[[str], None] = lambda _line: None,
        *,
        in_bf16: bool = False,
    ) -> None:
        """Compile a conversion, unless that was done before on this kind of CPU.

        Args:
            conversion: The network's files. They are read once and may then change or be removed.
            notify: Takes one line for the user.
            in_bf16: Compute an fp32 conversion in bf16.

        Raises:
            DamagedError: The files were changed.
            ConversionError: The files are sound, but OpenVINO cannot run them, or not in bf16.
            DeviceError: Memory is short.
            OSError: The files cannot be read.
        """
        self.precision = "bf16" if in_bf16 else str(conversion.record["of"]["precision"])
        self.remark = str(conversion.record.get("remark", ""))
        try:
            model, self._memory = compile_network(conversion, notify, in_bf16=in_bf16)
            computes_in = model.get_property("INFERENCE_PRECISION_HINT").get_type_name()
            self._request = model.create_infer_request()
        except MemoryError as error:
            raise DeviceError(f"{self.device} has too little memory for the weights") from error
        except RuntimeError as error:
            last = (str(error).strip().splitlines() or ["no reason given"])[-1]
            raise ConversionError(f"OpenVINO cannot run {conversion.folder}: {last}") from error
        # OpenVINO falls back to f32 without an error where it has no kernels for bf16.
        if in_bf16 and computes_in != "bf16":
            raise ConversionError(
                f"OpenVINO computes in {computes_in} on this CPU, not in bf16; use --precision fp32"
            )
        self._lock = threading.Lock()

    def __call__(self, images: npt.NDArray[np.float32]) -> list[RawOutput]:
        """Run a batch image by image: it is as fast, and no result depends on the other images.

        Threads take turns.

        Args:
            images: float32 (B, 3, h, w), normalised.

        Raises:
            NetworkOutputError: NaN or infinity.
            OutOfMemoryError: An image does not fit.
        """
        return [self._one(image) for image in images]

    def _one(self, image: npt.NDArray[np.float32]) -> RawOutput:
        try:
            # A request holds one image and its result, which the next call overwrites.
            with self._lock:
                outputs = self._request.infer([image[None]], share_inputs=True, share_outputs=True)
                values: npt.NDArray[np.float32] = outputs[0][0].copy()
        except (RuntimeError, MemoryError) as error:
            if isinstance(error, RuntimeError) and "alloc" not in str(error):
                raise
            _, height, width = image.shape
            raise OutOfMemoryError(
                f"out of memory on {self.device} with {width} x {height} px; "
                "use a smaller --resolution"
            ) from error
        if not np.isfinite(values).all():
            raise NetworkOutputError("the network gave NaN or infinity")
        return RawOutput(values, self.precision)
