"""A weights file to a network ready to run: read, convert, load strictly, eval.

Never looks anything up: a path and an architecture go in, a network comes out.
"""

import pickle
import re
import struct
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from dpt_cli.checkpoint.convert import convert_state_dict
from dpt_cli.errors import CheckpointError
from dpt_cli.model.config import PRESETS, DPTConfig
from dpt_cli.model.dpt import DPT, build_dpt

_NUM_NAMES_SHOWN = 3
_ZIP_MAGIC = b"PK\x03\x04"
# The opcode that opens a pickle of protocol 2 to 5, as torch wrote before 1.6.
_PICKLE_MAGIC = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))
# What reading a damaged pickle may raise: its instructions are then any bytes at all.
_DAMAGE = (
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    struct.error,
)
_MAX_REASON_CHARACTERS = 200


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file or a pickle of tensors, mapped from disk, not copied.

    Raises:
        CheckpointError: The file is missing, damaged, or holds more than tensors.
    """
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise CheckpointError(f"cannot read the weights {path}: {error.strerror}") from error
    # A safetensors file starts with the length of its JSON header.
    if head[8:9] == b"{":
        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise CheckpointError(
                f"{path} is a damaged safetensors file: {_first_sentence(error)}"
            ) from error
    if not head.startswith((_ZIP_MAGIC, *_PICKLE_MAGIC)):
        begin = f"it begins with {head!r}" if head else "it is empty"
        raise CheckpointError(f"{path} is not a weights file: {begin}")
    return _read_pickle(path, is_zip=head.startswith(_ZIP_MAGIC))


def _read_pickle(path: Path, is_zip: bool) -> dict[str, Tensor]:
    try:
        with warnings.catch_warnings():
            # torch 2.13 warns of the newer pickle protocols, which it reads all the same.
            warnings.simplefilter("ignore", UserWarning)
            content = _torch_load(path, is_zip)
    except pickle.UnpicklingError as error:
        # torch's own words advise to load it all the same.
        code = re.search(r"GLOBAL (\S+)", str(error))
        reason = f"it wants to run {code[1]}" if code else "it is damaged"
        raise CheckpointError(
            f"{path} is refused: it is no plain file of tensors ({reason})"
        ) from error
    except _DAMAGE as error:
        raise CheckpointError(
            f"{path} is not a weights file, or damaged: {_first_sentence(error)}"
        ) from error
    # The authors' training checkpoints keep the network beside the optimizer.
    if isinstance(content, dict) and "model" in content and "optimizer" in content:
        content = content["model"]
    is_state_dict = isinstance(content, dict) and all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items()
    )
    if not is_state_dict:
        raise CheckpointError(f"{path} holds no dictionary of tensors")
    return dict(content)


def _torch_load(path: Path, is_zip: bool) -> Any:
    # torch 2.13 takes a path that ends so for safetensors, whatever it holds.
    if path.suffix == ".safetensors":
        with path.open("rb") as file:
            return torch.load(file, map_location="cpu", weights_only=True)
    # Only the zip format, torch's default since 1.6, can be mapped.
    return torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)


def _first_sentence(error: BaseException) -> str:
    told = str(error) or type(error).__name__
    return re.split(r"\n|\. ", told)[0][:_MAX_REASON_CHARACTERS]


def load_network(path: Path, config: DPTConfig) -> DPT:
    """Load a checkpoint of any known layout into a network, float32, in eval mode.

    Raises:
        CheckpointError: The file cannot be read or does not fit; the message names what is
            missing, unexpected or of another shape, and the preset that would fit.
    """
    state_dict = convert_state_dict(read_state_dict(path))
    network = _on_meta(config)
    mismatch = describe_mismatch(network.state_dict(), state_dict)
    if mismatch:
        expected = _preset_name(config)
        raise CheckpointError(
            f"{path} does not fit {expected}: {mismatch}.{_fitting_preset(state_dict)}"
        )
    state_dict = {name: _as_float32(tensor) for name, tensor in state_dict.items()}
    network.load_state_dict(state_dict, strict=True, assign=True)
    return network.eval().requires_grad_(False)


def _preset_name(config: DPTConfig) -> str:
    names = [name for name, preset in PRESETS.items() if preset == config]
    return names[0] if names else "the architecture of this model"


def describe_mismatch(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    """Say in one line how two sets of parameters differ; empty where they do not."""
    shapes = [
        f"{name} {tuple(found[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in found and found[name].shape != tensor.shape
    ]
    return "; ".join(
        f"{len(names)} {what} ({_first(names)})"
        for what, names in (
            ("missing", [name for name in expected if name not in found]),
            ("unexpected", [name for name in found if name not in expected]),
            ("of another shape", shapes),
        )
        if names
    )


def _first(names: Iterable[str]) -> str:
    shown = list(names)
    dots = ", ..." if len(shown) > _NUM_NAMES_SHOWN else ""
    return ", ".join(shown[:_NUM_NAMES_SHOWN]) + dots


def _fitting_preset(state_dict: Mapping[str, Tensor]) -> str:
    for name, config in PRESETS.items():
        if not describe_mismatch(_on_meta(config).state_dict(), state_dict):
            return f" It fits {name}: use a --model and task of that architecture."
    return " It fits no published architecture."


def _on_meta(config: DPTConfig) -> DPT:
    with torch.device("meta"):
        return build_dpt(config)


def _as_float32(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor
