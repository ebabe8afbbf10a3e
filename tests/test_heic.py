"""HEIC photographs, as pillow-heif writes them and as `dpt` reads them."""

import contextlib
import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageOps

from dpt_cli.errors import InputError
from dpt_cli.photos.decode import decode_photo, read_rgb
from dpt_cli.photos.headers import picture_size
from dpt_cli.pipeline.budget import BYTES_PER_PIXEL, decoding_bytes
from front_door import FrontDoor, paths, picture

pillow_heif = pytest.importorskip("pillow_heif")

_MAKER, _ORIENTATION, _EXIF, _FOCAL_35MM = 0x010F, 0x0112, 0x8769, 0xA405
# As HEVC does not compress these, at 4:4:4, levels are only rounded on their way through YCbCr.
_LOSSLESS = {"quality": -1, "chroma": 444}
_MAX_ROUNDING = 3
# What undoes the turn that EXIF calls by that number.
_TURNED = {1: (64, 96, 3), 3: (64, 96, 3), 6: (96, 64, 3), 8: (96, 64, 3), 5: (96, 64, 3)}


def heic(image: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    pillow_heif.from_pillow(image).save(file, **(_LOSSLESS | options))
    return file.getvalue()


def photograph() -> Image.Image:
    return Image.fromarray(picture(96, 64))


def difference(found: npt.NDArray[np.uint8], expected: Image.Image) -> int:
    return int(np.abs(found.astype(int) - np.asarray(expected.convert("RGB"))).max())


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA"])
def test_a_heic_gives_its_rgb(mode: str) -> None:
    image = photograph().convert(mode)
    rgb = decode_photo(heic(image)).rgb
    assert rgb.flags.c_contiguous
    assert difference(rgb, image) <= _MAX_ROUNDING


@pytest.mark.parametrize("mode", ["RGB;16", "L;16"])
def test_deep_levels_become_8_bits(mode: str) -> None:
    image = photograph().convert(mode.partition(";")[0])
    deep = np.asarray(image).astype(np.uint16) * 257
    name = "I;16" if mode == "L;16" else mode
    file = io.BytesIO()
    pillow_heif.from_bytes(name, image.size, deep.tobytes()).save(file, **_LOSSLESS)
    assert difference(decode_photo(file.getvalue()).rgb, image) <= _MAX_ROUNDING


def test_a_picture_in_tiles_as_phones_write_it_is_whole() -> None:
    data = heic(image := Image.fromarray(picture(200, 150)), tile_size=64)
    assert data.count(b"hvc1") > 4
    assert picture_size(data) == (150, 200)
    assert difference(decode_photo(data).rgb, image) <= _MAX_ROUNDING


@pytest.mark.parametrize("orientation", _TURNED)
def test_a_heic_is_turned_upright_once(orientation: int) -> None:
    exif = Image.Exif()
    exif[_ORIENTATION] = orientation
    image = photograph()
    data = heic(image, exif=exif.tobytes())  # as EXIF and as boxes
    assert (b"irot" in data or b"imir" in data) == (orientation != 1)
    image.getexif().update(exif)
    rgb = decode_photo(data).rgb
    assert rgb.shape == _TURNED[orientation]
    assert difference(rgb, ImageOps.exif_transpose(image)) <= _MAX_ROUNDING


def test_the_exif_of_a_heic_does_not_turn_it() -> None:
    exif = Image.Exif()
    exif[_ORIENTATION] = 1
    data = heic(photograph(), exif=exif.tobytes())
    tag = struct.pack(">HHIH", _ORIENTATION, 3, 1, 1)
    assert data.count(tag) == 1
    turned = data.replace(tag, struct.pack(">HHIH", _ORIENTATION, 3, 1, 6))
    assert decode_photo(turned).rgb.shape == (64, 96, 3)


def test_the_focal_length_of_a_heic_is_read() -> None:
    exif = Image.Exif()
    exif[_MAKER] = "Somebody"
    exif.get_ifd(_EXIF)[_FOCAL_35MM] = 26
    exif[_EXIF] = 0
    photo = decode_photo(heic(photograph(), exif=exif.tobytes()))
    # By the diagonal: hypot(96, 64) px on hypot(36, 24) mm.
    assert photo.focal_px == pytest.approx(26 * 96 / 36)


def test_the_size_and_the_memory_are_known_from_the_header() -> None:
    data = heic(photograph())
    assert picture_size(data) == (64, 96)
    assert decoding_bytes(data) == 64 * 96 * BYTES_PER_PIXEL


@pytest.mark.parametrize("tile_px", [0, 64])
@pytest.mark.parametrize("part", [0.05, 0.2, 0.5, 0.9, 0.999])
def test_a_truncated_heic_is_refused(tmp_path: Path, tile_px: int, part: float) -> None:
    # Of a picture in tiles, libheif would leave out those that are missing.
    data = heic(Image.fromarray(picture(200, 150)), tile_size=tile_px)
    path = tmp_path / "a.heic"
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(InputError, match=r"a\.heic: .*truncated"):
        read_rgb(path)


def test_bytes_after_the_end_of_a_heic_are_ignored() -> None:
    data = heic(photograph())
    np.testing.assert_array_equal(decode_photo(data + b"phone" * 99).rgb, decode_photo(data).rgb)


def test_odd_boxes_of_a_heic_never_end_in_another_error() -> None:
    exif = Image.Exif()
    exif[_MAKER] = "Somebody"
    data = heic(photograph(), exif=exif.tobytes())
    for at in range(data.index(b"pitm"), data.index(b"mdat")):
        odd = bytearray(data)
        odd[at] ^= 0xFF
        with contextlib.suppress(InputError):
            decode_photo(bytes(odd))


def test_a_folder_of_heic_gives_maps(dpt: FrontDoor) -> None:
    (dpt.desk / "in").mkdir()
    (dpt.desk / "in" / "a.HEIC").write_bytes(heic(photograph()))
    (dpt.desk / "in" / "b.jpg").write_bytes(heic(photograph()))  # the content decides
    result = dpt("depth", "in", "-o", "out")
    assert len(paths(result)) == 2
