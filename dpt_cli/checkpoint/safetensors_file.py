"""Read the header of a safetensors file: its tensors and their places.

Source: the format's description at github.com/huggingface/safetensors, and its `validate`.
"""

import json
import struct
from math import prod
from typing import Any, BinaryIO

import torch

from dpt_cli.checkpoint.stored import DamageError, Storage, StoredTensor, file_size, row_major

_MAX_HEADER_BYTES = 100_000_000  # the library's own limit
_LENGTH = struct.Struct("<Q")
_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
    "C64": torch.complex64,
}


def read_safetensors(file: BinaryIO) -> dict[str, StoredTensor]:
    """Return the tensors of the header, after checking that they cover exactly the file.

    Raises:
        DamageError: The header is damaged, or does not describe this file.
    """
    size = file_size(file)
    file.seek(0)
    (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
    begin = _LENGTH.size + length
    if length > _MAX_HEADER_BYTES or begin > size:
        raise DamageError(f"its header is said to take {length} of {size} bytes")
    try:
        header = json.loads(file.read(length))
    except (ValueError, RecursionError) as error:
        raise DamageError("its header is not JSON") from error
    if not isinstance(header, dict):
        raise DamageError("its header is no table")
    tensors = {
        name: _tensor(name, entry, begin)
        for name, entry in header.items()
        if name != "__metadata__"
    }
    end = begin
    for storage in sorted((it.storage for it in tensors.values()), key=lambda it: it.offset):
        if storage.offset != end:
            raise DamageError(f"{storage.name} begins at byte {storage.offset} instead of {end}")
        end += storage.num_bytes
    if end != size:
        raise DamageError(f"its tensors take {end} bytes, and the file has {size}")
    return tensors


def _tensor(name: str, entry: Any, begin: int) -> StoredTensor:
    try:
        dtype = _DTYPES[entry["dtype"]]
        shape = tuple(entry["shape"])
        first, last = entry["data_offsets"]
    except (KeyError, TypeError, ValueError) as error:
        raise DamageError(f"{name} is of no known kind") from error
    if not all(type(it) is int and it >= 0 for it in (*shape, first, last)):
        raise DamageError(f"{name} has a shape or a place that cannot be")
    if prod(shape) * dtype.itemsize != last - first:
        raise DamageError(f"{name} of shape {shape} is said to take {last - first} bytes")
    return StoredTensor(
        dtype, shape, row_major(shape), 0, Storage(name, begin + first, last - first)
    )
