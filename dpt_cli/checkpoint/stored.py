"""The tensors that a weights file claims to hold: data type, shape and place, without the numbers.

These claims are checked by arithmetic before any memory is allocated for them.
"""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import BinaryIO

import torch

_MAX_AXES = 16
_MAX_COUNT = 2**48  # far beyond any file, and no product of two overflows


class DamageError(Exception):
    """A file contradicts itself; the message gives the reason in a few words."""


@dataclass(frozen=True)
class Storage:
    """A run of bytes in a file.

    Attributes:
        name: Its name in the file.
        offset: Its first byte in the file, or that of its compressed form.
        num_bytes: Its length, uncompressed.
        packed: The zip member that holds it compressed; None if it is not compressed.
    """

    name: str
    offset: int
    num_bytes: int
    packed: zipfile.ZipInfo | None = None


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a file: a strided view of a storage.

    Attributes:
        dtype: Its data type.
        shape: Its size along each axis.
        stride: Steps along each axis, in elements.
        first: Its first element in the storage.
        storage: The bytes it is a view of.
    """

    dtype: torch.dtype
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    first: int
    storage: Storage

    def __post_init__(self) -> None:
        counts = (*self.shape, *self.stride, self.first)
        if len(self.shape) != len(self.stride) or len(self.shape) > _MAX_AXES:
            raise DamageError("a tensor's shape and strides do not belong together")
        if not all(type(count) is int and 0 <= count < _MAX_COUNT for count in counts):
            raise DamageError("a tensor's shape cannot be")
        end = self.dtype.itemsize * (self.first + self.num_spanned)
        if end > self.storage.num_bytes:
            raise DamageError(
                f"a tensor of shape {self.shape} ends at byte {end} of {self.storage.num_bytes}"
            )

    @property
    def num_spanned(self) -> int:
        """Elements of the storage from its first to its last, both included."""
        if 0 in self.shape:
            return 0
        steps = zip(self.shape, self.stride, strict=True)
        return 1 + sum((side - 1) * step for side, step in steps)

    @property
    def is_plain(self) -> bool:
        """Whether its numbers are contiguous and in order."""
        step = 1
        for side, stride in zip(reversed(self.shape), reversed(self.stride), strict=True):
            if side != 1 and stride != step:
                return False
            step *= side
        return True


@dataclass(frozen=True)
class OddTensor:
    """A tensor of a kind that no network here contains.

    Attributes:
        kind: `sparse`, `quantised`, ...
    """

    kind: str


Contents = Mapping[str, StoredTensor | OddTensor]


def row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the strides of a contiguous tensor."""
    return tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))


def file_size(file: BinaryIO) -> int:
    """Return a file's length [bytes]."""
    return file.seek(0, 2)
