"""Finding photographs and decoding them."""

import contextlib
import io
import os
import socket
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageOps

from dpt_cli.errors import InputError
from dpt_cli.photos.decode import MAX_PIXELS, decode_photo, read_rgb
from dpt_cli.photos.find import Found, find_photographs
from dpt_cli.photos.headers import is_deep, picture_size
from front_door import FrontDoor, paths

Rgb = npt.NDArray[np.uint8]
EOI = b"\xff\xd9"


def photograph(height: int = 48, width: int = 64) -> Rgb:
    """Return a smooth picture with three unlike channels and no symmetry."""
    y, x = np.mgrid[0:height, 0:width]
    channels = (x * 255 / width, y * 255 / height, (x + 2 * y) * 255 / (width + 2 * height))
    return np.stack(channels, axis=-1).astype(np.uint8)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png(rgb: Rgb | None = None, **options: object) -> bytes:
    return encoded(Image.fromarray(photograph() if rgb is None else rgb), "PNG", **options)


def jpeg(rgb: Rgb | None = None, **options: object) -> bytes:
    image = Image.fromarray(photograph() if rgb is None else rgb)
    return encoded(image, "JPEG", **({"quality": 95, "subsampling": 0} | options))


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def exif(orientation: int) -> bytes:
    """Return a TIFF block with one tag, the orientation."""
    return b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def with_app1(data: bytes, payload: bytes) -> bytes:
    return data[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(payload)) + payload + data[2:]


def tree(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


def relatives(found: Found) -> list[str]:
    return [photograph.relative.as_posix() for photograph in found.photographs]


def test_folders_are_searched_all_the_way_in_sorted_order(tmp_path: Path) -> None:
    tree(tmp_path, "b.jpg", "a/z.png", "a/deep/er/c.jpg", "c.jpg", "a.jpg")
    found = find_photographs([tmp_path])
    assert relatives(found) == ["a/deep/er/c.jpg", "a/z.png", "a.jpg", "b.jpg", "c.jpg"]
    assert found.photographs[0].path == tmp_path / "a/deep/er/c.jpg"


@pytest.mark.parametrize(
    ("name", "is_taken"),
    [
        ("a.jpg", True),
        ("a.JPG", True),
        ("a.JpEg", True),
        ("a.png", True),
        ("a.webp", True),
        ("a.avif", True),
        ("a.gif", True),
        ("a.TIF", True),
        ("a.b.tiff", True),
        ("a.hdr", True),
        ("a.txt", False),
        ("a.exr", False),
        ("a.npy", False),
        ("jpg", False),
        (".hidden.jpg", False),
        (".hidden/a.jpg", False),
        (".a.jpg.123-0a0b0c0d.dpt-part", False),
    ],
)
def test_in_folders_the_suffix_decides_and_the_rest_is_counted(
    tmp_path: Path, name: str, is_taken: bool
) -> None:
    tree(tmp_path, name)
    found = find_photographs([tmp_path])
    assert (relatives(found), found.num_skipped) == (([name], 0) if is_taken else ([], 1))


@pytest.mark.parametrize("name", ["a.jpg", "scan.dat", "noname", ".hidden.jpg"])
def test_a_file_given_by_name_is_taken_whatever_it_is_called(tmp_path: Path, name: str) -> None:
    tree(tmp_path, f"folder/{name}")
    found = find_photographs([tmp_path / "folder" / name])
    assert relatives(found) == [name]
    assert found.photographs[0].path == tmp_path / "folder" / name


def test_a_hidden_folder_given_by_name_is_searched(tmp_path: Path) -> None:
    tree(tmp_path, ".cache/a.jpg")
    assert relatives(find_photographs([tmp_path / ".cache"])) == ["a.jpg"]


def test_relative_input_paths_stay_relative(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path, "in/sub/a.jpg")
    monkeypatch.chdir(tmp_path)
    (found,) = find_photographs([Path("in")]).photographs
    assert (found.path, found.relative) == (Path("in/sub/a.jpg"), Path("sub/a.jpg"))


def test_the_same_real_file_is_found_once(tmp_path: Path) -> None:
    tree(tmp_path, "a.jpg", "sub/b.jpg")
    (tmp_path / "link.jpg").symlink_to(tmp_path / "a.jpg")
    inputs = [tmp_path / "a.jpg", tmp_path, tmp_path / "sub", tmp_path / "sub" / "b.jpg", tmp_path]
    assert relatives(find_photographs(inputs)) == ["a.jpg", "sub/b.jpg"]


def test_hard_links_are_two_photographs(tmp_path: Path) -> None:
    tree(tmp_path, "a.jpg")
    os.link(tmp_path / "a.jpg", tmp_path / "b.jpg")
    assert relatives(find_photographs([tmp_path])) == ["a.jpg", "b.jpg"]


def test_links_that_lead_back_up_are_not_followed_twice(tmp_path: Path) -> None:
    tree(tmp_path, "in/a.jpg", "in/note.txt", "in/sub/b.jpg", "out/c.jpg")
    (tmp_path / "in/sub/up").symlink_to(tmp_path / "in")
    (tmp_path / "in/sub/self").symlink_to("self")
    (tmp_path / "in/sub/away").symlink_to(tmp_path / "out")
    found = find_photographs([tmp_path / "in"])
    assert relatives(found) == ["a.jpg", "sub/away/c.jpg", "sub/b.jpg"]
    # The note, and the link to the folder itself, once each.
    assert found.num_skipped == 2


def test_a_folder_called_like_an_image_is_descended(tmp_path: Path) -> None:
    tree(tmp_path, "x.png/a.jpg")
    found = find_photographs([tmp_path])
    assert (relatives(found), found.num_skipped) == (["x.png/a.jpg"], 0)


def failures(found: Found) -> dict[str, str]:
    return {bad.path.name: bad.reason for bad in found.failures}


def test_pipes_sockets_and_dangling_links_in_a_folder_are_failures(tmp_path: Path) -> None:
    tree(tmp_path, "a.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "socket.jpg"))
        found = find_photographs([tmp_path])
    assert (relatives(found), found.num_skipped) == (["a.jpg"], 0)
    assert failures(found).keys() == {"pipe.jpg", "gone.jpg", "socket.jpg"}
    assert failures(found)["gone.jpg"] == "No such file or directory"


def refuse_folder(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Make one folder unreadable, for root too."""
    listed = Path.iterdir

    def iterdir(path: Path) -> object:
        if path == folder:
            raise PermissionError(13, "Permission denied")
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)


def test_an_unreadable_folder_inside_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path, "a.jpg", "closed/b.jpg")
    refuse_folder(monkeypatch, tmp_path / "closed")
    found = find_photographs([tmp_path])
    assert (relatives(found), failures(found)) == (["a.jpg"], {"closed": "Permission denied"})


@pytest.mark.parametrize("kind", ["unreadable folder", "nothing", "pipe", "nul"])
def test_a_bad_path_given_by_name_is_a_failure_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    bad = tmp_path / ("bad\0" if kind == "nul" else "bad")
    tree(tmp_path, "good.jpg")
    if kind == "pipe":
        os.mkfifo(bad)
    if kind == "unreadable folder":
        bad.mkdir()
        refuse_folder(monkeypatch, bad)
    found = find_photographs([bad, tmp_path / "good.jpg"])
    assert relatives(found) == ["good.jpg"]
    reason = {
        "unreadable folder": "Permission denied",
        "nothing": "No such file",
        "pipe": "a pipe or device",
        "nul": "null",
    }
    assert reason[kind] in failures(found)[bad.name]
    assert str(bad) not in failures(found)[bad.name]


@pytest.fixture
def no_heic(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have pillow-heif, which is optional, not be installed."""
    monkeypatch.setattr("dpt_cli.photos.heic.has_heic", lambda: False)


@pytest.mark.parametrize("name", ["a.heic", "b.CR2", "c.nef", "d.arw", "e.dng", "f.RAF", "g.jxl"])
@pytest.mark.parametrize("is_named", [True, False])
def test_a_photograph_that_cannot_be_read_is_a_failure_with_the_way_out(
    tmp_path: Path, no_heic: None, name: str, is_named: bool
) -> None:
    tree(tmp_path, "photo.jpg", name)
    found = find_photographs([tmp_path / "photo.jpg", tmp_path / name] if is_named else [tmp_path])
    assert (relatives(found), found.skipped) == (["photo.jpg"], ())
    assert failures(found).keys() == {name}
    assert "JPEG" in failures(found)[name].partition(": ")[2]
    assert ("[heic]" in failures(found)[name]) == (name == "a.heic")


def test_a_folder_with_a_heic_is_done_and_ends_with_3(dpt: FrontDoor, no_heic: None) -> None:
    dpt.photograph("in/a.png")
    (dpt.desk / "in" / "b.heic").write_bytes(REFUSED["heic"][0]())
    result = dpt("depth", "in", "-o", "out", code=3)
    assert len(paths(result)) == 1
    assert "b.heic" in result.stderr


def test_a_raw_file_beside_its_jpeg_is_the_same_photograph(tmp_path: Path, no_heic: None) -> None:
    tree(tmp_path, "IMG_1.CR2", "IMG_1.JPG", "IMG_2.heic", "IMG_2.png", "sub/IMG_1.heic")
    found = find_photographs([tmp_path])
    assert relatives(found) == ["IMG_1.JPG", "IMG_2.png"]
    assert [path.name for path in found.skipped] == ["IMG_1.CR2", "IMG_2.heic"]
    assert [bad.path for bad in found.failures] == [tmp_path / "sub/IMG_1.heic"]


def test_of_the_files_of_one_photograph_the_first_that_can_be_read_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path, "a.heic", "a.jpg", "b.DNG", "b.HEIC")
    monkeypatch.setattr("dpt_cli.photos.heic.has_heic", lambda: True)
    assert relatives(found := find_photographs([tmp_path])) == ["a.jpg", "b.HEIC"]
    assert {path.name for path in found.skipped} == {"a.heic", "b.DNG"}
    monkeypatch.setattr("dpt_cli.photos.heic.has_heic", lambda: False)
    assert relatives(found := find_photographs([tmp_path])) == ["a.jpg"]
    assert failures(found).keys() == {"b.DNG", "b.HEIC"}


def test_a_jpeg_called_heic_is_a_photograph(tmp_path: Path) -> None:
    (tmp_path / "a.heic").write_bytes(jpeg())
    assert relatives(find_photographs([tmp_path])) == ["a.heic"]
    assert relatives(find_photographs([tmp_path / "a.heic"])) == ["a.heic"]


def test_videos_and_other_files_are_named(tmp_path: Path) -> None:
    tree(tmp_path, "a.jpg", "clip.MOV", "clip.mp4", "note.txt", ".hidden")
    found = find_photographs([tmp_path])
    assert {path.name for path in found.videos} == {"clip.MOV", "clip.mp4"}
    assert {path.name for path in found.skipped} == {"clip.MOV", "clip.mp4", "note.txt", ".hidden"}


def test_frames_are_in_natural_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["1.png", "2.png", "9a.png", "010.png", "10.png", "11.png", "x-2-1.png", "x-10-1.png"]
    tree(tmp_path, *reversed(names), "run 10/1.png", "run 9/1.png")
    (tmp_path / "²9.png").touch()  # a digit in Unicode, but not a number in Python
    expected = [*names[:6], "run 9/1.png", "run 10/1.png", *names[6:], "²9.png"]
    assert relatives(find_photographs([tmp_path])) == expected
    monkeypatch.chdir(tmp_path)
    assert relatives(find_photographs([Path("1*.png"), Path("2*.png")])) == [
        "1.png",
        "10.png",
        "11.png",
        "2.png",
    ]


def test_finding_does_not_import_cv2() -> None:
    code = (
        "import sys; from dpt_cli.photos.find import find_photographs; find_photographs([]);"
        "sys.exit('cv2' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# What turns a stored picture upright, by its orientation in EXIF.
UPRIGHT: dict[int, Callable[[Rgb], Rgb]] = {
    1: lambda rgb: rgb,
    2: lambda rgb: rgb[:, ::-1],
    3: lambda rgb: rgb[::-1, ::-1],
    4: lambda rgb: rgb[::-1],
    5: lambda rgb: rgb.transpose(1, 0, 2),
    6: lambda rgb: rgb.transpose(1, 0, 2)[:, ::-1],
    7: lambda rgb: rgb.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda rgb: rgb.transpose(1, 0, 2)[::-1],
}


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_the_exif_turn_of_a_jpeg_is_applied(orientation: int) -> None:
    stored = jpeg()
    turned = with_app1(stored, b"Exif\0\0" + exif(orientation))
    np.testing.assert_array_equal(
        decode_photo(turned).rgb, UPRIGHT[orientation](decode_photo(stored).rgb)
    )


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_the_exif_turn_of_a_png_is_applied(orientation: int) -> None:
    stored = png()
    turned = stored[:33] + png_chunk(b"eXIf", exif(orientation)) + stored[33:]
    np.testing.assert_array_equal(decode_photo(turned).rgb, UPRIGHT[orientation](photograph()))


def avif(orientation: int = 1) -> bytes:
    """Return an AVIF file whose boxes ask for the turn that EXIF calls by that number."""
    tags = Image.Exif()
    tags[0x0112] = orientation
    options = {"quality": 100, "subsampling": "4:4:4", "exif": tags}
    return encoded(Image.fromarray(photograph()), "AVIF", **options)


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_the_turn_and_mirror_of_an_avif_are_applied(orientation: int) -> None:
    data = avif(orientation)
    with Image.open(io.BytesIO(data)) as image:
        pillows = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    rgb = decode_photo(data).rgb
    assert rgb.flags.c_contiguous
    assert rgb.shape == UPRIGHT[orientation](photograph()).shape == pillows.shape
    for expected in (UPRIGHT[orientation](photograph()), pillows):
        # Compression costs 1 to 2 levels; a wrong turn would cost 50 and more.
        assert np.abs(rgb.astype(int) - expected).mean() < 4


@pytest.mark.parametrize("orientation", [1, 6])
def test_an_avif_is_read_where_opencv_has_none(
    monkeypatch: pytest.MonkeyPatch, orientation: int
) -> None:
    expected = decode_photo(avif(orientation)).rgb
    monkeypatch.setattr(cv2, "haveImageWriter", lambda _name: False)
    monkeypatch.setattr(cv2, "imdecode", lambda *_: None)
    # Both use libavif, but round differently from YCbCr to RGB.
    assert np.abs(decode_photo(avif(orientation)).rgb.astype(int) - expected).max() <= 2


@pytest.mark.parametrize("has_box", [True, False])
def test_the_exif_of_an_avif_does_not_turn_it(has_box: bool) -> None:
    # Cameras write both; by the standard, readers follow only the boxes.
    tags = Image.Exif()
    tags[0x0112] = 6 if has_box else 1
    tags[0x010F] = "Maker"
    data = encoded(Image.fromarray(photograph()), "AVIF", exif=tags)
    maker = struct.pack(">HHII", 0x010F, 2, 6, 26)  # Pillow writes all tags except the orientation
    assert data.count(maker) == 1
    both = data.replace(maker, struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0))
    np.testing.assert_array_equal(decode_photo(both).rgb, decode_photo(data).rgb)
    assert decode_photo(both).rgb.shape == ((64, 48, 3) if has_box else (48, 64, 3))


@pytest.mark.parametrize("damaged", [b"irot", b"imir", b"ipma", b"ipco", b"iprp", b"pitm"])
def test_an_avif_with_odd_boxes_is_read_or_refused(damaged: bytes) -> None:
    data = avif(5)
    at = data.index(damaged)
    for offset in (-1, -2, -4, 5, 8, 9, 12):
        odd = bytearray(data)
        odd[at + offset] ^= 0xFF
        with contextlib.suppress(InputError):
            decode_photo(bytes(odd))


def gray() -> Image.Image:
    return Image.fromarray(photograph()).convert("L")


def as_rgb(image: Image.Image) -> Rgb:
    return np.asarray(image.convert("RGB"))


def opencv(suffix: str, image: npt.NDArray[np.generic]) -> bytes:
    # Uncompressed, because OpenCV 4 compresses float TIFF lossily (SGILOG).
    parameters = [cv2.IMWRITE_TIFF_COMPRESSION, 1]
    return cv2.imencode(suffix, image, parameters)[1].tobytes()  # type: ignore[arg-type]


def with_alpha() -> Image.Image:
    image = Image.fromarray(photograph())
    image.putalpha(Image.fromarray((photograph()[..., 0] > 100).astype(np.uint8) * 255))
    return image


LOSSLESS: dict[str, Callable[[], tuple[bytes, Rgb]]] = {
    "rgb png": lambda: (png(), photograph()),
    "rgba png": lambda: (encoded(with_alpha(), "PNG"), photograph()),
    "gray png": lambda: (encoded(gray(), "PNG"), as_rgb(gray())),
    "gray and alpha png": lambda: (encoded(gray().convert("LA"), "PNG"), as_rgb(gray())),
    "1-bit png": lambda: (encoded(gray().convert("1"), "PNG"), as_rgb(gray().convert("1"))),
    "palette png": lambda: (
        encoded(Image.fromarray(photograph()).quantize(16), "PNG"),
        as_rgb(Image.fromarray(photograph()).quantize(16)),
    ),
    "16-bit gray png": lambda: (
        opencv(".png", np.asarray(gray()).astype(np.uint16) * 257),
        as_rgb(gray()),
    ),
    "16-bit tiff": lambda: (
        opencv(".tif", photograph()[..., ::-1].astype(np.uint16) * 257),
        photograph(),
    ),
    "float gray tiff": lambda: (
        opencv(".tif", np.asarray(gray()).astype(np.float32) / 255),
        as_rgb(gray()),
    ),
    "float rgb tiff": lambda: (
        opencv(".tif", photograph()[..., ::-1].astype(np.float32) / 255),
        photograph(),
    ),
    "bmp": lambda: (encoded(Image.fromarray(photograph()), "BMP"), photograph()),
    "ppm": lambda: (encoded(Image.fromarray(photograph()), "PPM"), photograph()),
    "lossless webp": lambda: (
        encoded(Image.fromarray(photograph()), "WEBP", lossless=True),
        photograph(),
    ),
    "first frame of an animated png": lambda: (
        png(save_all=True, append_images=[gray().convert("RGB")]),
        photograph(),
    ),
}


@pytest.mark.parametrize("kind", LOSSLESS)
def test_lossless_files_give_their_exact_rgb(kind: str) -> None:
    data, expected = LOSSLESS[kind]()
    np.testing.assert_array_equal(decode_photo(data).rgb, expected)


LOSSY: dict[str, Callable[[], bytes]] = {
    "jpeg": jpeg,
    "progressive jpeg": lambda: jpeg(progressive=True),
    "cmyk jpeg": lambda: encoded(Image.fromarray(photograph()).convert("CMYK"), "JPEG", quality=95),
    "jpeg with bytes behind its end": lambda: jpeg() + b"phone" * 99,
    "webp": lambda: encoded(Image.fromarray(photograph()), "WEBP", quality=95),
    "jpeg 2000": lambda: encoded(Image.fromarray(photograph()), "JPEG2000"),
}


@pytest.mark.parametrize("kind", LOSSY)
def test_lossy_files_give_nearly_their_rgb(kind: str) -> None:
    difference = decode_photo(LOSSY[kind]()).rgb.astype(int) - photograph()
    # A smooth picture loses 1 to 2 levels in these; swapped channels would differ by 50.
    assert np.abs(difference).mean() < 4


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_the_first_frame_of_an_animation_is_taken(kind: str) -> None:
    if not cv2.haveImageWriter("a.gif"):
        pytest.skip("OpenCV before 4.11 reads no animations")
    image = Image.fromarray(photograph())
    data = encoded(image, kind, save_all=True, append_images=[Image.new("RGB", image.size)])
    difference = decode_photo(data).rgb.astype(int) - photograph()
    # 256 colours; the black second frame would differ by more than 100.
    assert np.abs(difference).mean() < 10


@pytest.mark.parametrize(
    "values",
    [np.array([[-2, 0, 8]], np.float32), np.array([[100, 300, 1100]], np.int32)],
    ids=["float", "int32"],
)
def test_numbers_without_a_white_level_are_stretched(values: npt.NDArray[np.generic]) -> None:
    rgb = decode_photo(opencv(".tif", np.repeat(values, 2, axis=0))).rgb
    np.testing.assert_array_equal(rgb[0, :, 0], [0, 51, 255])


def test_values_that_are_not_finite_are_black() -> None:
    values = np.array([[0, np.nan, np.inf, 1]], np.float32)
    assert decode_photo(opencv(".tif", values)).rgb[0, :, 1].tolist() == [0, 0, 0, 255]


@pytest.mark.parametrize("kind", ["plain", "turned"])
def test_the_pixels_are_those_of_imread(tmp_path: Path, kind: str) -> None:
    data = jpeg() if kind == "plain" else with_app1(jpeg(), b"Exif\0\0" + exif(6))
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    bgr = cv2.imread(str(path))
    assert bgr is not None
    np.testing.assert_array_equal(read_rgb(path), bgr[..., ::-1])


def test_arrays_of_bytes_are_decoded_like_bytes() -> None:
    np.testing.assert_array_equal(decode_photo(np.frombuffer(png(), np.uint8)).rgb, photograph())


@pytest.mark.parametrize("name", ["Zürich 東京 🗼.jpg", "png called.jpg", "no suffix"])
def test_the_content_decides_not_the_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(png())
    np.testing.assert_array_equal(read_rgb(tmp_path / name), photograph())


def bad_checksum(chunk: bytes) -> bytes:
    data = bytearray(png())
    start = data.index(chunk)
    data[start + 4 + int.from_bytes(data[start - 4 : start], "big")] ^= 1
    return bytes(data)


def png_of_size(width: int, height: int) -> bytes:
    header = png_chunk(b"IHDR", struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0))
    body = png_chunk(b"IDAT", zlib.compress(bytes(100)))
    return b"\x89PNG\r\n\x1a\n" + header + body + png_chunk(b"IEND", b"")


def jpeg_of_size(width: int, height: int) -> bytes:
    data = bytearray(jpeg())
    start = data.index(b"\xff\xc0")
    data[start + 5 : start + 9] = struct.pack(">2H", height, width)
    return bytes(data)


def thumbnail_jpeg() -> bytes:
    return with_app1(jpeg(photograph(400, 400)), b"Exif\0\0" + exif(1) + jpeg(photograph(8, 8)))


NO_END, TRUNCATED = "truncated: its end is missing", "truncated, damaged or"
REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "empty"),
    "text": (lambda: b"not a photograph" * 100, "not an image"),
    "one byte": (lambda: b"x", "not an image"),
    "video": (lambda: b"\0\0\0\x18ftypmp42" + bytes(100), "a video: save its frames"),
    # OpenCV would read the thumbnail at the start of NEF, ARW and DNG files.
    "raw": (
        lambda: encoded(Image.fromarray(photograph()), "TIFF", tiffinfo={254: 1}),
        "raw file is not supported: develop it",
    ),
    "cr2": (lambda: b"II*\0\x10\0\0\0CR\2\0" + bytes(100), "raw file is not supported"),
    "heic": (lambda: b"\0\0\0\x18ftypheic" + bytes(100), "HEIC needs pillow-heif: pip install"),
    "jpeg, half": (lambda: jpeg()[: len(jpeg()) // 2], NO_END),
    "jpeg, end marker only": (lambda: jpeg()[:-2], NO_END),
    "jpeg, header only": (lambda: jpeg()[:30], NO_END),
    "jpeg, tail of zeros": (lambda: jpeg()[: len(jpeg()) // 2] + bytes(2000), NO_END),
    "jpeg with thumbnail, half": (lambda: thumbnail_jpeg()[:4000], NO_END),
    "progressive jpeg, half": (
        lambda: jpeg(photograph(400, 400), progressive=True)[:6000],
        NO_END,
    ),
    "png, half": (lambda: png()[: len(png()) // 2], NO_END),
    "png without end": (lambda: png()[:-12], NO_END),
    "png, signature only": (lambda: png()[:8], NO_END),
    "png, wrong checksum in the header": (lambda: bad_checksum(b"IHDR"), "wrong checksum"),
    "png, wrong checksum in the pixels": (lambda: bad_checksum(b"IDAT"), "wrong checksum"),
    "bmp, half": (lambda: LOSSLESS["bmp"]()[0][:4000], TRUNCATED),
    "webp, half": (lambda: LOSSLESS["lossless webp"]()[0][:100], TRUNCATED),
    "tiff, half": (lambda: LOSSLESS["16-bit tiff"]()[0][:1000], TRUNCATED),
    "float tiff, half": (lambda: LOSSLESS["float gray tiff"]()[0][:1000], TRUNCATED),
    "ppm, half": (lambda: LOSSLESS["ppm"]()[0][:1000], TRUNCATED),
    "absurd png": (lambda: png_of_size(100_000, 90_000), "too large: 100000 by 90000 pixels"),
    "very long png": (lambda: png_of_size(2_000_000, 2), "too large: 2000000 by 2 pixels"),
    "absurd jpeg": (lambda: jpeg_of_size(65_000, 64_000), "too large: 65000 by 64000 pixels"),
    "absurd ppm": (lambda: b"P6\n100000 90000\n255\n" + bytes(99), f"limit is {MAX_PIXELS}"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_not_a_whole_picture_is_refused_in_one_line(
    tmp_path: Path, no_heic: None, kind: str
) -> None:
    make, reason = REFUSED[kind]
    path = tmp_path / "a.jpg"
    path.write_bytes(make())
    with pytest.raises(InputError) as caught:
        read_rgb(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert reason in message
    assert "\n" not in message


def test_a_whole_jpeg_with_a_thumbnail_is_read() -> None:
    assert decode_photo(thumbnail_jpeg()).rgb.shape == (400, 400, 3)


@pytest.mark.parametrize("kind", ["folder", "pipe", "nothing"])
def test_what_is_not_a_file_is_refused_without_waiting(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.jpg"
    if kind == "folder":
        path.mkdir()
    if kind == "pipe":
        os.mkfifo(path)
    reason = {
        "folder": "Is a directory",
        "pipe": "a folder, pipe or device",
        "nothing": "No such file",
    }
    with pytest.raises(InputError, match=rf"a\.jpg: {reason[kind]}"):
        read_rgb(path)


def test_a_file_that_may_not_be_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, _flags: int) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    tree(tmp_path, "a.jpg")
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(InputError, match=r"a\.jpg: Permission denied"):
        read_rgb(tmp_path / "a.jpg")


@pytest.mark.parametrize(
    "data",
    [
        png()[:33] + png_chunk(b"iCCP", b"odd\0\0" + zlib.compress(b"no profile")) + png()[33:],
        png()[:-12],
        bad_checksum(b"IDAT"),
        b"no image at all",
        REFUSED["tiff, half"][0](),
        REFUSED["absurd ppm"][0](),
    ],
    ids=["odd profile", "no end", "checksum", "text", "tiff", "absurd"],
)
def test_the_decoders_write_nothing_to_stderr(
    data: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with contextlib.suppress(InputError):
        decode_photo(data)
    assert capfd.readouterr().err == ""


SIZED: dict[str, Callable[[], bytes]] = {
    **{kind: (lambda kind=kind: LOSSLESS[kind]()[0]) for kind in LOSSLESS},  # type: ignore[misc]
    **LOSSY,
    "gif": lambda: encoded(Image.fromarray(photograph()).quantize(16), "GIF"),
    "webp with alpha": lambda: encoded(with_alpha(), "WEBP"),
    "old bmp": lambda: (
        b"BM" + struct.pack("<3I", 0, 0, 26) + struct.pack("<I4H", 12, 64, 48, 1, 24)
    ),
    "bmp from above": lambda: (
        b"BM" + struct.pack("<3II2i2H6I", 0, 0, 54, 40, 64, -48, 1, 24, *[0] * 6)
    ),
    "big-endian tiff": lambda: (
        b"MM\0*" + struct.pack(">IH2HIHxx2HII", 8, 2, 256, 3, 1, 64, 257, 4, 1, 48)
    ),
    "bigtiff": lambda: encoded(Image.fromarray(photograph()), "TIFF", big_tiff=True),
    "avif": lambda: encoded(Image.fromarray(photograph()), "AVIF"),
    "jpeg 2000 codestream": lambda: encoded(Image.fromarray(photograph()), "JPEG2000", no_jp2=True),
    "hdr": lambda: opencv(".hdr", photograph().astype(np.float32)),
    "pfm": lambda: opencv(".pfm", photograph().astype(np.float32)),
    "pgm with a remark": lambda: b"P5\n# by hand\n64 48\n255\n" + bytes(64 * 48),
    "pam": lambda: b"P7\nWIDTH 64\nHEIGHT 48\nDEPTH 3\nMAXVAL 255\nENDHDR\n" + bytes(9216),
    "a jpeg with a thumbnail": lambda: with_app1(
        jpeg(), b"Exif\0\0" + exif(1) + jpeg(photograph(8, 8))
    ),
}


@pytest.mark.parametrize("kind", SIZED)
def test_a_header_gives_the_size(kind: str) -> None:
    assert picture_size(SIZED[kind]()) == (48, 64)


@pytest.mark.parametrize("kind", [kind for kind in SIZED if kind not in ("old bmp", "pam")])
def test_a_header_cut_anywhere_raises_nothing(kind: str) -> None:
    data = SIZED[kind]()
    for length in range(min(len(data), 200)):
        height, width = picture_size(data[:length]) or (0, 0)
        assert height <= 48
        assert width <= 64
        is_deep(data[:length])


def test_a_header_that_points_beyond_any_file_gives_no_size() -> None:
    data = b"II+\0" + struct.pack("<2HQ", 8, 0, 2**64 - 1) + bytes(100)
    assert picture_size(data) is None
    assert is_deep(data)


def test_floats_are_known_from_bytes_by_the_header() -> None:
    deep = {kind for kind in SIZED if is_deep(SIZED[kind]())}
    assert deep == {"float gray tiff", "float rgb tiff", "hdr", "pfm"}
