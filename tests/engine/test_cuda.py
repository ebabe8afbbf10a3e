"""Recorded kernels: when they are recorded, and that nothing but the network's numbers comes out.

What decides runs here with a recorder of plain Python; CUDA itself has tests that need a GPU.
"""

import copy
import threading
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

import formula
from dpt_cli.engine.torch.cuda import Network, Replayed
from dpt_cli.engine.torch.engine import TorchEngine
from dpt_cli.errors import DeviceError
from published import network

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="gpu: no CUDA device")


class Doubled:
    """A network that doubles, and a recorder whose recordings do the same or what they are told."""

    def __init__(self, replay: Network = lambda images: 2 * images) -> None:
        self.calls: list[str] = []
        self._replay = replay

    def network(self, images: Tensor) -> Tensor:
        self.calls.append("network")
        return 2 * images

    def record(self, _network: Network, images: Tensor) -> Network:
        self.calls.append(f"record {len(images)}")

        def replay(images: Tensor) -> Tensor:
            self.calls.append("replay")
            return self._replay(images)

        return replay

    def replayed(self, *, from_first: bool) -> Replayed:
        return Replayed(self.network, self.record, from_first=from_first)


def batch(size: int, value: float = 1) -> Tensor:
    return torch.full((size, 3, 4, 4), value)


def test_a_shape_is_recorded_when_it_comes_often_and_replayed_from_then_on() -> None:
    it = Doubled()
    run = it.replayed(from_first=False)
    for value in range(20):
        assert run(batch(1, value))[0, 0, 0, 0] == 2 * value
    # The sixteenth is computed, recorded, and replayed once to compare.
    assert it.calls == [*["network"] * 16, "record 1", *["replay"] * 5]


def test_shapes_that_come_seldom_are_never_recorded() -> None:
    it = Doubled()
    run = it.replayed(from_first=False)
    for size in range(1, 40):
        run(batch(size))
    assert set(it.calls) == {"network"}


def test_on_demand_every_shape_is_recorded_at_once() -> None:
    it = Doubled()
    run = it.replayed(from_first=True)
    for size in (1, 2, 1, 2):
        assert run(batch(size, 3)).shape == (size, 3, 4, 4)
    assert it.calls == ["network", "record 1", "replay", "network", "record 2", *["replay"] * 3]


def test_only_so_many_shapes_are_kept() -> None:
    it = Doubled()
    run = it.replayed(from_first=True)
    for size in range(1, 40):
        run(batch(size))
    assert sum(call.startswith("record") for call in it.calls) == 16


def _raises(error: Exception) -> Network:
    def replay(_images: Tensor) -> Tensor:
        raise error

    return replay


@pytest.mark.parametrize(
    "replay",
    [
        lambda images: 2.1 * images,
        lambda images: images * float("nan"),
        _raises(RuntimeError("operation not permitted when stream is capturing")),
        _raises(torch.OutOfMemoryError("CUDA out of memory")),
    ],
    ids=["other numbers", "NaN", "not possible", "memory"],
)
def test_a_recording_that_fails_is_not_used(replay: Network) -> None:
    it = Doubled(replay)
    run = it.replayed(from_first=False)
    for _ in range(40):
        assert (run(batch(1)) == 2).all()
    assert it.calls.count("record 1") == 1
    demanded = Doubled(replay).replayed(from_first=True)
    with pytest.raises((DeviceError, torch.OutOfMemoryError)):
        demanded(batch(1))


def test_a_result_that_overflowed_is_nothing_to_compare_with() -> None:
    it = Doubled()
    run = it.replayed(from_first=True)
    run(batch(1, float("inf")))
    assert it.calls == ["network"]
    run(batch(1))
    assert it.calls == ["network", "network", "record 1", "replay"]


def test_cuda_graphs_elsewhere_are_an_error() -> None:
    with pytest.raises(DeviceError, match=r"--cuda-graphs.*cpu"):
        TorchEngine(copy.deepcopy(network("small-hybrid-depth")), "cpu", cuda_graphs=True)


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("name", ["small-hybrid-depth", "small-vit-depth"])
@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_a_recording_gives_what_the_network_gives(name: str, precision: str) -> None:
    plain = TorchEngine(copy.deepcopy(network(name)), "cuda", precision, cuda_graphs=False)
    recorded = TorchEngine(copy.deepcopy(network(name)), "cuda", precision, cuda_graphs=True)
    for hw in ((64, 96), (96, 64), (64, 64), (64, 96)):
        for size in (1, 3, 1):
            images = formula.image(hw, size)
            expected = np.stack([output.values for output in plain(images)])
            values = np.stack([output.values for output in recorded(images)])
            # The same kernels; a library may choose another for the same sum on another stream.
            assert np.abs(values - expected).max() <= 1e-3 * np.abs(expected).max()


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("cuda_graphs", [False, None, True])
def test_two_threads_get_their_own_results(cuda_graphs: bool | None) -> None:
    engine = TorchEngine(
        copy.deepcopy(network("small-hybrid-depth")), "cuda", "fp32", cuda_graphs=cuda_graphs
    )
    images = [factor * formula.image((64, 96)) for factor in (0.5, 1, 2)]
    expected = [engine(image)[0].values.copy() for image in images]
    wrong: list[int] = []

    def work(start: int) -> Callable[[], None]:
        def run() -> None:
            for number in range(start, start + 60):
                values = engine(images[number % 3])[0].values
                if np.abs(values - expected[number % 3]).max() > 1e-3 * np.abs(values).max():
                    wrong.append(number)

        return run

    threads = [threading.Thread(target=work(start)) for start in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
