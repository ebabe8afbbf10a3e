"""The focal length that a camera wrote into a photograph's EXIF block.

Not read with Pillow 13.0: it printed warnings about 140 of 300 damaged blocks and about every
picture above 89 megapixels, and raises above 179.
"""

import math

from dpt_cli.photos.headers import is_heif, jpeg_segments, png_chunks, webp_chunks
from dpt_cli.photos.heif import exif_item
from dpt_cli.photos.tiff import GARBLED, MAGIC, directory

_PREFIX = b"Exif\0\0"  # before the TIFF header in JPEG, and sometimes in WebP and HEIF
_EXIF_DIRECTORY, _FOCAL_LENGTH, _FOCAL_LENGTH_35MM = 0x8769, 0x920A, 0xA405
_WIDTH, _HEIGHT = 0xA002, 0xA003
_RESOLUTION, _RESOLUTION_UNIT = 0xA20E, 0xA210
_MM_PER_UNIT = {2: 25.4, 3: 10.0}  # inches, centimetres
_INCH = 2
_DIAGONAL_35MM = math.hypot(36, 24)  # [mm]
# In diagonals of the picture. No lens lies outside; cameras write such numbers for "unknown".
_MIN_FOCAL, _MAX_FOCAL = 0.1, 100.0
_MAX_STRETCH = 1.02  # a resized picture's sides are rounded, a cropped one's shape changes


def focal_length_px(data: bytes, size_hw: tuple[int, int]) -> float | None:
    """Return a photograph's focal length [px], or None where its EXIF does not give it.

    The 35 mm equivalent is used if it is there. It relates diagonals: 43.27 mm on 36 by 24 mm film
    correspond to the diagonal of the picture (CIPA DCG-001; `fpx_from_f35` in apple/ml-depth-pro).
    Otherwise the focal length in millimetres is multiplied by the sensor's pixels per millimetre.
    A picture whose aspect ratio differs from the one in EXIF was cropped later, and the result is
    None.

    Args:
        data: The whole file.
        size_hw: Size of the decoded picture [px]; the order does not matter.
    """
    try:
        block = _block(data)
        tags = directory(block, int(directory(block)[_EXIF_DIRECTORY]))
    except (*GARBLED, KeyError):
        return None
    short, long = sorted(size_hw)
    short_then, long_then = sorted((tags.get(_HEIGHT, 0), tags.get(_WIDTH, 0)))
    if short_then <= 0:
        short_then, long_then = short, long
    stretch = (long / short) / (long_then / short_then)
    if not 1 / _MAX_STRETCH < stretch < _MAX_STRETCH:
        return None
    diagonal = math.hypot(short, long)
    if focal_mm := tags.get(_FOCAL_LENGTH_35MM, 0):
        focal_px = focal_mm / _DIAGONAL_35MM * diagonal
    else:
        unit_mm = _MM_PER_UNIT.get(int(tags.get(_RESOLUTION_UNIT, _INCH)), math.inf)
        pixels_per_mm = tags.get(_RESOLUTION, 0) / unit_mm
        focal_px = tags.get(_FOCAL_LENGTH, 0) * pixels_per_mm * long / long_then
    return focal_px if _MIN_FOCAL <= focal_px / diagonal <= _MAX_FOCAL else None


def _block(data: bytes) -> bytes:
    """Return a file's EXIF block from its TIFF header on; empty where there is none."""
    block = b""
    if data.startswith(MAGIC):
        block = data
    elif data.startswith(b"\xff\xd8"):
        payloads = (data[start:end] for kind, start, end in jpeg_segments(data) if kind == 0xE1)
        block = next((it for it in payloads if it.startswith(_PREFIX)), b"")
    elif data.startswith(b"\x89PNG"):
        block = next((data[at:end] for kind, at, end in png_chunks(data) if kind == b"eXIf"), b"")
    elif data.startswith(b"RIFF"):
        block = next((data[at:end] for kind, at, end in webp_chunks(data) if kind == b"EXIF"), b"")
    elif is_heif(data):
        block = exif_item(data)
    return block.removeprefix(_PREFIX)
