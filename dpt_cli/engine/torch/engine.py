"""The network on torch: CUDA, MPS or CPU."""

import contextlib
import copy
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from dpt_cli.engine import RawOutput
from dpt_cli.engine.choice import no_graphs
from dpt_cli.engine.torch.cuda import (
    GraphRecorder,
    Network,
    Replayed,
    begin_copy_from_gpu,
    copy_to_gpu,
)
from dpt_cli.engine.torch.fold import fold_constants
from dpt_cli.errors import DeviceError, NetworkOutputError, OutOfMemoryError
from dpt_cli.model.dpt import DPT

_DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16}


def resolve_device(name: str) -> torch.device:
    """Return the device of that name; `auto` is CUDA, then MPS, then CPU.

    Raises:
        DeviceError: This machine has no such device.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            raise DeviceError(f"no device {name}: this machine has {count} CUDA devices")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise DeviceError("no device mps: this machine has none; use --device cpu")
    return device


def resolve_precision(name: str, device: torch.device) -> str:
    """Return `fp32`, `fp16` or `bf16`; `auto` is fp16 on CUDA and fp32 elsewhere."""
    if name == "auto":
        return "fp16" if device.type == "cuda" else "fp32"
    return name


class TorchEngine:
    """A network on one device in one precision; its float32 weights are kept for retries.

    Attributes:
        device: The device's name.
        precision: `fp32`, `fp16` or `bf16`.
        name: `torch`.
        remark: Empty.
        num_at_once: 2 on CUDA, where one batch computes while the other's result is copied; else 1.
    """

    name = "torch"
    remark = ""

    def __init__(
        self,
        network: DPT,
        device: str = "auto",
        precision: str = "auto",
        *,
        cuda_graphs: bool | None = None,
    ) -> None:
        """Fold the network's constants, in place, and move it to a device.

        Args:
            network: In eval mode.
            device: Its name, or `auto`.
            precision: `fp32`, `fp16`, `bf16` or `auto`.
            cuda_graphs: Whether to record the network for each shape and replay it; None records
                frequent shapes on CUDA.

        Raises:
            DeviceError: There is no such device, it has too little memory, or CUDA graphs are asked
                for on another device.
        """
        self._device = resolve_device(device)
        self.device = str(self._device)
        is_cuda = self._device.type == "cuda"
        if cuda_graphs and not is_cuda:
            raise DeviceError(no_graphs(self.device))
        self.num_at_once = 2 if is_cuda else 1
        self._lock = threading.Lock()
        self.precision = resolve_precision(precision, self._device)
        try:
            folded = fold_constants(network).to(self._device)
            # Convolutions compute in channels-last, so nothing has to be reordered for them.
            self._network = folded.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
            self._asked: Network = self._network
            if self.precision != "fp32":
                self._asked = _with_rounded_weights(self._network, _DTYPES[self.precision])
        except (RuntimeError, MemoryError) as error:
            if not _is_of_memory(error):
                raise
            raise DeviceError(f"{self.device} has too little memory for the weights") from error
        if is_cuda and cuda_graphs is not False:
            record = GraphRecorder(self._device)
            self._asked = Replayed(self._asked, record, from_first=bool(cuda_graphs))

    def __call__(self, images: npt.NDArray[np.float32]) -> list[RawOutput]:
        """Run a batch; threads take turns, except while they wait for a GPU's result.

        Images whose result is not finite are computed again in fp32.

        Args:
            images: float32 (B, 3, h, w), normalised.

        Returns:
            One result per image, with the precision it was computed in.

        Raises:
            NetworkOutputError: NaN or infinity in fp32 too.
            OutOfMemoryError: The batch does not fit.
            DeviceError: CUDA graphs were asked for, and recording failed.
        """
        values = self._infer(images, self.precision)
        outputs = [RawOutput(value, self.precision) for value in values]
        for index, value in enumerate(values):
            if not np.isfinite(value).all():
                outputs[index] = self._again_in_fp32(images[index : index + 1])
        return outputs

    def _again_in_fp32(self, image: npt.NDArray[np.float32]) -> RawOutput:
        if self.precision != "fp32":
            value = self._infer(image, "fp32")[0]
            if np.isfinite(value).all():
                return RawOutput(value, "fp32")
        raise NetworkOutputError("the network gave NaN or infinity, in fp32 too")

    @torch.inference_mode()
    def _infer(self, images: npt.NDArray[np.float32], precision: str) -> npt.NDArray[np.float32]:
        if self._device.type == "cpu" and len(images) > 1:
            # As fast as a batch, and the last bits do not depend on the other images.
            return np.concatenate([self._infer(image[None], precision) for image in images])
        try:
            with self._lock, self._current_device():
                wait = self._begin(images, precision)
            result = wait()
        except (RuntimeError, MemoryError) as error:
            if not _is_of_memory(error):
                raise
            count, _, height, width = images.shape
            raise OutOfMemoryError(
                f"out of memory on {self.device} with {count} x {width} x {height} px; "
                "use a smaller --batch-size or --resolution"
            ) from error
        return result

    def _begin(
        self, images: npt.NDArray[np.float32], precision: str
    ) -> Callable[[], npt.NDArray[np.float32]]:
        """Run a batch (on CUDA, launch it); return a function that returns its result."""
        network = self._asked if precision == self.precision else self._network
        is_cuda = self._device.type == "cuda"
        if is_cuda:
            batch = copy_to_gpu(images, self._device)
        else:
            channels_last = torch.channels_last
            batch = torch.from_numpy(images).to(self._device, memory_format=channels_last)
        with self._arithmetic(precision):
            output = network(batch)
        return begin_copy_from_gpu(output) if is_cuda else output.float().cpu().numpy

    def _current_device(self) -> AbstractContextManager[object]:
        """Return a context in which this GPU is the current one."""
        if self._device.type != "cuda":
            return contextlib.nullcontext()
        context: AbstractContextManager[object] = torch.cuda.device(self._device)
        return context

    def _arithmetic(self, precision: str) -> AbstractContextManager[object]:
        if precision != "fp32":
            # No cache: a recording cannot contain one, and the weights are rounded already.
            return torch.autocast(self._device.type, dtype=_DTYPES[precision], cache_enabled=False)
        if self._device.type != "cuda":
            return contextlib.nullcontext()
        # Otherwise cuDNN would convolve in TF32, which keeps 10 bits of the mantissa.
        exact: AbstractContextManager[object] = torch.backends.cudnn.flags(
            enabled=True, allow_tf32=False
        )
        return exact


def _is_of_memory(error: Exception) -> bool:
    """Return whether an error means that memory is short; only CUDA has a class for it.

    The CPU's allocator reports "DefaultCPUAllocator: can't allocate memory", on Windows "not enough
    memory: you tried to allocate"; MPS says "MPS backend out of memory".
    """
    text = str(error).lower()
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(
        words in text
        for words in (
            *("allocate memory", "not enough memory", "out of memory", "defaultcpuallocator"),
            *("bad allocation", "bad_alloc"),
        )
    )


def _with_rounded_weights(network: DPT, dtype: torch.dtype) -> DPT:
    """Return a copy whose linear layers and convolutions have rounded weights; the rest is shared.

    The numbers are those of autocast, which would round every weight again at each call: it caches
    rounded weights only if they need gradients.
    """
    tensors = (*network.parameters(), *network.buffers())
    replaced: dict[int, Tensor] = {id(tensor): tensor for tensor in tensors}
    for module in network.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
            for weight in module.parameters(recurse=False):
                replaced[id(weight)] = nn.Parameter(weight.to(dtype), requires_grad=False)
    return copy.deepcopy(network, replaced)
