"""Decodes a photograph's bytes to upright RGB, or refuses them if the picture is not whole.

Knows nothing of networks, maps or output files.
"""

import re
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dpt_cli.errors import InputError
from dpt_cli.photos.complaints import listen
from dpt_cli.photos.exif import focal_length_px
from dpt_cli.photos.headers import is_heif, is_raw, jpeg_segments, picture_size, png_chunks
from dpt_cli.photos.heic import decode_heic, is_heic
from dpt_cli.photos.heif import decode_avif, upright
from dpt_cli.photos.source import read_file

# OpenCV's default limit (CV_IO_MAX_IMAGE_PIXELS), checked early so that the error names the size.
MAX_PIXELS = 2**30
MAX_SIDE_PX = 1_000_000  # libpng's limit (PNG_USER_WIDTH_MAX); OpenCV's is a little higher

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
# Formats that may hold floats or 32-bit integers, which IMREAD_COLOR refuses or turns to black.
_DEEP = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"PF", b"Pf")
_VIDEO = (b"\x1aE\xdf\xa3", b"\0\0\1\xba")
_VIDEO_BRANDS = tuple(b"ftyp" + kind for kind in (b"mp4", b"iso", b"qt  ", b"avc1", b"M4V", b"3gp"))
# Only for the wording of an error.
_PNM = (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"P7")
_KNOWN = (_JPEG, _PNG, *_DEEP, *_PNM, b"GIF8", b"BM", b"RIFF", b"#?", b"\0\0\0\x0cjP")
# All that OpenCV needs to decode 8 or 16-bit pixels and turn them upright; see `_sound_png`.
_PNG_CHUNKS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"IDAT", b"IEND"})
# How libjpeg's messages begin when a scan breaks off or cannot be decoded.
_DAMAGE = (
    *("Corrupt JPEG data: premature end", "Premature end of JPEG"),
    *("Corrupt JPEG data: bad Huffman", "Corrupt JPEG data: bad arithmetic"),
    *("Corrupt JPEG data: found marker", "Inconsistent progression"),
)
_MAX_LEFT_OVER = 8  # bytes that some cameras write before the end of a whole picture
_TRUNCATED = "the file is truncated: its end is missing"


@dataclass(frozen=True)
class Photo:
    """A decoded photograph.

    Attributes:
        rgb: uint8 (H, W, 3), RGB order, upright.
        focal_px: The camera's focal length in pixels of `rgb`, from EXIF; None where unknown.
    """

    rgb: npt.NDArray[np.uint8]
    focal_px: float | None = None


def read_rgb(path: Path | str) -> npt.NDArray[np.uint8]:
    """Read a photograph, uint8 (H, W, 3), RGB order, upright.

    Raises:
        InputError: It is not a whole, readable picture; the message has the path and the reason.
    """
    return read_photo(path).rgb


def read_photo(path: Path | str) -> Photo:
    """Read a photograph with the focal length that its camera wrote.

    Raises:
        InputError: It is not a whole, readable picture; the message has the path and the reason.
    """
    data, _ = read_file(Path(path))
    try:
        return decode_photo(data)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def decode_photo(data: bytes | npt.NDArray[np.uint8]) -> Photo:
    """Decode an image file's bytes; alpha is dropped.

    The pixels are those of `cv2.imread`. 32-bit integers, and floats outside 0 to 1, have no white
    level: their range is stretched to 0 to 255.

    Raises:
        InputError: Empty, no image, truncated, damaged, or too large.
    """
    whole = encoded = data if isinstance(data, bytes) else data.tobytes()
    if not encoded:
        raise InputError("the file is empty")
    _check_size(picture_size(encoded))
    if encoded.startswith(_PNG):
        encoded = _sound_png(encoded)
    elif encoded.startswith(_JPEG):
        _check_jpeg(encoded)
    elif is_raw(encoded):
        raise InputError("a camera's raw file is not supported: develop it to JPEG or TIFF")

    decoded, complaints = listen(lambda: _decoded(encoded))
    if isinstance(decoded, InputError):
        raise InputError(f"damaged: {complaints[0]}") if complaints else decoded
    damage = next((line for line in complaints if _is_damage(line, encoded)), None)
    if damage:
        raise InputError(f"damaged: {damage}")
    return Photo(decoded, focal_length_px(whole, decoded.shape[:2]))


def _decoded(encoded: bytes) -> npt.NDArray[np.uint8] | InputError:
    """Return the pixels, or the error that explains why there are none."""
    import cv2

    # OpenCV 4 has it at the top, OpenCV 5 in utils.logging. 0 is LOG_LEVEL_SILENT.
    (getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel)(0)
    try:
        if is_heic(encoded):
            return decode_heic(encoded)
        buffer = np.frombuffer(encoded, np.uint8)
        if encoded.startswith(_DEEP):
            deep = cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED)
            if deep is not None and deep.dtype not in (np.uint8, np.int8, np.uint16, np.int16):
                return _stretched_rgb(deep)
            del deep
        # Since OpenCV 4.11; before, red and blue are swapped in place.
        in_rgb = getattr(cv2, "IMREAD_COLOR_RGB", None)
        flags = cv2.IMREAD_COLOR if in_rgb is None else in_rgb
        if is_heif(encoded):
            flags |= cv2.IMREAD_IGNORE_ORIENTATION
        if is_heif(encoded) and not cv2.haveImageWriter("a.avif"):
            avif = decode_avif(encoded)
            if avif is not None:
                return upright(avif, encoded)
        pixels = cv2.imdecode(buffer, flags)
        if pixels is None:
            return InputError(_undecoded(encoded, cv2.__version__))
        if in_rgb is None:
            cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, dst=pixels)
        rgb = np.asarray(pixels, dtype=np.uint8)
        return upright(rgb, encoded) if is_heif(encoded) else rgb
    except InputError as error:
        return error
    except (cv2.error, MemoryError) as error:
        if isinstance(error, MemoryError) or error.code == cv2.Error.StsNoMem:
            return InputError("not enough memory to decode it")
        if "CV_IO_MAX_IMAGE" in str(error):
            return InputError(f"too large: the limit is {MAX_PIXELS} pixels")
        return InputError(_undecoded(encoded, cv2.__version__))


def _is_damage(line: str, data: bytes) -> bool:
    """Return whether a decoder's message means that pixels are wrong.

    libjpeg prints only its first warning about a file. Bytes left over before the end may be
    padding, which some cameras write, or pixels that belong behind a hole.
    """
    extra = re.match(r"Corrupt JPEG data: (\d+) extraneous bytes before marker 0x(..)", line)
    if extra is None:
        return line.startswith(_DAMAGE)
    if not 0xD0 <= int(extra[2], 16) <= 0xD9:  # between the header's segments
        return False
    count = int(extra[1])
    end = data.find(b"\xff\xd9", _scan_start(data))
    is_padding = extra[2] == "d9" and len(set(data[end - count : end])) == 1
    return count > _MAX_LEFT_OVER and not is_padding


def _sound_png(data: bytes) -> bytes:
    """Return a PNG without the chunks its pixels do not need; refuse a broken one.

    libpng prints warnings on file descriptor 2 whatever OpenCV's log level is. So the chunks it
    would warn about (odd colour profiles, wrong checksums, a missing end) are handled here.
    """
    view = memoryview(data)
    kept: list[bytes | memoryview] = [_PNG]
    for kind, start, end in png_chunks(data):
        if kind in _PNG_CHUNKS:
            if zlib.crc32(view[start - 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
                raise InputError(f"damaged: wrong checksum in a PNG chunk ({kind.decode()})")
            kept.append(view[start - 8 : end + 4])
        if kind == b"IEND":
            return b"".join(kept)
    raise InputError(_TRUNCATED)


def _check_jpeg(data: bytes) -> None:
    """Refuse a JPEG whose end is missing.

    OpenCV 4.10 decodes it to a half-grey picture, 5.0 does not. The search for the end marker
    begins at the scan, because a thumbnail in the header has one too. Phones append data after it.
    Holes in the middle are found by libjpeg: see `complaints`.
    """
    if data.rfind(b"\xff\xd9", _scan_start(data)) < 0:
        raise InputError(_TRUNCATED)


def _scan_start(data: bytes) -> int:
    """Return where a JPEG's header ends and its first scan begins."""
    return max((end for _, _, end in jpeg_segments(data)), default=2)


def _check_size(size_hw: tuple[int, int] | None) -> None:
    height, width = size_hw or (0, 0)
    if height * width > MAX_PIXELS or max(height, width) > MAX_SIDE_PX:
        limits = f"the limit is {MAX_PIXELS} in all and {MAX_SIDE_PX} per side"
        raise InputError(f"too large: {width} by {height} pixels, {limits}")


def _stretched_rgb(deep: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
    """Return floats or 32-bit integers, (H, W) or (H, W, C) in BGR(A) order, as uint8 RGB."""
    values = np.atleast_3d(deep)[..., 2::-1].astype(np.float32)  # (H, W, 1 or 3)
    whole = np.isfinite(values)
    low, high = (values[whole].min(), values[whole].max()) if whole.any() else (0.0, 1.0)
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    scaled = np.where(whole, values - low, 0) * (255 / max(high - low, 1e-30))
    return np.ascontiguousarray(np.broadcast_to(np.rint(scaled), (*deep.shape[:2], 3)), np.uint8)


def _undecoded(data: bytes, version: str) -> str:
    """Return the likely reason why OpenCV returned no picture, from the first bytes."""
    if data.startswith(_VIDEO) or data.startswith(_VIDEO_BRANDS, 4):
        return "a video: save its frames as pictures and give their folder"
    if data.startswith(_KNOWN) or data.startswith((b"ftypavif", b"ftypavis"), 4):
        return f"truncated, damaged or of a kind that OpenCV {version} cannot read"
    return "not an image"
