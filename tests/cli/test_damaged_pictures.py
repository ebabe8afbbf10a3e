"""Pictures that decode although part of them is missing, in a process of the command line."""

import io
import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from front_door import FrontDoor, picture, written_in

EOI = b"\xff\xd9"


def jpeg(**options: object) -> bytes:
    """Return a JPEG of 200 by 150 pixels whose data fill every part of it."""
    noise = np.random.default_rng(seed=0).integers(0, 60, (150, 200, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(picture(200, 150) // 2 + noise).save(file, "JPEG", quality=90, **options)
    return file.getvalue()


def without_middle(data: bytes, size: int = 3000) -> bytes:
    half = len(data) // 2
    return data[:half] + data[half + size :]


WHOLE = jpeg()
DAMAGED = {
    "breaks-off.jpg": WHOLE[: len(WHOLE) // 2] + EOI,
    "hole.jpg": without_middle(WHOLE),
    "zeros.jpg": WHOLE[: len(WHOLE) // 2] + bytes(3000) + WHOLE[len(WHOLE) // 2 + 3000 :],
    "progressive.jpg": jpeg(progressive=True)[:6000] + EOI,
    "restarts.jpg": without_middle(jpeg(restart_marker_blocks=4)),
}
SOUND = {
    "whole.jpg": WHOLE,
    "padded.jpg": WHOLE[:-2] + bytes(500) + EOI,
    "webcam.jpg": WHOLE[:-2] + b"\x12\x34\x56\x78\x9a" + EOI,
    "phone.jpg": WHOLE[:-2] + bytes(500) + EOI + WHOLE[len(WHOLE) // 2 :],
    "restarted.jpg": jpeg(restart_marker_blocks=4),
}


def run(dpt: FrontDoor, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    options = ("--registry", str(dpt.registry), "--weights", str(dpt.weights()))
    return subprocess.run(
        [sys.executable, "-m", "dpt_cli", "depth", *words, *options, "--engine", "torch"],
        cwd=dpt.desk,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        input=stdin,
        capture_output=True,
        check=False,
    )


@pytest.fixture
def photographs(dpt: FrontDoor) -> Path:
    """Damaged and sound pictures side by side, so that several threads decode them."""
    folder = dpt.desk / "in"
    folder.mkdir()
    for name, data in (DAMAGED | SOUND).items():
        (folder / name).write_bytes(data)
    for number in range(6):
        (folder / f"more-{number}.jpg").write_bytes(WHOLE)
    return folder


def test_a_picture_with_a_hole_fails_by_name_and_no_other(
    dpt: FrontDoor, photographs: Path
) -> None:
    done = run(dpt, "in", "-o", "out", "--json")
    assert done.returncode == 3, done.stderr
    records = [json.loads(line) for line in done.stdout.splitlines()]
    failed = {Path(it["input"]).name: it["error"] for it in records if it.get("error")}
    assert failed.keys() == DAMAGED.keys()
    assert all("damaged: " in reason and "JPEG data" in reason for reason in failed.values())
    num_sound = len(list(photographs.iterdir())) - len(DAMAGED)
    assert len(written_in(dpt.desk / "out")) == num_sound
    # A decoder's messages name no file: they are part of a failure's reason or are not printed.
    assert not [line for line in done.stderr.splitlines() if line.startswith(b"Corrupt JPEG")]


def test_a_damaged_picture_from_standard_input_fails(dpt: FrontDoor) -> None:
    done = run(dpt, "-", "-o", "-", stdin=DAMAGED["hole.jpg"])
    assert done.returncode != 0
    assert done.stdout == b""
    assert b"damaged: " in done.stderr


def test_a_png_fails_with_the_words_of_its_decoder(dpt: FrontDoor) -> None:
    file = io.BytesIO()
    Image.fromarray(picture(64, 48)).save(file, "PNG")
    header = file.getvalue()[:33]
    pixels = bytearray(zlib.compress(bytes(48 * (1 + 3 * 64))))
    pixels[-1] ^= 1  # breaks zlib's checksum; that of the chunk is right
    body = b"IDAT" + pixels
    chunk = struct.pack(">I", len(pixels)) + body + struct.pack(">I", zlib.crc32(body))
    (dpt.desk / "bad.png").write_bytes(header + chunk + file.getvalue()[-12:])
    done = run(dpt, "bad.png", "-o", "out")
    assert done.returncode == 3
    assert "bad.png: damaged: libpng error: IDAT: incorrect data check" in done.stderr.decode()


def test_what_else_reaches_descriptor_2_meanwhile_is_printed(tmp_path: Path) -> None:
    code = """
import os
from dpt_cli.photos.complaints import listen, watch_descriptor
watch_descriptor()
def decode():
    os.write(2, b"from a driver\\nCorrupt JPEG data: bad Huffman code\\n")
    return 7
result, lines = listen(decode)
assert (result, lines) == (7, ["Corrupt JPEG data: bad Huffman code"]), lines
os.write(2, b"afterwards\\n")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "from a driver\n" in done.stderr
    assert done.stderr.endswith("afterwards\n")
    assert "Corrupt" not in done.stderr


def test_in_a_library_descriptor_2_stays_where_it_is(capfd: pytest.CaptureFixture[str]) -> None:
    from dpt_cli.photos.decode import decode_photo

    assert decode_photo(DAMAGED["hole.jpg"]).rgb.shape == (150, 200, 3)
    assert "Corrupt JPEG data" in capfd.readouterr().err
