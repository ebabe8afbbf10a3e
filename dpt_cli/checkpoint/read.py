"""Read a weights file's numbers from one open file into memory that no other process can change.

The places of the tensors are known by then. Memory is allocated for what the network needs, never
for what a file claims.
"""

import io
import os
import zipfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import BinaryIO, Protocol, cast

import torch
from torch import Tensor

from dpt_cli.checkpoint.stored import DamageError, StoredTensor, file_size
from dpt_cli.host import num_cores

_PIECE_BYTES = 1 << 20
_PART_BYTES = 16 << 20
_MAX_THREADS = 4
_SHORTER = "it became shorter while it was read"


class Hasher(Protocol):
    """A hash object of `hashlib`."""

    def update(self, data: memoryview | bytes, /) -> None:
        """Add bytes."""


@dataclass(frozen=True)
class TensorRead:
    """A tensor to read, and the contiguous memory of the same shape that receives its numbers."""

    source: StoredTensor
    target: Tensor

    @property
    def is_direct(self) -> bool:
        """Whether the file's bytes can be copied as they are."""
        source = self.source
        is_same = source.dtype == self.target.dtype and source.is_plain
        return is_same and source.storage.packed is None

    @property
    def begin(self) -> int:
        """Offset of the first byte to read."""
        storage, source = self.source.storage, self.source
        return storage.offset + (0 if storage.packed else source.first * source.dtype.itemsize)

    @property
    def end(self) -> int:
        """Offset after the last byte to read."""
        if self.source.storage.packed:
            return self.begin + self.source.storage.packed.compress_size
        return self.begin + self.source.num_spanned * self.source.dtype.itemsize


def run(file: BinaryIO, reads: list[TensorRead], hasher: Hasher | None = None) -> None:
    """Fill every target. A hasher receives all of the file's bytes, exactly as they are used.

    Raises:
        DamageError: The file ends too early, or a compressed tensor is damaged.
    """
    reads = sorted(reads, key=lambda it: (it.begin, it.end))
    if hasher and not _follow_each_other(reads):
        # Bytes that are read twice or decompressed are hashed first, then read from that copy.
        file.seek(0)
        content = file.read()
        hasher.update(content)
        file, hasher = io.BytesIO(content), None
    elif not hasher and hasattr(os, "preadv"):
        _fill_side_by_side(file.fileno(), [read for read in reads if read.is_direct])
        reads = [read for read in reads if not read.is_direct]
    position = 0
    packed: dict[str, Tensor] = {}
    for read in reads:
        if hasher:
            _hash(file, hasher, position, read.begin)
            position = read.end
        if read.is_direct:
            raw = _as_bytes(read.target)
            _fill(file, read.begin, raw, hasher)
            continue
        _convert(read, _raw(file, read, hasher, packed))
    if hasher:
        _hash(file, hasher, position, file_size(file))


def _fill_side_by_side(descriptor: int, reads: list[TensorRead]) -> None:
    """Fill targets from several threads, as most of the time goes into first touching memory."""
    parts = [
        (read.begin + start, raw[start : start + _PART_BYTES])
        for read in reads
        for raw in (_as_bytes(read.target),)
        for start in range(0, len(raw), _PART_BYTES)
    ]

    def fill(part: tuple[int, memoryview]) -> None:
        begin, raw = part
        while raw:
            count = os.preadv(descriptor, [raw], begin)
            if not count:
                raise DamageError(_SHORTER)
            begin, raw = begin + count, raw[count:]

    with ThreadPoolExecutor(min(_MAX_THREADS, num_cores())) as threads:
        for _ in threads.map(fill, parts):
            pass


def _follow_each_other(reads: list[TensorRead]) -> bool:
    pairs = pairwise(reads)
    is_plain = all(read.source.storage.packed is None for read in reads)
    return is_plain and all(one.end <= other.begin for one, other in pairs)


def _hash(file: BinaryIO, hasher: Hasher, begin: int, end: int) -> None:
    file.seek(begin)
    for piece in _pieces(file, end - begin):
        hasher.update(piece)


def _pieces(file: BinaryIO, count: int) -> Iterator[bytes]:
    while count > 0:
        piece = file.read(min(count, _PIECE_BYTES))
        if not piece:
            raise DamageError(_SHORTER)
        count -= len(piece)
        yield piece


def _fill(file: BinaryIO, begin: int, raw: memoryview, hasher: Hasher | None) -> None:
    file.seek(begin)
    position = 0
    while position < len(raw):
        count = file.readinto(raw[position:])  # type: ignore[attr-defined]  # of every binary file
        if not count:
            raise DamageError(_SHORTER)
        position += count
    if hasher:
        hasher.update(raw)


def _raw(
    file: BinaryIO, read: TensorRead, hasher: Hasher | None, packed: dict[str, Tensor]
) -> Tensor:
    """Return the bytes of a storage that a tensor spans."""
    source = read.source
    num_bytes = source.num_spanned * source.dtype.itemsize
    if source.storage.packed is None:
        raw = torch.empty(num_bytes, dtype=torch.uint8)
        _fill(file, read.begin, _as_bytes(raw), hasher)
        return raw
    name = source.storage.name
    if name not in packed:
        packed.clear()  # tensors of one storage follow each other
        packed[name] = _unpacked(file, source.storage.packed)
    first = source.first * source.dtype.itemsize
    return packed[name][first : first + num_bytes].clone()


def _unpacked(file: BinaryIO, member: zipfile.ZipInfo) -> Tensor:
    """Return a compressed member's bytes; zipfile verifies their checksum."""
    raw = torch.empty(member.file_size, dtype=torch.uint8)
    target, position = _as_bytes(raw), 0
    with zipfile.ZipFile(file) as archive, cast(io.BufferedIOBase, archive.open(member)) as stream:
        while count := stream.readinto(target[position : position + _PIECE_BYTES]):
            position += count
        if position != len(target) or stream.read(1):
            raise DamageError(f"{member.filename} has another length than it is said to")
    return raw


def _convert(read: TensorRead, raw: Tensor) -> None:
    source = read.source
    if 0 in source.shape:
        return
    typed = raw.view(source.dtype)
    read.target.copy_(typed.as_strided(source.shape, source.stride))


def _as_bytes(tensor: Tensor) -> memoryview:
    flat = tensor.detach().reshape(-1).view(torch.uint8)
    return memoryview(flat.numpy())  # type: ignore[arg-type]  # numpy 2.0 lacks the protocol


def empty_like(expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Allocate memory for each of a network's tensors.

    torch aligns it to 64 bytes. At other addresses, as in a memory-mapped file, its kernels give
    different last bits.
    """
    return {name: torch.empty(it.shape, dtype=it.dtype) for name, it in expected.items()}
