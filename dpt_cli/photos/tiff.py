"""Reads the tags of a TIFF directory, in a TIFF file or in the EXIF block of other pictures."""

import struct

# The errors that a damaged file can cause when numbers are read at offsets it gives.
GARBLED = (struct.error, ValueError, IndexError, OverflowError)

_LITTLE, _BIG = (b"II*\0", b"II+\0"), (b"MM\0*", b"MM\0+")
MAGIC = _LITTLE + _BIG
_RATIONAL = 5
_FORMATS = {3: "H", 4: "I", _RATIONAL: "2I", 16: "Q"}  # SHORT, LONG, RATIONAL, LONG8
_MAX_TAGS = 4096


def directory(data: bytes, start: int | None = None) -> dict[int, float]:
    """Return the first number of each numeric tag of a directory, by tag.

    Args:
        data: The bytes from the TIFF header on.
        start: Where the directory begins; None for the first one.

    Raises:
        struct.error, ValueError, IndexError, OverflowError: Not a TIFF, or cut off (`GARBLED`).
    """
    if not data.startswith(MAGIC):
        raise ValueError("no TIFF header")
    order = "<" if data.startswith(_LITTLE) else ">"
    is_big = struct.unpack_from(f"{order}H", data, 2) == (43,)
    offset, entry_bytes, value_at = ("Q", 20, 12) if is_big else ("I", 12, 8)
    if start is None:
        (start,) = struct.unpack_from(order + offset, data, 8 if is_big else 4)
    count_format = order + ("Q" if is_big else "H")
    (count,) = struct.unpack_from(count_format, data, start)
    first = start + struct.calcsize(count_format)
    tags: dict[int, float] = {}
    for at in range(first, first + entry_bytes * min(count, _MAX_TAGS), entry_bytes):
        tag, kind = struct.unpack_from(f"{order}2H", data, at)
        (number,) = struct.unpack_from(order + offset, data, at + 4)
        form = _FORMATS.get(kind)
        if form is None:
            continue
        place = at + value_at
        if number * struct.calcsize(f"={form}") > struct.calcsize(f"={offset}"):
            (place,) = struct.unpack_from(order + offset, data, place)
        first_number, *denominator = struct.unpack_from(order + form, data, place)
        if denominator == [0]:
            continue
        tags[tag] = first_number / denominator[0] if denominator else first_number
    return tags
