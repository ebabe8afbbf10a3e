"""The torch engine: devices, precisions, and numbers that are not finite."""

import copy

import numpy as np
import pytest
import torch

import formula
from dpt_cli.engine.torch.engine import TorchEngine, resolve_device, resolve_precision
from dpt_cli.engine.torch.fold import fold_constants
from dpt_cli.errors import DeviceError, NetworkOutputError, OutOfMemoryError
from dpt_cli.model.dpt import DPT
from published import network


@pytest.fixture
def small() -> DPT:
    return copy.deepcopy(network("small-hybrid-depth"))


@pytest.mark.parametrize("name", ["cuda:99", "mps"])
def test_a_device_that_is_not_here_is_named(name: str) -> None:
    if name == "mps" and torch.backends.mps.is_available():
        pytest.skip("this machine has it")
    with pytest.raises(DeviceError, match=name):
        resolve_device(name)


@pytest.mark.parametrize(
    ("precision", "device", "expected"),
    [
        ("auto", "cpu", "fp32"),
        ("auto", "cuda", "fp16"),
        ("auto", "mps", "fp32"),
        ("bf16", "cpu", "bf16"),
    ],
)
def test_auto_precision_is_half_on_cuda_alone(precision: str, device: str, expected: str) -> None:
    assert resolve_precision(precision, torch.device(device)) == expected


def test_a_batch_gives_each_image_its_own_numbers(small: DPT) -> None:
    images = formula.image((64, 96), 3)
    engine = TorchEngine(small, "cpu")
    alone = [engine(images[index : index + 1])[0].values for index in range(3)]
    together = [output.values for output in engine(images)]
    np.testing.assert_array_equal(together, alone)


def test_bf16_stays_near_fp32(small: DPT) -> None:
    images = formula.image((64, 96))
    exact = TorchEngine(small, "cpu", "fp32")(images)[0]
    half = TorchEngine(small, "cpu", "bf16")(images)[0]
    assert half.precision == "bf16"
    # bf16 keeps 8 bits: 0.4 % a step, over some tens of layers.
    assert np.linalg.norm(half.values - exact.values) < 0.1 * np.linalg.norm(exact.values)
    assert not np.array_equal(half.values, exact.values)


def test_weights_rounded_once_give_what_autocast_gives(small: DPT) -> None:
    images = formula.image((64, 96))
    plain = fold_constants(copy.deepcopy(small)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
    batch = torch.from_numpy(images).to(memory_format=torch.channels_last)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        expected = plain(batch).float().numpy()[0]
    np.testing.assert_array_equal(TorchEngine(small, "cpu", "bf16")(images)[0].values, expected)


def test_half_precision_that_overflows_is_done_again_in_fp32(small: DPT) -> None:
    # The first convolution's outputs pass fp16's 65504; the next undoes it.
    for name, factor in {"conv1.weight": 1e6, "conv1.bias": 1e6, "conv2.weight": 1e-6}.items():
        small.head.get_parameter(name).mul_(factor)
    output = TorchEngine(small, "cpu", "fp16")(formula.image((64, 96)))[0]
    assert output.precision == "fp32"
    assert np.isfinite(output.values).all()


def test_nan_in_fp32_is_an_error(small: DPT) -> None:
    small.head.get_parameter("conv2.bias").fill_(float("nan"))
    with pytest.raises(NetworkOutputError, match="NaN"):
        TorchEngine(small, "cpu")(formula.image((64, 96)))


@pytest.mark.parametrize(
    "message",
    [
        "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: "
        "you tried to allocate 7 bytes. Error code 12 (Cannot allocate memory)",
        "[enforce fail at alloc_cpu.cpp:121] data. DefaultCPUAllocator: not enough memory: "
        "you tried to allocate 7 bytes.",
        "MPS backend out of memory (MPS allocated: 17.98 GB, other allocations: 96.00 KB)",
        "std::bad_alloc",
    ],
    ids=["Linux", "Windows", "MPS", "C++"],
)
def test_full_memory_is_told_as_such_whatever_it_is_called(small: DPT, message: str) -> None:
    engine = TorchEngine(small, "cpu")

    def fail(*_: object) -> None:
        raise RuntimeError(message)

    small.head.register_forward_pre_hook(fail)
    with pytest.raises(OutOfMemoryError, match="64"):
        engine(formula.image((64, 96)))


def test_another_error_of_torchs_is_not_taken_for_full_memory(small: DPT) -> None:
    engine = TorchEngine(small, "cpu")

    def fail(*_: object) -> None:
        raise RuntimeError("shape '[2]' is invalid for input of size 3")

    small.head.register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="invalid"):
        engine(formula.image((64, 96)))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="gpu: no CUDA device")
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-4), ("fp16", 2e-2)])
def test_cuda_stays_near_the_cpu(small: DPT, precision: str, tolerance: float) -> None:
    # fp32: other summation orders, but no TF32; fp16 keeps 10 bits over some tens of layers.
    images = formula.image((64, 96))
    expected = TorchEngine(copy.deepcopy(small), "cpu", "fp32")(images)[0].values
    values = TorchEngine(small, "cuda", precision)(images)[0].values
    assert np.linalg.norm(values - expected) <= tolerance * np.linalg.norm(expected)
