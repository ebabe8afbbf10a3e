"""Runs `dpt` as a user does: in a folder, with a registry of small models and a loopback Hub."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from click.testing import CliRunner, Result
from PIL import Image

from dpt_cli.cli import dpt
from dpt_cli.pipeline.manifest import LOCK_NAME, MANIFEST_NAME
from loopback_hub import LoopbackHub, sha256_of
from small_models import (
    COMMIT,
    REPO,
    SCALE,
    SHIFT,
    SIDE_PX,
    files,
    hub_source,
    release_source,
    row,
    to_toml,
)

RGB = npt.NDArray[np.uint8]


def invoke(
    *arguments: str | Path, code: int = 0, charset: str = "utf-8", stdin: bytes = b""
) -> Result:
    """Run `dpt` and expect an exit code; any other exception fails the test."""
    words = [str(argument) for argument in arguments]
    result = CliRunner(charset=charset).invoke(dpt, words, input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


class FrontDoor:
    """A folder to work in, a registry, and the Hub that serves what it names.

    Attributes:
        desk: The working directory, empty at first.
        registry: The registry file.
        hub: The Hub.
    """

    def __init__(self, desk: Path, registry: Path, hub: LoopbackHub) -> None:
        self.desk, self.registry, self.hub = desk, registry, hub
        hub.add(REPO, COMMIT, "depth/model.safetensors", files("depth")["model.safetensors"])
        hub.add(REPO, COMMIT, "segment/authors.pt", files("segment")["authors.pt"])
        self.release_url = hub.add_release("small.pt", files("depth")["authors.pt"])
        self.rows(
            depth={
                "small": row("depth", [self.hub_source("depth/model.safetensors")], default=True),
                "metric": row(
                    "depth",
                    [self.release_source()],
                    output={"quantity": "depth", "scale": SCALE, "shift": SHIFT},
                ),
                "unpublished": row("depth", []),
            },
            segment={
                "small": row("segment", [self.hub_source("segment/authors.pt")], default=True)
            },
        )

    def __call__(
        self, *arguments: str | Path, code: int = 0, charset: str = "utf-8", stdin: bytes = b""
    ) -> Result:
        """Run a command that knows `--registry`."""
        words = (*arguments, "--registry", self.registry)
        return invoke(*words, code=code, charset=charset, stdin=stdin)

    def rows(self, **tasks: Mapping[str, Any]) -> None:
        """Write another registry."""
        self.registry.write_text(to_toml(tasks), encoding="utf-8")

    def hub_source(self, file: str) -> dict[str, Any]:
        """Return a file of the Hub as a source with its hash."""
        task, _, name = file.partition("/")
        content = files("depth" if task == "depth" else "segment")[name]
        return hub_source(file, sha256=sha256_of(content))

    def release_source(self) -> dict[str, Any]:
        """Return the release as a source with the first digits of its hash."""
        digest = sha256_of(files("depth")["authors.pt"])
        return release_source(self.release_url, sha256_prefix=digest[:8])

    def weights(self, name: str = "authors.pt", content: bytes | None = None) -> Path:
        """Put a weights file beside the desk."""
        path = self.desk.parent / name
        path.write_bytes(files("depth")[name] if content is None else content)
        return path

    def photograph(
        self, name: str = "photo.png", width: int = SIDE_PX, height: int = SIDE_PX
    ) -> Path:
        """Put a photograph on the desk; its waves and edges depend on its name."""
        path = self.desk / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(width, height, seed=len(name))).save(path)
        return path

    def written(self) -> set[str]:
        """Return every file below the desk, except a run's manifest and lock."""
        return written_in(self.desk)

    def weights_in(self, home: Path) -> list[Path]:
        """Return every file in the caches that is large enough to be weights or a part of them."""
        found = (path for path in home.rglob("*") if path.is_file() and not path.is_symlink())
        return [path for path in found if path.stat().st_size > 10_000]


def written_in(folder: Path) -> set[str]:
    """Return every file below a folder, except a run's manifest and lock."""
    below = (path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder))
        for path in below
        if path.name not in (MANIFEST_NAME, LOCK_NAME)
    }


def picture(width: int, height: int, seed: int = 0) -> RGB:
    """Return a picture with structure everywhere, uint8 (height, width, 3)."""
    y, x = np.mgrid[0:height, 0:width] / max(width, height)
    planes = [np.sin((5 + seed + 3 * c) * x + (7 + c) * y) + ((x + c / 5) > y) for c in range(3)]
    levels: RGB = np.clip(np.stack(planes, axis=-1) * 70 + 100, 0, 255).astype(np.uint8)
    return levels


def paths(result: Result) -> list[str]:
    """Return the paths on stdout, one per line."""
    return result.stdout.splitlines()


def pixels(path: Path) -> npt.NDArray[Any]:
    """Return an image's pixels as stored."""
    with Image.open(path) as image:
        stored: npt.NDArray[Any] = np.asarray(image)
        return stored
