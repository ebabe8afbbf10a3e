"""Asynchronous copies and CUDA graphs."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dpt_cli.errors import DeviceError

Network = Callable[[Tensor], Tensor]
Record = Callable[[Network, Tensor], Network]

# A shape is recorded after this many batches, so never for a few photographs.
_MANY_BATCHES = 16
# Each keeps an input and a result on the GPU. They share the memory in between.
_MAX_RECORDINGS = 16
# Relative to the largest value. The kernels are the same, so a larger difference is a fault.
_FAULT = 1e-2


def copy_to_gpu(images: npt.NDArray[np.float32], device: torch.device) -> Tensor:
    """Start copying a batch, float32 (B, 3, h, w), to a GPU, where it is channels-last."""
    # From pinned memory, the copy runs while the CPU continues.
    batch = torch.from_numpy(images).pin_memory().to(device, non_blocking=True)
    return batch.contiguous(memory_format=torch.channels_last)


def begin_copy_from_gpu(output: Tensor) -> Callable[[], npt.NDArray[np.float32]]:
    """Start copying a result from a GPU; return a function that waits and returns it in float32."""
    host = torch.empty(output.shape, dtype=torch.float32, pin_memory=True)
    host.copy_(output.float(), non_blocking=True)
    is_copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
    is_copied.record()

    def wait() -> npt.NDArray[np.float32]:
        is_copied.synchronize()
        values: npt.NDArray[np.float32] = host.numpy()
        return values

    return wait


class GraphRecorder:
    """Records networks as CUDA graphs that share memory; only one is replayed at a time."""

    def __init__(self, device: torch.device) -> None:
        # One stream for all, because they share memory on a stream.
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._memory = torch.cuda.graph_pool_handle()

    def __call__(self, network: Network, images: Tensor) -> Network:
        """Record a network's kernels for a batch of this shape.

        Returns:
            A function that replays them for another such batch. Its result is valid until the
            next replay.

        Raises:
            RuntimeError: Something in the network cannot be recorded, or memory is short.
        """
        fixed, here = images.clone(), torch.cuda.current_stream()
        self._stream.wait_stream(here)
        with torch.cuda.stream(self._stream):
            network(fixed)  # lets libraries initialise on this stream, which cannot be recorded
        here.wait_stream(self._stream)
        graph = torch.cuda.CUDAGraph()
        # Thread-local: meanwhile, other threads may do what a recording forbids, such as allocate.
        mode = "thread_local"
        try:
            with torch.cuda.graph(graph, self._memory, self._stream, capture_error_mode=mode):
                output = network(fixed)
        finally:
            # If a recording fails, torch does not restore the stream.
            torch.cuda.set_stream(here)

        def replay(images: Tensor) -> Tensor:
            fixed.copy_(images)
            graph.replay()
            return output

        return replay


class Replayed:
    """A network that replays recorded kernels for frequent shapes.

    For a small batch, launching hundreds of kernels from Python takes longer than computing them; a
    recording is launched at once. It is used only after it reproduced the network's own result.
    """

    def __init__(self, network: Network, record: Record, *, from_first: bool) -> None:
        """Wrap a network.

        Args:
            network: Batch in, result out.
            record: Records a network for a batch's shape.
            from_first: Whether to record every shape at once and raise if that fails. Otherwise
                only frequent shapes are recorded, and a failure is ignored.
        """
        self._network, self._record = network, record
        self._is_demanded = from_first
        self._num_seen: Counter[torch.Size] = Counter()
        self._recordings: dict[torch.Size, Network] = {}

    def __call__(self, images: Tensor) -> Tensor:
        """Run a batch; the result is valid until the next call.

        Raises:
            DeviceError: The shape had to be recorded, and that failed.
        """
        shape = images.shape
        if shape in self._recordings:
            return self._recordings[shape](images)
        output = self._network(images)
        self._num_seen[shape] += 1
        enough = 1 if self._is_demanded else _MANY_BATCHES
        if self._num_seen[shape] == enough and len(self._recordings) < _MAX_RECORDINGS:
            if torch.isfinite(output).all():
                self._try_to_record(images, output)
            else:  # half precision overflowed: nothing to compare a recording with
                self._num_seen[shape] -= 1
        return output

    def _try_to_record(self, images: Tensor, output: Tensor) -> None:
        try:
            replay = self._record(self._network, images)
            difference = (replay(images) - output).abs().max()
            if not difference <= _FAULT * output.abs().max():
                raise RuntimeError("its numbers are not the network's")  # noqa: TRY301
        except torch.OutOfMemoryError:
            if self._is_demanded:
                raise
        except RuntimeError as error:
            if self._is_demanded:
                raise DeviceError(f"no CUDA graph, run without --cuda-graphs: {error}") from error
        else:
            self._recordings[images.shape] = replay
