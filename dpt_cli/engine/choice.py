"""Choose the engine of a network without importing any."""

import ctypes.util
import importlib.util
import sys

from dpt_cli.errors import DeviceError
from dpt_cli.host import has_bf16

_INSTALL = "pip install 'dpt-vision[openvino]'"


def resolve_engine(name: str, device: str, precision: str) -> str:
    """Return `torch` or `openvino`.

    `auto` is OpenVINO for int8. If it is installed, `auto` is also OpenVINO on a CPU for fp32, and
    for bf16 if the CPU has it in hardware. Otherwise it is torch.

    Raises:
        DeviceError: OpenVINO is asked for but not installed, or does not support the request.
    """
    is_here = has_openvino()
    fits = device in ("auto", "cpu") and precision in ("auto", "fp32", "bf16", "int8")
    if precision == "int8":
        if name == "torch":
            raise DeviceError("int8 is OpenVINO's: --engine openvino, or leave it to auto")
        name = "openvino"
    if name == "auto":
        fits = fits and (precision != "bf16" or has_bf16() is True)
        return "openvino" if is_here and fits and (device == "cpu" or not has_gpu()) else "torch"
    if name == "openvino":
        if not is_here:
            raise DeviceError(f"OpenVINO is not installed: {_INSTALL}")
        if not fits:
            raise DeviceError(
                f"--engine openvino runs on the CPU in fp32, bf16 or int8, not on {device} in "
                f"{precision}"
            )
        if precision == "bf16" and has_bf16() is False:
            raise DeviceError(
                "this CPU has no bf16 in hardware, and emulating it would be slower than fp32: "
                "use --precision fp32"
            )
    return name


def no_graphs(device: str) -> str:
    """Return the message that there are no CUDA graphs on a device."""
    return f"--cuda-graphs records CUDA graphs, and this runs on {device}: leave it out"


def has_openvino() -> bool:
    """Return whether OpenVINO is installed."""
    return importlib.util.find_spec("openvino") is not None


def has_gpu() -> bool:
    """Return whether torch might find a GPU, judged by its driver alone."""
    library = "nvcuda" if sys.platform == "win32" else "cuda"
    return sys.platform == "darwin" or ctypes.util.find_library(library) is not None
