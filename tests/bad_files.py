"""Writes a folder such as users have: pictures of many shapes, and about forty bad files."""

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from front_door import picture

_SHAPES = ((96, 64), (64, 96), (120, 80), (200, 50), (33, 47), (160, 160), (48, 144))


def fill(folder: Path, num_pictures: int) -> None:
    """Write pictures of mixed shapes and kinds, in folders of a hundred."""
    for number in range(num_pictures):
        width, height = _SHAPES[number % len(_SHAPES)]
        place = folder / f"{number // 100:03}"
        place.mkdir(parents=True, exist_ok=True)
        suffix = (".jpg", ".png", ".webp", ".bmp")[number % 4]
        Image.fromarray(picture(width, height, seed=number % 50)).save(
            place / f"{number:05}{suffix}"
        )


def add_trouble(folder: Path) -> tuple[set[str], set[str]]:
    """Write odd files into a folder.

    Returns:
        Names that must fail, as the manifest has them with links followed, and odd names that must
        be done all the same.
    """
    folder.mkdir(parents=True, exist_ok=True)
    bad, good = _bad(), _odd()
    for name, content in {**bad, **good}.items():
        (folder / name).write_bytes(content)
    (folder / "folder.png").mkdir()
    (folder / ".hidden.png").write_bytes(_encoded("PNG"))
    (folder / "notes.txt").write_text("not for us")
    os.mkfifo(folder / "pipe.png")
    (folder / "loop").symlink_to(folder)
    (folder / "nowhere.png").symlink_to(folder / "missing")
    return {*bad, "pipe.png", "missing"}, set(good)


def _encoded(kind: str, mode: str = "RGB", **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture(64, 48)).convert(mode).save(stream, kind, **options)
    return stream.getvalue()


def _bad() -> dict[str, bytes]:
    jpeg, png = _encoded("JPEG"), _encoded("PNG")
    flipped = bytearray(png)
    flipped[len(png) // 2] ^= 0xFF
    cuts: dict[str, bytes] = {
        f"cut-{share}.{suffix}": whole[: len(whole) * share // 100]
        for share in (1, 10, 50, 90)
        for suffix, whole in (("jpg", jpeg), ("png", png), ("webp", _encoded("WEBP")))
    }
    return {
        **cuts,
        "empty.jpg": b"",
        "empty.png": b"",
        "text.jpg": b"this is no picture\n" * 50,
        "html.png": b"<!doctype html><title>404</title>",
        "zeros.png": bytes(5000),
        "magic-only.png": png[:8],
        "magic-only.jpg": jpeg[:3],
        "wrong-crc.png": bytes(flipped),
        "bomb.png": _bomb(60_000, 60_000),
        "wide-bomb.png": _bomb(2_000_000, 1),
        "no-pixels.png": _bomb(0, 10),
        "archive.jpg": b"PK\x03\x04" + bytes(200),
        "script.bmp": b"#!/bin/sh\nexit 1\n",
        "half-header.bmp": _encoded("BMP")[:20],
        "cut.tiff": _encoded("TIFF")[:100],
    }


def _odd() -> dict[str, bytes]:
    grey16 = Image.fromarray((np.arange(64 * 48).reshape(48, 64) * 20).astype(np.uint16))
    float32 = Image.fromarray(np.linspace(0, 1, 64 * 48, dtype=np.float32).reshape(48, 64))

    def saved(image: Image.Image, kind: str) -> bytes:
        stream = io.BytesIO()
        image.save(stream, kind)
        return stream.getvalue()

    turned = {f"turned-{turn}.jpg": _encoded("JPEG", exif=_exif(turn)) for turn in range(1, 9)}
    names: dict[str, Callable[[], bytes]] = {
        "사진.jpg": lambda: _encoded("JPEG"),
        "new\nline.png": lambda: _encoded("PNG"),
        "quo'te\".png": lambda: _encoded("PNG"),
        "-o.png": lambda: _encoded("PNG"),
        "a b  c.png": lambda: _encoded("PNG"),
        "x" * 230 + ".png": lambda: _encoded("PNG"),
        "twin.jpg": lambda: _encoded("JPEG"),
        "twin.png": lambda: _encoded("PNG"),
        "TWIN.bmp": lambda: _encoded("BMP"),
        "really-a-png.jpg": lambda: _encoded("PNG"),
        "upper.JPEG": lambda: _encoded("JPEG"),
    }
    return {
        **turned,
        **{name: make() for name, make in names.items()},
        "cmyk.jpg": _encoded("JPEG", "CMYK"),
        "grey.jpg": _encoded("JPEG", "L"),
        "palette.png": _encoded("PNG", "P"),
        "alpha.png": _encoded("PNG", "RGBA"),
        "one-bit.png": _encoded("PNG", "1"),
        "grey16.png": saved(grey16, "PNG"),
        "float.tiff": saved(float32, "TIFF"),
        "animated.gif": _encoded("GIF", save_all=True, append_images=[Image.new("RGB", (64, 48))]),
    }


def _exif(turn: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = turn
    return exif.tobytes()


def _bomb(width: int, height: int) -> bytes:
    """Return a PNG that says it is huge and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )
