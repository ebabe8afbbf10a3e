"""TIFF with one float32 channel and a description. By hand, as Pillow writes no text here."""

import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from dpt_cli.formats.arrays import strips
from dpt_cli.formats.files import Writer

_SHORT, _LONG, _ASCII = 3, 4, 2
_MAX_BYTES = 2**32 - 1


def write_tiff(file: Writer, values: npt.NDArray[np.float32], facts: Mapping[str, Any]) -> None:
    """Write float32 (H, W), unchanged: little-endian, uncompressed, with `facts` as JSON.

    Raises:
        ValueError: It is larger than the 4 GB that a classic TIFF can be.
    """
    height, width = values.shape
    # The standard requires ASCII, and json.dumps escapes everything else.
    description = json.dumps(facts).encode("ascii") + b"\0"
    tags: list[tuple[int, int, int, int | None]] = [
        (256, _LONG, 1, width),
        (257, _LONG, 1, height),
        (258, _SHORT, 1, 32),  # bits
        (259, _SHORT, 1, 1),  # uncompressed
        (262, _SHORT, 1, 1),  # black is zero
        (270, _ASCII, len(description), None),
        (273, _LONG, 1, None),  # where the pixels begin
        (277, _SHORT, 1, 1),  # channels
        (278, _LONG, 1, height),  # rows in the one strip
        (279, _LONG, 1, values.size * 4),
        # Software; `pipeline.made` looks for it. Four bytes fit into the tag itself.
        (305, _ASCII, 4, int.from_bytes(b"dpt\0", "little")),
        # Floats: without this tag readers take the bits as integers.
        (339, _SHORT, 1, 3),
    ]
    text_at = 8 + 2 + 12 * len(tags) + 4
    pixels_at = text_at + len(description) + len(description) % 2
    if pixels_at + values.size * 4 > _MAX_BYTES:
        raise ValueError("a TIFF file holds at most 4 GB; use npz")
    places = {270: text_at, 273: pixels_at}
    entries = b"".join(
        struct.pack("<HHII", tag, kind, count, places[tag] if value is None else value)
        for tag, kind, count, value in tags
    )
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + description
    file.write(head.ljust(pixels_at, b"\0"))
    for strip in strips(values):
        file.write(np.ascontiguousarray(strip, "<f4").data)
