"""Thousands of damaged pictures give an array or an InputError, and nothing else.

DPT_FUZZ_SECONDS sets how long it runs (60).
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

_SECONDS = float(os.environ.get("DPT_FUZZ_SECONDS", "60"))

# Runs in its own process, which a crash in a decoder ends.
_FUZZ = """
import collections, random, sys, time
import numpy as np
from dpt_cli.photos.decode import decode_photo
from dpt_cli.errors import InputError
from dpt_cli.photos.headers import is_deep, picture_size
from test_inputs import LOSSLESS, LOSSY, SIZED, with_app1, exif, jpeg, png

seeds = [make()[0] for make in LOSSLESS.values()]
seeds += [make() for make in (LOSSY | SIZED).values()]
seeds += [with_app1(jpeg(), b"Exif\\0\\0" + exif(turn)) for turn in (6, 9)]
dice = random.Random(int(sys.argv[1]))
ends = time.monotonic() + float(sys.argv[2])
counts = collections.Counter()
while time.monotonic() < ends:
    data = bytearray(dice.choice(seeds))
    for _ in range(dice.choice((1, 1, 2, 4, 16))):
        at, how = dice.randrange(len(data)), dice.randrange(6)
        if how == 0:
            data[at] ^= 1 << dice.randrange(8)
        elif how == 1:
            data[at : at + 4] = dice.randbytes(4)
        elif how == 2:
            data[at : at + dice.choice((1, 2, 4))] = dice.choice((b"\\0", b"\\xff", b"\\x7f")) * 4
        elif how == 3:
            del data[at : at + dice.randrange(1, 40)]
        elif how == 4:
            data[at:at] = data[dice.randrange(len(data)) :][: dice.randrange(1, 40)]
        else:
            del data[at:]
        if not data:
            data = bytearray(b"x")
    with open(sys.argv[3], "wb") as file:
        file.write(data)
    size, deep = picture_size(bytes(data)), is_deep(bytes(data))
    if size is not None and size[0] * size[1] > 4e7:
        counts["large"] += 1
        continue
    started = time.monotonic()
    try:
        rgb = decode_photo(bytes(data)).rgb
    except InputError as error:
        assert str(error) and "\\n" not in str(error), error
        counts["refused"] += 1
    else:
        assert rgb.dtype == np.uint8 and rgb.ndim == 3 and rgb.shape[2] == 3, rgb.shape
        counts["decoded"] += 1
    assert time.monotonic() - started < 30
print(dict(counts))
"""


def test_damaged_pictures_are_decoded_or_refused(tmp_path: Path) -> None:
    last = tmp_path / "last"
    seed = random_seed()
    done = subprocess.run(
        [sys.executable, "-c", _FUZZ, str(seed), str(_SECONDS), str(last)],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        timeout=_SECONDS + 120,
    )
    print(f"\nseed {seed}: {done.stdout.strip()}")
    assert done.returncode == 0, f"seed {seed}, {last.read_bytes().hex()}: {done.stderr}"


def random_seed() -> int:
    return int(os.environ.get("DPT_FUZZ_SEED", "1"))
