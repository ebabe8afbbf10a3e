"""Decodes HEIC, the format of phones, if pillow-heif is installed; OpenCV does not read it."""

import importlib.util
from typing import TYPE_CHECKING

from dpt_cli.errors import InputError
from dpt_cli.photos.headers import brands

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

SUFFIXES = frozenset({".heic", ".heif", ".hif"})
WAY_OUT = "HEIC needs pillow-heif: pip install 'dpt-vision[heic]', or convert it to JPEG or PNG"
# HEVC pictures and sequences, and `mif1`, whose codec libheif detects.
_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1"}
_AVIF_BRANDS = {b"avif", b"avis"}


def has_heic() -> bool:
    """Return whether pillow-heif is installed, without importing it."""
    return importlib.util.find_spec("pillow_heif") is not None


def is_heic(data: bytes) -> bool:
    """Return whether a file is HEIC, from its first bytes."""
    found = brands(data)
    return not found.isdisjoint(_BRANDS) and found.isdisjoint(_AVIF_BRANDS)


def decode_heic(data: bytes) -> "npt.NDArray[np.uint8]":
    """Decode a HEIC file's primary picture, uint8 (H, W, 3), RGB order; alpha is dropped.

    libheif turns and crops the picture as its boxes ask, and converts 10 and 12 bits to 8.
    pillow-heif 1.8.1 does not report damage inside the compressed pixels.

    Raises:
        InputError: pillow-heif is not installed, or cannot read it.
    """
    if not has_heic():
        raise InputError(WAY_OUT)
    from dpt_cli.photos.heif import is_cut_off

    if is_cut_off(data):
        raise InputError("the file is truncated: its end is missing")
    import numpy as np
    import pillow_heif

    try:
        image = pillow_heif.open_heif(data)
        pixels = np.asarray(image)  # (H, W) or (H, W, 2 to 4), uint8, or uint16 where grey is deep
    except (ValueError, EOFError, SyntaxError, RuntimeError, OSError, IndexError) as error:
        version = pillow_heif.__version__
        raise InputError(
            f"truncated, damaged or of a kind that pillow-heif {version} cannot read"
        ) from error
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    if pixels.ndim == 2:
        return np.repeat(pixels[..., np.newaxis], 3, axis=-1)
    return np.array(pixels[..., :3])
