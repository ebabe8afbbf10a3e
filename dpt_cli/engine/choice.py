"""Which engine runs a network: decided without importing any."""

import ctypes.util
import importlib.util
import sys

from dpt_cli.errors import DeviceError

_INSTALL = "pip install 'dpt-vision[openvino]'"


def resolve_engine(name: str, device: str, precision: str) -> str:
    """Return `torch` or `openvino`.

    `auto` is OpenVINO for int8, and where it is installed and the run would be on a CPU in fp32;
    torch elsewhere.

    Raises:
        DeviceError: OpenVINO is asked for and not installed, or cannot do what is asked.
    """
    is_here = has_openvino()
    fits = device in ("auto", "cpu") and precision in ("auto", "fp32", "int8")
    if precision == "int8":
        if name == "torch":
            raise DeviceError("int8 is OpenVINO's: --engine openvino, or leave it to auto")
        name = "openvino"
    if name == "auto":
        return "openvino" if is_here and fits and (device == "cpu" or not has_gpu()) else "torch"
    if name == "openvino":
        if not is_here:
            raise DeviceError(f"OpenVINO is not installed: {_INSTALL}")
        if not fits:
            raise DeviceError(
                f"--engine openvino runs on the CPU in fp32 or int8, not on {device} in {precision}"
            )
    return name


def no_graphs(device: str) -> str:
    """Say that CUDA graphs were asked for where there are none."""
    return f"--cuda-graphs records CUDA graphs, and this runs on {device}: leave it out"


def has_openvino() -> bool:
    """Tell whether OpenVINO is installed."""
    return importlib.util.find_spec("openvino") is not None


def has_gpu() -> bool:
    """Tell whether torch might find a GPU, by its driver alone."""
    library = "nvcuda" if sys.platform == "win32" else "cuda"
    return sys.platform == "darwin" or ctypes.util.find_library(library) is not None
