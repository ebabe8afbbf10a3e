"""Make README's picture: photographs beside the depth maps that `dpt` writes of them.

`make picture` runs it. The maps come from the real command with the bundled weights, untouched
except for the resize that fits them into the picture.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

_ROOT = Path(__file__).parents[1]
_PICTURE = _ROOT / "docs" / "picture.jpg"
_PHOTOGRAPHS = ("coffee.png", "rocket.jpg")  # CC0 and public domain; see examples/README.md
_WIDTH_PX, _HEIGHT_PX = 480, 320  # of each of the four


def main() -> None:
    """Write `docs/picture.jpg`: one row per photograph, its depth map at the right."""
    picture = Image.new("RGB", (2 * _WIDTH_PX, len(_PHOTOGRAPHS) * _HEIGHT_PX))
    with tempfile.TemporaryDirectory() as folder:
        photographs = [_ROOT / "examples" / name for name in _PHOTOGRAPHS]
        command = [sys.executable, "-m", "dpt_cli", "depth", *map(str, photographs), "-o", folder]
        # One engine, so that the picture does not depend on what is installed.
        subprocess.run([*command, "--model", "tiny", "--engine", "torch"], check=True)
        for row, photograph in enumerate(photographs):
            depth_map = Path(folder, f"{photograph.stem}_depth.png")
            for column, path in enumerate((photograph, depth_map)):
                with Image.open(path) as image:
                    tile = image.convert("RGB").resize(
                        (_WIDTH_PX, _HEIGHT_PX), Image.Resampling.LANCZOS
                    )
                picture.paste(tile, (column * _WIDTH_PX, row * _HEIGHT_PX))
    picture.save(_PICTURE, quality=88)


if __name__ == "__main__":
    main()
