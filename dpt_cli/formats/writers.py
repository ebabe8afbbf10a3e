"""Write maps and pictures, one function per file format, into anything that takes bytes.

Same map, same bytes. Must not colour, resize or rescale beyond what a format itself demands, and
never sees a path: `files` makes a file whole.
"""

import csv
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO

import numpy as np
import numpy.typing as npt

from dpt_cli.formats.files import Writer
from dpt_cli.maps import DepthMap, LabelMap
from dpt_cli.maps.ade20k import COLORS

Palette = Sequence[tuple[int, int, int]]
Text = Mapping[str, str]
_Image = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

# Measured on 12 megapixels: a depth map in colour takes 0.3 s and 2.9 MB, in 16 bits 0.6 s and
# 8.7 MB. Level 6 takes two to three times as long for a tenth to a quarter less; OpenCV's
# default (run lengths only) 0.4 s and 3.4 MB, 0.7 s and 13.4 MB. Filter Up suits smooth maps best.
_ZLIB_LEVEL = 3
_FILTER_UP = 2
_STRIP_ROWS = 64
_GREY, _RGB, _PALETTE = 0, 2, 3
_MAX_UINT16 = 65535


def describe(result: DepthMap | LabelMap) -> dict[str, str]:
    """Return what a map's numbers mean, as key and text for a PNG."""
    facts = {"Software": "dpt", "dpt:weights": result.weights}
    facts["dpt:network_hw"] = "{} {}".format(*result.network_hw)
    if isinstance(result, LabelMap):
        return facts | {"dpt:quantity": "labels", "dpt:classes": "ADE20K SceneParse150"}
    facts["dpt:quantity"] = result.quantity
    facts["dpt:unit"] = result.unit
    facts["dpt:near"] = "small" if result.is_metric else "large"
    if result.span is not None:
        # Nine digits bring back every float32 exactly.
        facts["dpt:min"], facts["dpt:max"] = (f"{value:.9g}" for value in result.span)
    return facts


def write_png(file: Writer, image: _Image, text: Text | None = None) -> None:
    """Write a PNG from uint8 (H, W, 3) RGB, uint8 (H, W) grey or uint16 (H, W) grey.

    Raises:
        ValueError: The array is none of these.
    """
    is_rgb = image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint8
    if not is_rgb and not (image.ndim == 2 and image.dtype in (np.uint8, np.uint16)):
        raise ValueError(f"no PNG from {image.dtype} {image.shape}")
    _write_all(file, _png(image, _RGB if is_rgb else _GREY, [], text))


def write_palette_png(
    file: Writer, indices: npt.NDArray[np.uint8], palette: Palette, text: Text | None = None
) -> None:
    """Write a palette PNG (mode P): the pixel value is the index, uint8 (H, W), its colour RGB.

    Raises:
        ValueError: An index has no colour.
    """
    if indices.max(initial=0) >= len(palette):
        raise ValueError(f"index {indices.max()} in a palette of {len(palette)} colours")
    colors = bytes(channel for color in palette for channel in color)
    _write_all(file, _png(indices, _PALETTE, [_chunk(b"PLTE", colors)], text))


def write_npy(file: Writer, array: npt.NDArray[np.generic]) -> None:
    """Write an array of any type and shape as NumPy's .npy."""
    whole = np.ascontiguousarray(array)
    np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(whole))
    file.write(whole.data)


def write_pfm(file: Writer, values: npt.NDArray[np.float32]) -> None:
    """Write float32 (H, W) as a portable float map, unchanged: little-endian, bottom row first."""
    height, width = values.shape
    # parity: the authors' header, digit for digit; the sign of the scale means little-endian.
    file.write(f"Pf\n{width} {height}\n-1.000000\n".encode())
    for strip in _strips(values[::-1]):
        file.write(np.ascontiguousarray(strip, "<f4").data)


def write_depth_png16(file: Writer, depth_map: DepthMap) -> None:
    """Write depth as 16-bit grey PNG.

    Depth [m] becomes whole millimetres, at most 65535; 0 is unknown. Inverse depth spreads over
    0 to 65535 from the map's least to its greatest value, larger is nearer, and a constant map
    is 0; the text in the file says how to undo it. Values that are not finite become 0.
    """
    text = describe(depth_map)
    low, high = depth_map.span or (0.0, 0.0)
    if depth_map.is_metric:
        offset, scale = 0.0, 1000.0
        text["dpt:pixel"] = "millimetres, 0 is unknown"
    else:
        offset, scale = low, _MAX_UINT16 / (high - low) if high > low else 0.0
        text["dpt:pixel"] = "65535 * (value - dpt:min) / (dpt:max - dpt:min)"
    pixels = np.empty(depth_map.values.shape, np.uint16)
    for source, target in zip(_strips(depth_map.values), _strips(pixels), strict=True):
        values = source.astype(np.float64)
        values[~np.isfinite(values)] = offset
        target[...] = np.rint(np.clip((values - offset) * scale, 0, _MAX_UINT16))
    write_png(file, pixels, text)


def write_ade20k_png(file: Writer, label_map: LabelMap) -> None:
    """Write labels as ADE20K numbers them: a palette PNG, pixel value 1 to 150, in its colours.

    Value 0 is ADE20K's "other objects", black, which no network here predicts.
    """
    text = describe(label_map) | {"dpt:pixel": "ADE20K class, 1 to 150; 0 is other"}
    write_palette_png(file, label_map.labels + np.uint8(1), ((0, 0, 0), *COLORS), text)


def write_csv(file: Writer, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows of the same keys as CSV, UTF-8, a header first; None is an empty cell."""
    text = StringIO(newline="")
    table = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    file.write(text.getvalue().encode("utf-8"))


def _png(image: _Image, color_type: int, extra: list[bytes], text: Text | None) -> Iterator[bytes]:
    """Yield a PNG piece by piece, so that a large map is never held a second time.

    By hand rather than by OpenCV, which writes neither text nor palettes and, before version 5,
    knows no choice of filter: see the figures above.
    """
    height, width = image.shape[:2]
    size = struct.pack(">2I5B", width, height, image.itemsize * 8, color_type, 0, 0, 0)
    yield b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", size)
    yield b"".join([*extra, *(_text_chunk(key, value) for key, value in (text or {}).items())])
    packer = zlib.compressobj(_ZLIB_LEVEL)
    above = np.zeros((1, width * image[:1, :1].nbytes), np.uint8)
    for strip in _strips(image):
        # PNG is big-endian.
        raw = np.ascontiguousarray(strip, strip.dtype.newbyteorder(">")).view(np.uint8)
        raw = raw.reshape(len(strip), -1)
        rows = np.empty((raw.shape[0], 1 + raw.shape[1]), np.uint8)
        rows[:, 0] = _FILTER_UP
        np.subtract(raw, np.concatenate([above, raw[:-1]]), out=rows[:, 1:])
        above = raw[-1:]
        yield _data_chunk(packer.compress(rows.data))
    yield _data_chunk(packer.flush()) + _chunk(b"IEND", b"")


def _data_chunk(data: bytes) -> bytes:
    return _chunk(b"IDAT", data) if data else b""


def _text_chunk(key: str, value: str) -> bytes:
    try:
        return _chunk(b"tEXt", key.encode("latin-1") + b"\0" + value.encode("latin-1"))
    except UnicodeEncodeError:
        # iTXt: not compressed, no language, no translated key. File names may hold bytes that are
        # no UTF-8; those are spelled out.
        encoded = value.encode("utf-8", "backslashreplace")
        return _chunk(b"iTXt", key.encode("latin-1") + b"\0\0\0\0\0" + encoded)


def _chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def _strips(rows: npt.NDArray[np.generic]) -> Iterator[npt.NDArray[np.generic]]:
    return (rows[start : start + _STRIP_ROWS] for start in range(0, len(rows), _STRIP_ROWS))


def _write_all(file: Writer, pieces: Iterator[bytes]) -> None:
    for piece in pieces:
        file.write(piece)
