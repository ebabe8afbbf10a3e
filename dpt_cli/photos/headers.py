"""What a picture file's header says, read before any pixel is decoded: above all its size.

Parses only as much of each format as that takes. A header may be wrong: decoding decides.
"""

import re
import struct
from collections.abc import Callable, Iterator

from dpt_cli.photos.tiff import GARBLED, MAGIC, directory

Size = tuple[int, int]  # height, width [px]

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_BOXES = 65536  # how many bytes are searched for the boxes that hold a size
_SUBFILE_TYPE = 254
_IMAGE_WIDTH, _IMAGE_LENGTH, _BITS_PER_SAMPLE, _SAMPLE_FORMAT = 256, 257, 258, 339
_FLOAT = 3


def picture_size(data: bytes) -> Size | None:
    """Return the height and width [px] in a picture's header, or None if they are unknown."""
    for magic, read in _READERS:
        if data.startswith(magic):
            try:
                return read(data)
            except GARBLED:
                return None
    if is_heif(data):
        return _largest(data, b"ispe", 8, width_first=True)
    return None


def is_deep(data: bytes) -> bool:
    """Return whether pixels may be floats or 32-bit integers, whose conversion takes copies."""
    if not data.startswith((b"II", b"MM")):
        return data.startswith((b"PF", b"Pf", b"#?"))
    try:
        tags = directory(data)
    except GARBLED:
        return True
    return tags.get(_BITS_PER_SAMPLE, 1) > 16 or tags.get(_SAMPLE_FORMAT, 1) == _FLOAT


def is_raw(data: bytes) -> bool:
    """Return whether a file is a camera's raw TIFF, whose first picture is only a thumbnail."""
    if not data.startswith((b"II*\0", b"MM\0*")):
        return False
    try:
        return data[8:10] == b"CR" or bool(int(directory(data).get(_SUBFILE_TYPE, 0)) & 1)
    except GARBLED:
        return False


def is_heif(data: bytes) -> bool:
    """Return whether a file is of the HEIF family, from its first bytes."""
    return data[4:8] == b"ftyp"


def brands(data: bytes) -> set[bytes]:
    """Return the brands that a HEIF file declares; none for any other file."""
    if not is_heif(data):
        return set()
    end = min(int.from_bytes(data[:4], "big"), len(data), _BOXES)
    return {data[8:12], *(data[at : at + 4] for at in range(16, end, 4))}


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield the marker of each segment before a JPEG's first scan, its content's start and end."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        if data[at + 1] == 0xFF:  # fill
            at += 1
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        yield data[at + 1], at + 4, end
        at = end


def png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the name of each whole chunk of a PNG, its content's start and end."""
    at = len(_PNG)
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if end + 4 > len(data):
            return
        yield data[at + 4 : at + 8], at + 8, end
        at = end + 4


def webp_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the name of each chunk of a WebP file, its content's start and end."""
    at = 12
    while at + 8 <= len(data):
        end = at + 8 + int.from_bytes(data[at + 4 : at + 8], "little")
        yield data[at : at + 4], at + 8, end
        at = end + end % 2


def _png(data: bytes) -> Size:
    width, height = struct.unpack_from(">2I", data, 16)
    return height, width


def _jpeg(data: bytes) -> Size | None:
    largest = None
    for marker, start, _ in jpeg_segments(data):
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            size: Size = struct.unpack_from(">2H", data, start + 1)
            largest = max(largest or size, size, key=_area)
    return largest


def _gif(data: bytes) -> Size:
    width, height = struct.unpack_from("<2H", data, 6)
    return height, width


def _bmp(data: bytes) -> Size:
    is_old = struct.unpack_from("<I", data, 14) == (12,)
    width, height = struct.unpack_from("<2H" if is_old else "<2i", data, 18)
    return abs(height), abs(width)


def _webp(data: bytes) -> Size | None:
    if data[8:12] != b"WEBP":
        return None
    if data[12:16] == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
        return height, width
    if data[12:16] == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1
    width, height = struct.unpack_from("<2H", data, 26)
    return height & 0x3FFF, width & 0x3FFF


def _tiff(data: bytes) -> Size:
    tags = directory(data)
    return int(tags.get(_IMAGE_LENGTH, 0)), int(tags.get(_IMAGE_WIDTH, 0))


def _pnm(data: bytes) -> Size | None:
    match = re.match(rb"P[1-6Ff](?:\s+#[^\n]*\n)*\s*(?:#[^\n]*\n\s*)*(\d{1,9})\s+(\d{1,9})", data)
    return (int(match[2]), int(match[1])) if match else None


def _pam(data: bytes) -> Size | None:
    head = data[:4096]
    height, width = (
        re.search(rb"\n" + key + rb" (\d{1,9})", head) for key in (b"HEIGHT", b"WIDTH")
    )
    return (int(height[1]), int(width[1])) if height and width else None


def _radiance(data: bytes) -> Size | None:
    match = re.search(rb"\n[-+]([XY]) (\d{1,9}) [-+][XY] (\d{1,9})\n", data[:_BOXES])
    if match is None:
        return None
    first, second = int(match[2]), int(match[3])
    return (first, second) if match[1] == b"Y" else (second, first)


def _jpeg_2000(data: bytes) -> Size | None:
    return _largest(data, b"ihdr", 4, width_first=False)


def _codestream(data: bytes) -> Size:
    width, height, left, top = struct.unpack_from(">4I", data, 8)
    return height - top, width - left


def _largest(data: bytes, box: bytes, skip: int, *, width_first: bool) -> Size | None:
    """Return the largest size in the boxes of a name, `skip` bytes after where the name begins."""
    found = []
    for match in re.finditer(re.escape(box), data[:_BOXES]):
        numbers = data[match.start() + skip : match.start() + skip + 8]
        if len(numbers) == 8:
            first, second = struct.unpack(">2I", numbers)
            found.append((second, first) if width_first else (first, second))
    return max(found, key=_area, default=None)


def _area(size: Size) -> int:
    return size[0] * size[1]


_READERS: tuple[tuple[bytes | tuple[bytes, ...], Callable[[bytes], Size | None]], ...] = (
    (_PNG, _png),
    (_JPEG, _jpeg),
    (b"GIF8", _gif),
    (b"BM", _bmp),
    (b"RIFF", _webp),
    (MAGIC, _tiff),
    (b"P7", _pam),
    ((b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"PF", b"Pf"), _pnm),
    (b"#?", _radiance),
    (b"\0\0\0\x0cjP", _jpeg_2000),
    (b"\xff\x4f\xff\x51", _codestream),
)
