"""Reads the boxes of the HEIF family, AVIF and HEIC: EXIF, turn and mirror.

OpenCV 5.0.0 ignores `irot` and `imir`, the turn and the mirror of an AVIF. By ISO/IEC 23008-12
readers follow these boxes and ignore the orientation in EXIF.
"""

import io
import struct
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import numpy.typing as npt

RGB = npt.NDArray[np.uint8]
_Box = tuple[bytes, int, int]  # type, start and end of the content
_MAX_BOXES = 4096  # far more than real files have
_MAX_ITEMS = 65536


def upright(stored: RGB, data: bytes) -> RGB:
    """Return decoded pixels, uint8 (H, W, 3), turned and mirrored as the file's boxes ask."""
    try:
        steps = list(_steps(data))
    except (struct.error, IndexError):
        steps = []
    for step in steps:
        stored = step(stored)
    return np.ascontiguousarray(stored)


def decode_avif(data: bytes) -> RGB | None:
    """Decode an AVIF with Pillow, not yet turned upright; None if that fails.

    For OpenCV builds without AVIF, such as the wheels of 4.10. Pillow reads AVIF since 11.3.
    """
    try:
        from PIL import AvifImagePlugin

        # Not `Image.open`, which warns about large pictures.
        with AvifImagePlugin.AvifImageFile(io.BytesIO(data)) as image:
            return np.asarray(image.convert("RGB"))
    except (ImportError, SyntaxError, ValueError, OSError):
        return None


def exif_item(data: bytes) -> bytes:
    """Return a file's EXIF block from its TIFF header on; empty if there is none.

    Raises:
        struct.error, IndexError: The boxes are cut off.

    Source: ISO/IEC 14496-12, `iinf` and `iloc`; ISO/IEC 23008-12, annex A.
    """
    meta = _inside(data, b"meta", 0, len(data), header_bytes=4)
    infos = None if meta is None else _inside(data, b"iinf", *meta)
    if infos is None:
        return b""
    start, end = infos
    for kind, at, _ in _boxes(data, start + (6 if data[start] == 0 else 8), end):
        is_wide = data[at] > 2
        type_at = at + (10 if is_wide else 8)
        if kind == b"infe" and data[type_at : type_at + 4] == b"Exif":
            wanted = _number(data, at + 4, is_wide=is_wide)
            for item, begin, stop in _pieces(data):
                if item == wanted:
                    skipped = int.from_bytes(data[begin : begin + 4], "big")
                    return data[begin + 4 + skipped : stop]
    return b""


def is_cut_off(data: bytes) -> bool:
    """Return whether pixels or other items lie beyond the end of a file.

    libheif 1.23.6 leaves out the tiles that are missing and reports no error.
    """
    try:
        return any(end > len(data) for _, _, end in _pieces(data))
    except (struct.error, IndexError):
        return True


def _pieces(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield the item of each piece that lies in the file, its start and end (`iloc`)."""
    meta = _inside(data, b"meta", 0, len(data), header_bytes=4)
    places = None if meta is None else _inside(data, b"iloc", *meta)
    if places is None:
        return
    at, _ = places
    version = data[at]
    offset_bytes, length_bytes = data[at + 4] >> 4, data[at + 4] & 15
    base_bytes, index_bytes = data[at + 5] >> 4, data[at + 5] & 15 if version else 0
    is_wide = version == 2
    num_items = _number(data, at + 6, is_wide=is_wide)
    at += 10 if is_wide else 8
    for _ in range(min(num_items, _MAX_ITEMS)):
        item = _number(data, at, is_wide=is_wide)
        at += 4 if is_wide else 2
        in_file = not version or data[at + 1] & 15 == 0
        at += 4 if version else 2
        base = int.from_bytes(data[at : at + base_bytes], "big")
        at += base_bytes
        num_pieces = _number(data, at, is_wide=False)
        at += 2
        # Without sizes there is nothing to read, however many pieces a hostile file claims.
        for _ in range(num_pieces if offset_bytes + length_bytes else 0):
            if at > len(data):
                raise IndexError
            at += index_bytes
            begin = base + int.from_bytes(data[at : at + offset_bytes], "big")
            at += offset_bytes
            if in_file:
                length = int.from_bytes(data[at : at + length_bytes], "big")
                yield item, begin, begin + length
            at += length_bytes


def _steps(data: bytes) -> Iterator[Callable[[RGB], RGB]]:
    """Yield the turns and mirrors of the primary picture, in order."""
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
            yield partial(np.rot90, k=data[start] & 3)  # both count anticlockwise
        elif kind == b"imir":
            yield partial(np.flip, axis=data[start] & 1)  # 0 exchanges top and bottom


def _indices(data: bytes, at: int, wanted: int) -> list[int]:
    """Return the indices, counted from 1, of an item's properties, in order."""
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
            mask = (
                0x7FFF if is_wide_index else 0x7F
            )  # the highest bit marks properties that a reader must know
            return [index & mask for index in indices if index & mask]
    return []


def _number(data: bytes, at: int, *, is_wide: bool) -> int:
    number: int = struct.unpack_from(">I" if is_wide else ">H", data, at)[0]
    return number


def _inside(
    data: bytes, name: bytes, start: int, end: int, header_bytes: int = 0
) -> tuple[int, int] | None:
    """Return the start and end of the content of the first box of a name."""
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
