"""The focal length of a photograph, from what cameras write into EXIF."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from dpt_cli.photos.decode import decode_photo, read_photo

_MAKER, _ORIENTATION, _EXIF = 0x010F, 0x0112, 0x8769
_FOCAL, _FOCAL_35MM = 0x920A, 0xA405
_WIDTH, _HEIGHT, _RESOLUTION, _UNIT = 0xA002, 0xA003, 0xA20E, 0xA210

Tags = dict[int, int | IFDRational]


def picture(
    tags: Tags, size: tuple[int, int] = (90, 60), kind: str = "JPEG", orientation: int = 1
) -> bytes:
    """Return a picture file of that width and height [px] with EXIF as a camera writes it."""
    exif = Image.Exif()
    exif[_MAKER] = "Somebody"  # Pillow drops the EXIF of an AVIF that has only the orientation
    exif[_ORIENTATION] = orientation
    exif.get_ifd(_EXIF).update(tags)
    exif[_EXIF] = tags  # TIFF's writer asks for both
    file = io.BytesIO()
    Image.fromarray(np.zeros((size[1], size[0], 3), np.uint8)).save(file, kind, exif=exif)
    return file.getvalue()


def rational(value: float) -> IFDRational:
    return IFDRational(round(value * 1000), 1000)


# A full-frame sensor, 36 by 24 mm in 6000 by 4000 pixels, and a 50 mm lens.
_FULL_FRAME: Tags = {_FOCAL: rational(50), _RESOLUTION: rational(6000 / 3.6), _UNIT: 3}
_FOUND: dict[str, tuple[Tags, tuple[int, int], float]] = {
    # On 3:2, as on film itself, the diagonal rule is the rule of the longer side: 50/36 · 90.
    "35 mm equivalent, 3:2": ({_FOCAL_35MM: 50}, (90, 60), 125),
    # A phone's 26 mm on 4:3: the diagonal is 100 px here and 43.2666 mm on film.
    "35 mm equivalent, 4:3": ({_FOCAL_35MM: 26}, (80, 60), 60.093),
    "35 mm equivalent before the sensor": (_FULL_FRAME | {_FOCAL_35MM: 50}, (80, 60), 115.563),
    "pixels per centimetre": (_FULL_FRAME | {_WIDTH: 6000, _HEIGHT: 4000}, (90, 60), 125),
    "pixels per inch": (
        {_FOCAL: rational(50), _RESOLUTION: rational(25.4 * 2.5), _UNIT: 2},
        (90, 60),
        125,
    ),
    "inches where no unit is given": (
        {_FOCAL: rational(50), _RESOLUTION: rational(25.4 * 2.5)},
        (90, 60),
        125,
    ),
    "35 mm equivalent unknown": (
        _FULL_FRAME | {_FOCAL_35MM: 0, _WIDTH: 6000, _HEIGHT: 4000},
        (90, 60),
        125,
    ),
    "resized later": ({_FOCAL_35MM: 50, _WIDTH: 6000, _HEIGHT: 4000}, (90, 60), 125),
}


@pytest.mark.parametrize("case", _FOUND)
def test_the_focal_length_is_in_pixels_of_the_decoded_picture(case: str) -> None:
    tags, size, expected = _FOUND[case]
    # The rational numbers above are exact to 1/1000.
    assert decode_photo(picture(tags, size)).focal_px == pytest.approx(expected, rel=1e-4)


_UNKNOWN: dict[str, Tags] = {
    "no lens": {},
    "a lens without a sensor": {_FOCAL: rational(50)},
    "a sensor without a lens": {_RESOLUTION: rational(100), _UNIT: 3},
    "an unknown unit": _FULL_FRAME | {_UNIT: 1},
    "no focal length": {_FOCAL_35MM: 0},
    "absurdly short": {_FOCAL_35MM: 1},
    "absurdly long": {_FOCAL_35MM: 65535},
    "divided by zero": {_FOCAL: IFDRational(50, 0), _RESOLUTION: rational(100)},
    "cropped later": {_FOCAL_35MM: 50, _WIDTH: 6000, _HEIGHT: 6000},
}


@pytest.mark.parametrize("case", _UNKNOWN)
def test_a_focal_length_that_is_missing_or_absurd_is_unknown(case: str) -> None:
    assert decode_photo(picture(_UNKNOWN[case])).focal_px is None


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_turn_does_not_change_the_focal_length(orientation: int) -> None:
    tags = _FULL_FRAME | {_WIDTH: 6000, _HEIGHT: 4000}
    photo = decode_photo(picture(tags, orientation=orientation))
    assert photo.rgb.shape == ((60, 90, 3) if orientation in (1, 3) else (90, 60, 3))
    assert photo.focal_px == pytest.approx(125, rel=1e-4)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_every_format_that_holds_exif_gives_the_focal_length(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "photo"
    path.write_bytes(picture({_FOCAL_35MM: 50}, kind=kind))
    assert read_photo(path).focal_px == pytest.approx(125)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP"])
def test_a_picture_without_exif_has_no_focal_length(kind: str) -> None:
    file = io.BytesIO()
    Image.new("RGB", (90, 60)).save(file, kind)
    assert decode_photo(file.getvalue()).focal_px is None


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "AVIF"])
def test_damaged_exif_never_costs_the_photograph(kind: str) -> None:
    data = picture(_FULL_FRAME | {_FOCAL_35MM: 50}, kind=kind)
    # Pillow's byte order. A wrong header makes libavif refuse the whole file.
    start = data.index(b"MM\0*") + 4
    for at in range(start, start + 100):
        damaged = bytearray(data)
        damaged[at] ^= 0xFF
        assert decode_photo(bytes(damaged)).rgb.shape[2] == 3
