"""Load a weights file into a network: check what it holds, whether that fits, and its numbers."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import BinaryIO, Protocol

import torch
from torch import Tensor

from dpt_cli.checkpoint.contents import DAMAGE, damaged, read_contents
from dpt_cli.checkpoint.convert import Sources, sources_of
from dpt_cli.checkpoint.read import Hasher, TensorRead, empty_like, run
from dpt_cli.checkpoint.registry import load_registry
from dpt_cli.checkpoint.stamp import is_known_finite, moments_of, note_finite, verified_sha256
from dpt_cli.checkpoint.stored import Contents, OddTensor, StoredTensor
from dpt_cli.errors import CheckpointError
from dpt_cli.model.architectures import ARCHITECTURES, build_network
from dpt_cli.model.config import Architecture
from dpt_cli.model.dpt import DPT

_NUM_NAMES_SHOWN = 3
_MAX_UNPACKED = 2  # limit on decompressed tensors, in multiples of the network's size
_FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
_INTEGERS = (torch.int64, torch.int32)


class HasShape(Protocol):
    """A tensor, or anything with its shape."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its size along each axis."""


def load_network(path: Path, architecture: Architecture, *, sha256: str = "") -> DPT:
    """Load a checkpoint of any known layout into a network, float32, in eval mode.

    The numbers are copied, so the file may be changed or removed afterwards.

    Args:
        path: The file.
        architecture: Its shape.
        sha256: The verified hash of its content; empty to accept any content.

    Raises:
        CheckpointError: The file cannot be read, is not the one that was hashed, does not fit, or
            holds a number that is not finite. The message names parameters that are missing,
            unexpected or of another shape, and the model that would fit.
    """
    network = _on_meta(architecture)
    try:
        with path.open("rb") as file:
            tensors = _tensors_of_hash(path, file, architecture, network, sha256)
    except OSError as error:
        raise CheckpointError(f"cannot read the weights {path}: {error.strerror}") from error
    # The check takes half a second for the largest network, so its result is kept by hash.
    if not is_known_finite(sha256):
        _require_finite(path, tensors)
        note_finite(sha256)
    network.load_state_dict(tensors, strict=True, assign=True)
    return network.eval().requires_grad_(False)


def fitting(path: Path, architectures: Iterable[Architecture]) -> Iterator[Architecture]:
    """Yield the architectures that a weights file fits, judged by names and shapes alone.

    Raises:
        CheckpointError: The file cannot be read, is damaged or is no DPT checkpoint.
    """
    try:
        with path.open("rb") as file:
            contents = read_contents(path, file)
    except OSError as error:
        raise CheckpointError(f"cannot read the weights {path}: {error.strerror}") from error
    found = _joined(path, contents, sources_of(contents))
    for architecture in architectures:
        if not describe_mismatch(_shapes(architecture), found):
            yield architecture


def _tensors_of_hash(
    path: Path, file: BinaryIO, architecture: Architecture, network: DPT, sha256: str
) -> dict[str, Tensor]:
    """Read the network's tensors, and make sure that the content has that hash."""
    before = os.fstat(file.fileno())
    if not sha256 or verified_sha256(path, before) == sha256:
        tensors = _tensors(path, file, architecture, network)
        if moments_of(os.fstat(file.fileno())) == moments_of(before):
            return tensors
        if not sha256:
            raise CheckpointError(f"{path} changed while it was read; run again")
        before = os.fstat(file.fileno())
    hasher = hashlib.sha256()
    tensors = _tensors(path, file, architecture, network, hasher)
    if moments_of(os.fstat(file.fileno())) != moments_of(before) or hasher.hexdigest() != sha256:
        raise CheckpointError(
            f"{path} changed while in use: its sha256 was {sha256}, and what was read has "
            f"{hasher.hexdigest()}; run again once nothing writes to it"
        )
    return tensors


def _tensors(
    path: Path,
    file: BinaryIO,
    architecture: Architecture,
    network: DPT,
    hasher: Hasher | None = None,
) -> dict[str, Tensor]:
    contents = read_contents(path, file)
    sources = sources_of(contents)
    expected = network.state_dict()
    found = _joined(path, contents, sources)
    mismatch = describe_mismatch(expected, found)
    if mismatch:
        raise CheckpointError(
            f"{path} does not fit {_name_of(architecture)}: {mismatch}.{_what_fits(found)}"
        )
    tensors = empty_like(expected)
    reads = [
        read
        for name, target in tensors.items()
        for read in _reads_of(path, contents, sources[name], target)
    ]
    _require_small(path, reads, expected)
    try:
        run(file, reads, hasher)
    except DAMAGE as error:
        raise damaged(path, error) from error
    return tensors


class _Found:
    """A tensor's shape: of the network, or of the file once its parts are joined."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape


def _joined(path: Path, contents: Contents, sources: Sources) -> dict[str, _Found]:
    """Return the shapes of the file's tensors under our names."""
    found = {}
    for name, parts in sources.items():
        tensors = [contents[part] for part in parts]
        for part, tensor in zip(parts, tensors, strict=True):
            if isinstance(tensor, OddTensor):
                raise CheckpointError(f"{path}: {part} is a {tensor.kind} tensor, not a plain one")
        shapes = [tensor.shape for tensor in tensors if isinstance(tensor, StoredTensor)]
        if len(shapes) == 1:
            found[name] = _Found(shapes[0])
            continue
        if not all(shape and shape[1:] == shapes[0][1:] for shape in shapes):
            raise CheckpointError(
                f"{path}: {parts[0]} and its like cannot be joined: their shapes are "
                f"{', '.join(map(str, shapes))}"
            )
        found[name] = _Found((sum(shape[0] for shape in shapes), *shapes[0][1:]))
    return found


def _reads_of(
    path: Path, contents: Contents, parts: tuple[str, ...], target: Tensor
) -> Iterable[TensorRead]:
    row = 0
    allowed = _FLOATS if target.is_floating_point() else _INTEGERS
    for part in parts:
        source = contents[part]
        assert isinstance(source, StoredTensor)  # `_joined` refused the others
        if source.dtype not in allowed:
            raise CheckpointError(
                f"{path}: {part} holds {_plainly(source.dtype)} where {_plainly(target.dtype)} "
                "is expected"
            )
        rows = target if len(parts) == 1 else target[row : row + source.shape[0]]
        row += source.shape[0] if source.shape else 0
        yield TensorRead(source, rows)


def _plainly(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _require_small(path: Path, reads: list[TensorRead], expected: Mapping[str, Tensor]) -> None:
    storages = {it.source.storage.name: it.source.storage for it in reads}
    num_bytes = sum(storage.num_bytes for storage in storages.values() if storage.packed)
    own = sum(tensor.numel() * tensor.dtype.itemsize for tensor in expected.values())
    if num_bytes > _MAX_UNPACKED * own:
        raise CheckpointError(
            f"{path} is refused: its compressed tensors are said to take {num_bytes} bytes, and "
            f"the network takes {own}"
        )


def _require_finite(path: Path, tensors: Mapping[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and tensor.numel():
            # If a tensor holds NaN, its minimum and maximum are NaN.
            extremes = torch.stack(torch.aminmax(tensor))
            if not torch.isfinite(extremes).all():
                raise CheckpointError(
                    f"{path} is refused: {name} holds NaN or infinity, as float32 at least"
                )


def _name_of(architecture: Architecture) -> str:
    names = [name for name, it in ARCHITECTURES.items() if it == architecture]
    return names[0] if names else "the architecture of this model"


def describe_mismatch(expected: Mapping[str, HasShape], found: Mapping[str, HasShape]) -> str:
    """Return in one line how two sets of parameters differ; empty if they do not."""
    shapes = [
        f"{name} {tuple(found[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in found and tuple(found[name].shape) != tuple(tensor.shape)
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


def _what_fits(found: Mapping[str, HasShape]) -> str:
    """Return a sentence that names the models, or else the architecture, that tensors fit."""
    fits = [
        (name, architecture)
        for name, architecture in ARCHITECTURES.items()
        if not describe_mismatch(_shapes(architecture), found)
    ]
    if not fits:
        return " It fits no published architecture."
    shapes = [architecture for _, architecture in fits]
    models = [
        f"'dpt {row.task} --model {row.name}'"
        for row in load_registry().rows
        if row.architecture in shapes
    ]
    if models:
        return f" It fits {' or '.join(models)}."
    return f" It fits the architecture {fits[0][0]}, for which there is no model."


@cache
def _shapes(architecture: Architecture) -> dict[str, _Found]:
    """Return what an architecture's file holds under our names."""
    tensors = _on_meta(architecture).state_dict()
    return {name: _Found(tuple(tensor.shape)) for name, tensor in tensors.items()}


def _on_meta(architecture: Architecture) -> DPT:
    with torch.device("meta"):
        return build_network(architecture)
