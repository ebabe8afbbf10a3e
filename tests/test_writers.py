"""Writing files: read back by other programs, whole or not at all, the same bytes each time."""

import csv
import errno
import os
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
from PIL import Image

from dpt_cli.errors import OutputError
from dpt_cli.formats.arrays import write_npy, write_pfm
from dpt_cli.formats.depth import write_depth_png16
from dpt_cli.formats.files import Draft, is_temporary, replacing
from dpt_cli.formats.labels import write_labels_png
from dpt_cli.formats.png import write_palette_png, write_png
from dpt_cli.formats.rows import write_csv
from dpt_cli.maps import DepthMap, LabelMap, Provenance, Quantity
from dpt_cli.maps.ade20k import COLORS
from dpt_cli.maps.facts import describe
from dpt_cli.photos.source import Stamp, stamp_of

RNG = np.random.default_rng(seed=0)
# Odd sizes, more rows than one strip of the encoder holds, and a last strip of another height.
HW = (131, 77)
GREY = RNG.integers(0, 256, HW, np.uint8)
GREY16 = RNG.integers(0, 65536, HW, np.uint16)
RGB = RNG.integers(0, 256, (*HW, 3), np.uint8)
VALUES = RNG.normal(size=HW).astype(np.float32)
LABELS = RNG.integers(0, 150, HW, np.uint8)
MADE_BY = Provenance("depth/hybrid", (384, 512))


def depth_map(values: object = VALUES, quantity: Quantity = "inverse_depth") -> DepthMap:
    return DepthMap(np.asarray(values, np.float32), quantity, MADE_BY)


def label_map(labels: npt.NDArray[np.uint8] = LABELS) -> LabelMap:
    return LabelMap(labels, Provenance("segment/large", (480, 640)))


def save(path: Path, write: Callable[..., object], *content: object) -> None:
    """Write a file as a whole."""
    with replacing(path) as file:
        write(file, *content)


WRITE: dict[str, Callable[[Path], None]] = {
    "png": lambda path: save(path, write_png, RGB, {"dpt:unit": "m"}),
    "palette png": lambda path: save(path, write_palette_png, LABELS, COLORS),
    "npy": lambda path: save(path, write_npy, VALUES),
    "pfm": lambda path: save(path, write_pfm, VALUES),
    "depth png16": lambda path: save(path, write_depth_png16, depth_map()),
    "ade20k png": lambda path: save(path, write_labels_png, label_map()),
    "csv": lambda path: save(path, write_csv, [{"a": 1, "b": None}]),
}
ALL = pytest.mark.parametrize("write", WRITE.values(), ids=WRITE.keys())


def chunks(path: Path) -> list[tuple[bytes, bytes]]:
    """Return a PNG's chunks, their lengths and checksums checked."""
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    found, at = [], 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        (checksum,) = struct.unpack(">I", data[at + 8 + length : at + 12 + length])
        assert checksum == zlib.crc32(kind + body)
        found.append((kind, body))
        at += 12 + length
    return found


def text_of(path: Path) -> dict[str, str]:
    with Image.open(path) as image:
        image.load()
        return {str(key): value for key, value in image.info.items() if isinstance(value, str)}


@pytest.mark.parametrize(
    "image", [GREY, GREY16, RGB, RGB[::2, ::-3], GREY16.T, RGB[:1, :1]], ids=lambda i: str(i.shape)
)
def test_a_png_gives_its_pixels_back(tmp_path: Path, image: npt.NDArray[np.uint8]) -> None:
    save(tmp_path / "a.png", write_png, image)
    read = cv2.imread(str(tmp_path / "a.png"), flags=cv2.IMREAD_UNCHANGED)
    assert read is not None
    assert read.dtype == image.dtype
    np.testing.assert_array_equal(read[..., ::-1] if image.ndim == 3 else read, image)


def test_without_isal_a_png_has_the_same_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "isal", None)
    save(tmp_path / "a.png", write_png, GREY16)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), GREY16)


@pytest.mark.parametrize(
    "image", [VALUES, RGB[..., :2], RGB.astype(np.uint16)], ids=["float", "2 channels", "rgb16"]
)
def test_other_arrays_are_no_png(tmp_path: Path, image: npt.NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match="no PNG from"):
        save(tmp_path / "a.png", write_png, image)


def test_a_smooth_map_is_compressed(tmp_path: Path) -> None:
    ramp = np.add.outer(np.arange(500), np.arange(500)).astype(np.uint16)
    save(tmp_path / "a.png", write_png, ramp)
    # Without the filter this ramp takes eight times as much.
    assert (tmp_path / "a.png").stat().st_size < ramp.nbytes / 50


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("metres", b"tEXt"),
        ("Zürich", b"tEXt"),
        ("東京.pt", b"iTXt"),
        ("bad-\udcff.pt", b"iTXt"),
        ("", b"tEXt"),
    ],
)
def test_text_stands_in_the_file(tmp_path: Path, value: str, kind: bytes) -> None:
    save(tmp_path / "a.png", write_png, GREY, {"dpt:weights": value, "dpt:unit": "m"})
    assert [name for name, _ in chunks(tmp_path / "a.png")][:3] == [b"IHDR", kind, b"tEXt"]
    expected = value.replace("\udcff", r"\udcff")
    assert text_of(tmp_path / "a.png") == {"dpt:weights": expected, "dpt:unit": "m"}


def test_libpng_has_no_complaint(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    save(tmp_path / "a.png", write_labels_png, label_map())
    cv2.imread(str(tmp_path / "a.png"))
    assert capfd.readouterr().err == ""


def test_palette_pixels_are_the_indices(tmp_path: Path) -> None:
    save(tmp_path / "a.png", write_palette_png, LABELS, COLORS, {"dpt:unit": "class"})
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.asarray(image), LABELS)
    assert text_of(tmp_path / "a.png") == {"dpt:unit": "class"}


def test_palette_colours_are_seen_by_viewers(tmp_path: Path) -> None:
    save(tmp_path / "a.png", write_palette_png, LABELS, COLORS)
    bgr = cv2.imread(str(tmp_path / "a.png"))
    assert bgr is not None
    np.testing.assert_array_equal(bgr[..., ::-1], np.array(COLORS, np.uint8)[LABELS])


def test_an_index_without_a_colour_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="index 3 in a palette of 3 colours"):
        save(tmp_path / "a.png", write_palette_png, np.array([[0, 3]], np.uint8), COLORS[:3])


def test_ade20k_numbers_run_from_1_to_150(tmp_path: Path) -> None:
    every = np.arange(150, dtype=np.uint8).reshape(10, 15)
    save(tmp_path / "a.png", write_labels_png, label_map(every))
    with Image.open(tmp_path / "a.png") as image:
        np.testing.assert_array_equal(np.asarray(image).ravel(), np.arange(1, 151))
    plte = dict(chunks(tmp_path / "a.png"))[b"PLTE"]
    assert plte == bytes(3) + bytes(channel for color in COLORS for channel in color)


@pytest.mark.parametrize(
    "array",
    [VALUES, VALUES.T, VALUES[::2, ::-1], LABELS, np.zeros((0, 3)), np.float32(7)],
    ids=["floats", "transposed", "strided", "labels", "empty", "scalar"],
)
def test_npy_gives_the_array_back(tmp_path: Path, array: npt.NDArray[np.float32]) -> None:
    save(tmp_path / "a.npy", write_npy, array)
    read = np.load(tmp_path / "a.npy", allow_pickle=False)
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)


def test_pfm_is_little_endian_with_the_bottom_row_first(tmp_path: Path) -> None:
    values = np.array([[1, -2, np.inf], [4, 5.5, np.nan]], np.float32)
    save(tmp_path / "a.pfm", write_pfm, values)
    header = b"Pf\n3 2\n-1.000000\n"
    pixels = struct.pack("<6f", 4, 5.5, np.nan, 1, -2, np.inf)
    assert (tmp_path / "a.pfm").read_bytes() == header + pixels


def test_pfm_is_read_by_opencv(tmp_path: Path) -> None:
    save(tmp_path / "a.pfm", write_pfm, VALUES)
    read = cv2.imread(str(tmp_path / "a.pfm"), flags=cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(read, VALUES)


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("quantity", "values", "pixels"),
    [
        ("inverse_depth", [2, 3, 4], [0, 32768, 65535]),
        ("inverse_depth", [-1, NAN, 1, INF, -INF], [0, 0, 65535, 0, 0]),
        ("inverse_depth", [7, 7, 7], [0, 0, 0]),
        ("inverse_depth", [NAN, INF], [0, 0]),
        ("inverse_depth", [0, 1e-45], [0, 65535]),
        ("inverse_depth", [-3e38, 0, 3e38], [0, 32768, 65535]),
        ("depth", [1, 1.2344, 1.2346], [1000, 1234, 1235]),
        ("depth", [65.535, 65.54, 1e30, -1, -1e30], [65535, 65535, 65535, 0, 0]),
        ("depth", [NAN, INF, -INF, 2], [0, 0, 0, 2000]),
        ("depth", [3, 3], [3000, 3000]),
    ],
)
def test_depth_becomes_16_bits(
    tmp_path: Path, quantity: Quantity, values: list[float], pixels: list[int]
) -> None:
    save(tmp_path / "a.png", write_depth_png16, depth_map([values], quantity))
    read = cv2.imread(str(tmp_path / "a.png"), flags=cv2.IMREAD_UNCHANGED)
    assert read is not None
    assert read.dtype == np.uint16
    assert read[0].tolist() == pixels


@pytest.mark.parametrize(
    ("quantity", "values", "num_clipped"),
    [
        ("depth", [65.535, 65.54, 80, 1, NAN, INF], 2),
        ("depth", [1, 2], 0),
        ("inverse_depth", [1, 99, INF], 0),
    ],
)
def test_pixels_beyond_what_16_bits_hold_are_counted(
    tmp_path: Path, quantity: Quantity, values: list[float], num_clipped: int
) -> None:
    path = tmp_path / "a.png"
    with replacing(path) as file:
        assert write_depth_png16(file, depth_map([values], quantity)) == num_clipped
    text = text_of(path).get("dpt:clipped", "0 pixels")
    assert text.split()[0] == str(num_clipped)


def test_16_bits_and_the_text_bring_inverse_depth_back(tmp_path: Path) -> None:
    save(tmp_path / "a.png", write_depth_png16, depth_map())
    read = cv2.imread(str(tmp_path / "a.png"), flags=cv2.IMREAD_UNCHANGED)
    assert read is not None
    text = text_of(tmp_path / "a.png")
    low, high = float(text["dpt:min"]), float(text["dpt:max"])
    # Half a step of 65535.
    np.testing.assert_allclose(low + read / 65535 * (high - low), VALUES, atol=(high - low) / 1e5)


@pytest.mark.parametrize(
    ("result", "facts"),
    [
        (
            depth_map([[0.1, 3, NAN]]),
            {
                "dpt:quantity": "inverse_depth",
                "dpt:unit": "relative",
                "dpt:near": "large",
                "dpt:min": "0.100000001",
                "dpt:max": "3",
                "dpt:weights": "depth/hybrid",
            },
        ),
        (
            depth_map([[1, 80]], "depth"),
            {"dpt:quantity": "depth", "dpt:unit": "m", "dpt:near": "small", "dpt:max": "80"},
        ),
        (label_map(), {"dpt:quantity": "labels", "dpt:weights": "segment/large"}),
    ],
    ids=["inverse depth", "depth", "labels"],
)
def test_a_map_is_described(result: DepthMap | LabelMap, facts: dict[str, str]) -> None:
    assert describe(result).items() >= facts.items()


def test_a_map_without_finite_values_has_no_range() -> None:
    assert "dpt:min" not in describe(depth_map([[NAN]]))


def test_csv_is_read_back(tmp_path: Path) -> None:
    rows = [
        {"name": 'a, "b"\nc', "number": 0.1, "none": None},
        {"name": "é", "number": 2, "none": 3},
    ]
    save(tmp_path / "a.csv", write_csv, rows)
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        read = list(csv.DictReader(file))
    assert read == [
        {"name": 'a, "b"\nc', "number": "0.1", "none": ""},
        {"name": "é", "number": "2", "none": "3"},
    ]
    save(tmp_path / "b.csv", write_csv, [])
    assert (tmp_path / "b.csv").read_text().strip() == ""


@pytest.mark.parametrize(
    ("quantity", "pixel"), [("depth", "millimetres"), ("inverse_depth", "dpt:high - dpt:low")]
)
def test_16_bit_depth_says_what_it_is(tmp_path: Path, quantity: Quantity, pixel: str) -> None:
    result = depth_map(VALUES, quantity)
    save(tmp_path / "a.png", write_depth_png16, result)
    text = text_of(tmp_path / "a.png")
    assert pixel in text.pop("dpt:pixel")
    assert text.items() >= describe(result).items()


@ALL
def test_missing_folders_are_made_and_nothing_else_is_left(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    path = tmp_path / "new" / "folders" / "Zürich 東京.out"
    write(path)
    assert list(path.parent.iterdir()) == [path]


@ALL
def test_the_same_map_gives_the_same_bytes(tmp_path: Path, write: Callable[[Path], None]) -> None:
    write(tmp_path / "a")
    write(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_an_existing_file_is_replaced_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(b"old")
    with (tmp_path / "a.npy").open("rb") as reader:
        save(tmp_path / "a.npy", write_npy, VALUES)
        assert reader.read() == b"old"
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), VALUES)


def test_a_file_gets_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    save(tmp_path / "a.npy", write_npy, VALUES)
    assert (tmp_path / "a.npy").stat().st_mode == (tmp_path / "usual").stat().st_mode


@pytest.mark.parametrize("name", ["n" * 250 + ".npy", "東" * 80 + ".npy"], ids=["ascii", "utf-8"])
def test_the_longest_names_can_be_written(tmp_path: Path, name: str) -> None:
    save(tmp_path / name, write_npy, VALUES)
    assert (tmp_path / name).exists()


# A limit on the size of files stands in for a full disk.
FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from dpt_cli.errors import OutputError
from dpt_cli.formats.files import replacing
from dpt_cli.formats.arrays import write_npy
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    with replacing(Path(sys.argv[1])) as file:
        write_npy(file, np.zeros(1_000_000))
except OutputError as error:
    sys.exit(str(error))
"""


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(b"old")
    command = [sys.executable, "-c", FULL_DISK, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == f"cannot write {path}: {os.strerror(errno.EFBIG)}\n"
    assert {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()} == {"a.npy": b"old"}


def test_a_parent_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=f"cannot write {tmp_path}/file/a.npy: "):
        save(tmp_path / "file" / "a.npy", write_npy, VALUES)


def test_a_folder_in_the_way_is_named_and_nothing_left(tmp_path: Path) -> None:
    (tmp_path / "a.npy").mkdir()
    with pytest.raises(OutputError, match=r"a\.npy: Is a directory"):
        save(tmp_path / "a.npy", write_npy, VALUES)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.npy"]


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit, MemoryError])
def test_an_interruption_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interrupt: type[BaseException]
) -> None:
    def fsync(_: int) -> None:
        assert [is_temporary(entry) for entry in tmp_path.iterdir()] == [True]
        raise interrupt

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(interrupt):
        save(tmp_path / "a.npy", write_npy, VALUES)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (".a_depth.png.4711-0a1b2c3d.dpt-part", True),
        (".a.4711-0a1b2c3d.dpt-part", True),
        ("a.png", False),
        ("a.4711-0a1b2c3d.dpt-part", False),
        (".a.png.dpt-part", False),
        (".a.4711-0a1b2c3d.dpt-part.png", False),
    ],
)
def test_temporary_names_are_told_from_others(name: str, expected: bool) -> None:
    assert is_temporary(Path("folder") / name) is expected


def test_writing_imports_neither_cv2_nor_matplotlib() -> None:
    code = (
        "import sys, io; import numpy as np; from dpt_cli.formats.png import write_png;"
        "write_png(io.BytesIO(), np.zeros((2, 2), np.uint8));"
        "sys.exit('cv2' in sys.modules or 'matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# What a draft may replace


def publish(path: Path, *known: Stamp, content: bytes = b"new", overwrite: bool = False) -> Stamp:
    with Draft(path, path.parent) as draft:
        draft.write(content)
        stamp = draft.finish()
        draft.publish(known, overwrite=overwrite)
    return stamp


def test_a_stamp_made_while_writing_is_that_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    assert publish(path) == stamp_of(path)
    assert path.stat().st_nlink == 1


@pytest.mark.parametrize("has_links", [True, False])
def test_a_file_that_appeared_meanwhile_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    if not has_links:
        refuse_links(monkeypatch)
    path = tmp_path / "a"
    path.write_bytes(b"mine")
    with pytest.raises(OutputError, match="--force"):
        publish(path)
    assert path.read_bytes() == b"mine"
    assert list(tmp_path.iterdir()) == [path]
    publish(path, overwrite=True)
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("has_links", [True, False])
def test_a_known_file_is_replaced_and_a_changed_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    if not has_links:
        refuse_links(monkeypatch)
    path = tmp_path / "a"
    first = publish(path, content=b"one")
    os.utime(path, ns=(1, 1))
    second = publish(path, first, content=b"two")
    assert path.read_bytes() == b"two"
    path.write_bytes(b"TWO")
    with pytest.raises(OutputError, match="changed"):
        publish(path, first, second)
    assert path.read_bytes() == b"TWO"


def refuse_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be a file system without hard links, as FAT is."""

    def link(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", link)


@pytest.mark.parametrize("place", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("x")])
def test_what_is_no_file_is_not_replaced(tmp_path: Path, place: Callable[[Path], None]) -> None:
    path = tmp_path / "a"
    place(path)
    with pytest.raises(OutputError):
        publish(path)
    assert list(tmp_path.iterdir()) == [path]
    assert not path.is_file()


def test_a_draft_does_not_leave_its_folder_through_a_link(tmp_path: Path) -> None:
    root, outside = tmp_path / "out", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (root / "sub").symlink_to(outside)
    (root / "in").mkdir()
    (root / "to-in").symlink_to(root / "in")
    with pytest.raises(OutputError, match="a link leads out"), Draft(root / "sub" / "a", root):
        pass
    assert list(outside.iterdir()) == []
    with Draft(root / "to-in" / "a", root) as draft:
        draft.finish()
        draft.publish()
    assert (root / "in" / "a").exists()
