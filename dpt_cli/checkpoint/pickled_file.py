"""Read a file of `torch.save`: a zip file (since torch 1.6) or a sequence of pickles.

Source: torch/serialization.py, `_save` and `_legacy_save`.
"""

import io
import struct
import sys
import zipfile
from typing import Any, BinaryIO

import torch

from dpt_cli.checkpoint.pickle_names import StorageOf, TensorUnpickler
from dpt_cli.checkpoint.stored import DamageError, Storage, file_size

_MAX_PICKLE_BYTES = 64 * 2**20  # of names and shapes; those of a network take some hundred kB
_MAX_DEFLATION = 1032  # the most that one deflated byte can expand to
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_ENCRYPTED = 0x1
_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_COUNT = struct.Struct("<q")
_KINDS = {zipfile.ZIP_STORED: "stored", zipfile.ZIP_DEFLATED: "deflated"}


def read_zip(file: BinaryIO) -> Any:
    """Return the pickled object of a zip file, its tensors as `StoredTensor`.

    Raises:
        DamageError: The file contradicts itself.
        RefusedError: It is more than tensors.
        Exception: An error of zipfile or pickle about damaged bytes.
    """
    archive = zipfile.ZipFile(file)
    members = {member.filename: member for member in archive.infolist()}
    if len(members) != len(archive.infolist()):
        raise DamageError("two of its members have one name")
    pickles = [name for name in members if name == "data.pkl" or name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise DamageError(f"it holds {len(pickles)} times data.pkl")
    folder = pickles[0].removesuffix("data.pkl")
    order = members.get(f"{folder}byteorder")
    if order is not None and _content(archive, order) != sys.byteorder.encode():
        raise DamageError("its numbers have the byte order of another machine")
    found: dict[str, Storage] = {}

    def storage_of(key: str, dtype: torch.dtype, count: int) -> Storage:
        name = f"{folder}data/{key}"
        if name not in members:
            raise DamageError(f"{name} is missing")
        num_bytes = count * dtype.itemsize
        if members[name].file_size != num_bytes:
            raise DamageError(f"{name} has {members[name].file_size} bytes instead of {num_bytes}")
        if name not in found:
            found[name] = _storage(file, members[name])
        return found[name]

    return TensorUnpickler(io.BytesIO(_content(archive, members[pickles[0]])), storage_of).load()


def _content(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    if member.file_size > _MAX_PICKLE_BYTES:
        raise DamageError(f"{member.filename} is said to take {member.file_size} bytes")
    _require_plain(member)
    return archive.read(member)


def _require_plain(member: zipfile.ZipInfo) -> None:
    if member.compress_type not in _KINDS or member.flag_bits & _ENCRYPTED:
        raise DamageError(f"{member.filename} is encrypted, or neither stored nor deflated")


def _storage(file: BinaryIO, member: zipfile.ZipInfo) -> Storage:
    """Return where a member's bytes are; only the local header before them states it."""
    _require_plain(member)
    file.seek(member.header_offset)
    magic, name_length, extra_length = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
    if magic != b"PK\x03\x04":
        raise DamageError(f"{member.filename} is not where it is said to be")
    offset = member.header_offset + _LOCAL_HEADER.size + name_length + extra_length
    if offset + member.compress_size > file_size(file):
        raise DamageError(f"{member.filename} ends beyond the file")
    if member.compress_type == zipfile.ZIP_STORED:
        if member.compress_size != member.file_size:
            raise DamageError(f"{member.filename} is stored and has two lengths")
        return Storage(member.filename, offset, member.file_size)
    if member.file_size > _MAX_DEFLATION * member.compress_size:
        raise DamageError(f"{member.filename} is said to take {member.file_size} bytes")
    return Storage(member.filename, offset, member.file_size, packed=member)


def read_pickles(file: BinaryIO) -> Any:
    """Return the pickled object of a file from before torch 1.6.

    Raises:
        DamageError: The file contradicts itself.
        RefusedError: It is more than tensors.
        Exception: An error of pickle about damaged bytes.
    """
    size = file_size(file)
    file.seek(0)
    bounded = _Bounded(file, min(size, _MAX_PICKLE_BYTES))
    claimed: dict[str, tuple[int, int]] = {}  # length [bytes] and number of elements
    places: dict[str, Storage] = {}

    def nothing(key: str, _dtype: torch.dtype, _count: int) -> Storage:
        raise DamageError(f"storage {key} comes before it is announced")

    def note(key: str, dtype: torch.dtype, count: int) -> Storage:
        num_bytes = count * dtype.itemsize
        if claimed.setdefault(key, (num_bytes, count)) != (num_bytes, count):
            raise DamageError(f"storage {key} has two lengths")
        if num_bytes > size:
            raise DamageError(f"storage {key} is said to take {num_bytes} of {size} bytes")
        return places.get(key) or Storage(key, 0, num_bytes)

    def load(storage_of: StorageOf) -> Any:
        return TensorUnpickler(bounded, storage_of).load()  # type: ignore[arg-type]  # only its read methods are used

    if load(nothing) != _MAGIC_NUMBER or load(nothing) != _PROTOCOL:
        raise DamageError("it is a pickle, but not one of torch.save")
    machine = load(nothing)
    if not isinstance(machine, dict) or machine.get("little_endian") != (sys.byteorder == "little"):
        raise DamageError("its numbers have the byte order of another machine")
    begin = file.tell()
    load(note)  # only for the lengths of the storages that follow
    end_of_pickles = file.tell()
    keys = load(nothing)
    if not isinstance(keys, list) or sorted(map(str, keys)) != sorted(claimed):
        raise DamageError("it does not hold the storages it refers to")
    for key in keys:
        raw = file.read(_COUNT.size)
        offset = file.tell()
        num_bytes, count = claimed[key]
        if raw != _COUNT.pack(count) or offset + num_bytes > size:
            raise DamageError(f"storage {key} has another length, or ends beyond the file")
        places[key] = Storage(key, offset, num_bytes)
        file.seek(offset + num_bytes)
    file.seek(begin)
    bounded.left = end_of_pickles - begin
    return load(note)


class _Bounded:
    """A file with a budget of bytes that reads never exceed."""

    def __init__(self, file: BinaryIO, left: int) -> None:
        self._file, self.left = file, left

    def read(self, count: int = -1) -> bytes:
        piece = self._file.read(self.left if count < 0 else min(count, self.left))
        self.left -= len(piece)
        return piece

    def readline(self) -> bytes:
        line = self._file.readline(self.left)
        self.left -= len(line)
        return line
