"""The turn and the mirror that an AVIF (any HEIF) file asks for, which OpenCV 5.0.0 ignores.

They count, and the turn in its EXIF does not: ISO/IEC 23008-12, `irot` and `imir`.
"""

import struct
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import numpy.typing as npt

RGB = npt.NDArray[np.uint8]
_Box = tuple[bytes, int, int]  # its type, where its content begins and ends
# Far more than the boxes that come before any pixel take.
_MAX_BOXES = 4096


def is_heif(data: bytes) -> bool:
    """Return whether a file is of this family, from its first bytes."""
    return data[4:8] == b"ftyp"


def upright(stored: RGB, data: bytes) -> RGB:
    """Return the decoded pixels, uint8 (H, W, 3), turned and mirrored as their file says."""
    try:
        steps = list(_steps(data))
    except (struct.error, IndexError):
        steps = []
    for step in steps:
        stored = step(stored)
    return np.ascontiguousarray(stored)


def _steps(data: bytes) -> Iterator[Callable[[RGB], RGB]]:
    """Yield what is to be done with the primary picture, in order."""
    meta = _inside(data, b"meta", 0, len(data), header_bytes=4)
    if meta is None:
        return
    item_box = _inside(data, b"pitm", *meta)
    properties = _inside(data, b"iprp", *meta)
    if item_box is None or properties is None:
        return
    item = _number(data, item_box[0] + 4, is_wide=data[item_box[0]] > 0)
    container, associations = (_inside(data, name, *properties) for name in (b"ipco", b"ipma"))
    if container is None or associations is None:
        return
    boxes = list(_boxes(data, *container))
    for index in _indices(data, associations[0], item):
        kind, start, _ = boxes[index - 1]
        if kind == b"irot":
            yield partial(np.rot90, k=data[start] & 3)  # anticlockwise, both
        elif kind == b"imir":
            yield partial(np.flip, axis=data[start] & 1)  # 0 exchanges top and bottom


def _indices(data: bytes, at: int, wanted: int) -> list[int]:
    """Return which properties, counted from 1, belong to an item, in order."""
    is_wide_item, is_wide_index = data[at] > 0, data[at + 3] & 1
    (num_items,) = struct.unpack_from(">I", data, at + 4)
    at += 8
    for _ in range(min(num_items, _MAX_BOXES)):
        item = _number(data, at, is_wide=is_wide_item)
        at += 4 if is_wide_item else 2
        count = data[at]
        form = f">{count}{'H' if is_wide_index else 'B'}"
        indices = struct.unpack_from(form, data, at + 1)
        at += 1 + struct.calcsize(form)
        if item == wanted:
            mask = 0x7FFF if is_wide_index else 0x7F  # above it: whether a reader must know it
            return [index & mask for index in indices if index & mask]
    return []


def _number(data: bytes, at: int, *, is_wide: bool) -> int:
    number: int = struct.unpack_from(">I" if is_wide else ">H", data, at)[0]
    return number


def _inside(
    data: bytes, name: bytes, start: int, end: int, header_bytes: int = 0
) -> tuple[int, int] | None:
    """Return where the content of the first box of that name begins and ends."""
    for kind, inner, inner_end in _boxes(data, start, end):
        if kind == name:
            return inner + header_bytes, inner_end
    return None


def _boxes(data: bytes, start: int, end: int) -> Iterator[_Box]:
    for _ in range(_MAX_BOXES):
        if start + 8 > end:
            return
        size, kind = struct.unpack_from(">I4s", data, start)
        header = 8
        if size == 1:
            (size,), header = struct.unpack_from(">Q", data, start + 8), 16
        box_end = end if size == 0 else start + size
        if size and size < header:
            return
        yield kind, start + header, min(box_end, end)
        start = box_end
