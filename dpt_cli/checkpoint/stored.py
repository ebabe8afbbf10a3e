"""What a weights file says it holds: every tensor's kind, shape and place, none of its numbers.

Everything a file claims is checked by arithmetic here, before memory is set aside for it.
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
    """What a file says of itself cannot be; the message says why in a few words."""


@dataclass(frozen=True)
class Storage:
    """A run of bytes in a file.

    Attributes:
        name: What the file calls it.
        offset: Its first byte in the file; of its compressed form where there is one.
        num_bytes: Its length, uncompressed.
        packed: The member of the zip file that holds it compressed; None where it is plain.
    """

    name: str
    offset: int
    num_bytes: int
    packed: zipfile.ZipInfo | None = None


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a file: a strided view of a storage.

    Attributes:
        dtype: The kind of its numbers.
        shape: Its size along each axis.
        stride: Steps along each axis, in elements.
        first: Its first element in the storage.
        storage: Where its numbers are.
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
        """How many elements of the storage lie between its first and its last, both included."""
        if 0 in self.shape:
            return 0
        steps = zip(self.shape, self.stride, strict=True)
        return 1 + sum((side - 1) * step for side, step in steps)

    @property
    def is_plain(self) -> bool:
        """Whether its numbers lie in order and without gaps."""
        step = 1
        for side, stride in zip(reversed(self.shape), reversed(self.stride), strict=True):
            if side != 1 and stride != step:
                return False
            step *= side
        return True


@dataclass(frozen=True)
class OddTensor:
    """A tensor of a kind no network of ours is made of.

    Attributes:
        kind: `sparse`, `quantised`, ...
    """

    kind: str


Contents = Mapping[str, StoredTensor | OddTensor]


def row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the strides of a tensor whose numbers lie in order."""
    return tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))


def file_size(file: BinaryIO) -> int:
    """Return a file's length [bytes]."""
    return file.seek(0, 2)
