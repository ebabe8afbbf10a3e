"""OpenEXR: single-part scan-line files with 16 or 32-bit floats, compressed by ZIP.

Written by hand, which saves a dependency of 5 MB. A test reads the files with the OpenEXR library.
Layout: openexr.com, "OpenEXR File Layout".
"""

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dpt_cli.formats.files import Writer

Channels = Mapping[str, npt.NDArray[Any]]  # float16 or float32, (H, W)

_MAGIC = struct.pack("<2I", 20000630, 2)  # version 2, and no flag set: one part of scan lines
_TYPES: Mapping[int, np.dtype[Any]] = {1: np.dtype("<f2"), 2: np.dtype("<f4")}
_ZIP = 3
# Rows per chunk by compression: none, ZIPS, ZIP.
_ROWS = {0: 1, 2: 1, _ZIP: 16}
# Level 3 takes two thirds of the time of zlib's default, 6, and writes 2 % more: measured on a
# slanted plane with noise.
_ZLIB_LEVEL = 3
_MAX_SIDE_PX = 1 << 20


@dataclass(frozen=True)
class ExrImage:
    """The content of a file: channels (H, W) by name, and its text attributes."""

    channels: Channels
    text: Mapping[str, str]


def write_exr(file: Writer, channels: Channels, text: Mapping[str, str]) -> None:
    """Write channels of one size, float16 or float32 (H, W), and text attributes."""
    # Sorted: readers rely on it.
    planes = [np.asarray(channels[name]) for name in sorted(channels)]
    height, width = planes[0].shape
    window = struct.pack("<4i", 0, 0, width - 1, height - 1)
    kinds = {kind: number for number, kind in _TYPES.items()}
    listed = b"".join(
        name.encode() + b"\0" + struct.pack("<iB3xii", kinds[np.dtype(plane.dtype)], 0, 1, 1)
        for name, plane in zip(sorted(channels), planes, strict=True)
    )
    required = {
        "channels": ("chlist", listed + b"\0"),
        "compression": ("compression", bytes([_ZIP])),
        "dataWindow": ("box2i", window),
        "displayWindow": ("box2i", window),
        "lineOrder": ("lineOrder", b"\0"),
        "pixelAspectRatio": ("float", struct.pack("<f", 1)),
        "screenWindowCenter": ("v2f", bytes(8)),
        "screenWindowWidth": ("float", struct.pack("<f", 1)),
    }
    # File names may hold bytes that are not UTF-8; those are escaped.
    ours = {key: ("string", it.encode("utf-8", "backslashreplace")) for key, it in text.items()}
    header = _MAGIC + b"".join(
        f"{name}\0{kind}\0".encode() + struct.pack("<I", len(value)) + value
        for name, (kind, value) in (required | ours).items()
    )
    header += b"\0"
    starts = range(0, height, _ROWS[_ZIP])
    chunks = [_chunk(start, planes) for start in starts]
    offset, offsets = len(header) + 8 * len(chunks), []
    for chunk in chunks:
        offsets.append(offset)
        offset += len(chunk)
    file.write(header + struct.pack(f"<{len(offsets)}Q", *offsets))
    for chunk in chunks:
        file.write(chunk)


def _chunk(start: int, planes: list[npt.NDArray[Any]]) -> bytes:
    rows = [plane[start : start + _ROWS[_ZIP]] for plane in planes]
    raw = b"".join(part[y].tobytes() for y in range(len(rows[0])) for part in rows)
    data = np.frombuffer(raw, np.uint8)
    # Even bytes first, then the odd ones; then differences, to which 128 is added.
    split = np.concatenate([data[0::2], data[1::2]])
    split[1:] = split[1:] - split[:-1] + np.uint8(128)
    packed = zlib.compress(split.data, _ZLIB_LEVEL)
    # Readers take a chunk of the full size for uncompressed data.
    body = packed if len(packed) < len(raw) else raw
    return struct.pack("<2i", start, len(body)) + body


def read_exr(data: bytes) -> ExrImage:
    """Return the channels of floats and the text of a file.

    Raises:
        ValueError: It is not an EXR file, is damaged, or is of a kind that is not read here.
    """
    if data[:4] != _MAGIC[:4]:
        raise ValueError("not an EXR file")
    if data[4:8] != _MAGIC[4:]:
        raise ValueError("tiled, deep and multi-part EXR files are not read")
    try:
        return _read(data)
    except (struct.error, IndexError, KeyError, zlib.error, UnicodeDecodeError) as error:
        raise ValueError("the EXR file is damaged") from error


def _read(data: bytes) -> ExrImage:
    attributes, at = _attributes(data)
    compression = attributes["compression"][1][0]
    if compression not in _ROWS:
        raise ValueError(f"EXR compression {compression} is not read, only none, ZIPS and ZIP")
    left, top, right, bottom = struct.unpack("<4i", attributes["dataWindow"][1])
    width, height = right - left + 1, bottom - top + 1
    if not (0 < width <= _MAX_SIDE_PX and 0 < height <= _MAX_SIDE_PX):
        raise ValueError(f"the EXR file is damaged: it says {width} x {height} px")
    kinds = _channels(attributes["channels"][1])
    row_bytes = width * sum(kind.itemsize for kind in kinds.values())
    num_chunks = -(-height // _ROWS[compression])
    # zlib compresses at most about a thousand to one, so a larger picture cannot be in the file.
    if height * row_bytes > 1100 * len(data):
        raise ValueError("the EXR file is cut off")
    planes: dict[str, npt.NDArray[Any]] = {}
    for name, kind in kinds.items():
        planes[name] = np.empty((height, width), kind)
    for offset in struct.unpack_from(f"<{num_chunks}Q", data, at):
        y, size = struct.unpack_from("<2i", data, offset)
        start = y - top
        num_rows = min(_ROWS[compression], height - start)
        if start < 0 or num_rows <= 0:
            raise ValueError("the EXR file is damaged")
        raw = _unpacked(data[offset + 8 : offset + 8 + size], num_rows * row_bytes)
        place = 0
        for row in range(start, start + num_rows):
            for name, kind in kinds.items():
                planes[name][row] = np.frombuffer(raw, kind, width, place)
                place += width * kind.itemsize
    strings = {name: value for name, (kind, value) in attributes.items() if kind == "string"}
    text = {name: value.decode("utf-8", "replace") for name, value in strings.items()}
    return ExrImage(planes, text)


def _attributes(data: bytes) -> tuple[dict[str, tuple[str, bytes]], int]:
    """Return the header's attributes, type and value, and where it ends."""
    attributes, at = {}, len(_MAGIC)
    while data[at] != 0:
        name, at = _word(data, at)
        kind, at = _word(data, at)
        (size,) = struct.unpack_from("<I", data, at)
        start, at = at + 4, at + 4 + size
        attributes[name] = (kind, data[start:at])
    return attributes, at + 1


def _word(data: bytes, start: int) -> tuple[str, int]:
    """Return the text up to the next zero byte, and where the bytes after that begin."""
    end = data.find(b"\0", start)
    if end < 0:
        raise ValueError("the EXR file is damaged")
    return data[start:end].decode(), end + 1


def _channels(listed: bytes) -> dict[str, np.dtype[Any]]:
    kinds: dict[str, np.dtype[Any]] = {}
    at = 0
    while listed[at] != 0:
        name, at = _word(listed, at)
        number, x_sampling, y_sampling = struct.unpack_from("<i4xii", listed, at)
        if number not in _TYPES or (x_sampling, y_sampling) != (1, 1):
            raise ValueError(f"the EXR channel {name} is not read: only floats are")
        kinds[name] = _TYPES[number]
        at += 16
    return kinds


def _unpacked(body: bytes, size: int) -> bytes:
    if len(body) == size:
        return body
    split = np.frombuffer(zlib.decompressobj().decompress(body, size), np.uint8)
    if split.size != size:
        raise ValueError("the EXR file is damaged")
    steps = split.copy()
    steps[1:] -= np.uint8(128)
    summed = np.cumsum(steps, dtype=np.uint8)
    half = (size + 1) // 2
    data = np.empty(size, np.uint8)
    data[0::2], data[1::2] = summed[:half], summed[half:]
    return data.tobytes()
