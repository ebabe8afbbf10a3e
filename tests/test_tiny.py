"""The bundled weights, as a user without a network connection runs them."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

import dpt_cli
from front_door import RGB, invoke
from loopback_hub import LoopbackHub

_EXAMPLES = Path(__file__).parents[1] / "examples"
_PHOTOGRAPHS = sorted(path for path in _EXAMPLES.iterdir() if path.suffix in (".png", ".jpg"))
Values = npt.NDArray[np.float32]


@pytest.fixture(autouse=True)
def nothing_is_downloaded(home: Path, hub: LoopbackHub) -> None:
    """Give every test an empty cache and a Hub that has nothing."""


def depth_of(rgb: RGB, folder: Path, name: str) -> Values:
    """Return what `dpt depth --model tiny` writes for a picture."""
    folder.mkdir(exist_ok=True)
    Image.fromarray(rgb).save(folder / f"{name}.png")
    out = folder / "out"
    invoke("depth", folder / f"{name}.png", "-o", out, "--model", "tiny", "--format", "npy", "-q")
    values: Values = np.load(out / f"{name}_depth.npy")
    return values


def street() -> RGB:
    """Draw a road between lawns under a sky, noisy as a photograph is."""
    height, width = 240, 320
    rgb = np.empty((height, width, 3), np.float64)
    rgb[:100] = np.linspace((120, 170, 230), (200, 215, 235), 100)[:, None]
    rgb[100:] = (70, 110, 50)
    for row in range(100, height):
        half = 5 + (row - 100) * 1.1
        rgb[row, max(0, int(width / 2 - half)) : int(width / 2 + half)] = 95
    noise = np.random.default_rng(0).normal(0, 6, rgb.shape)
    return np.clip(rgb + noise, 0, 255).astype(np.uint8)


def test_a_fresh_machine_without_a_network_makes_maps(tmp_path: Path, hub: LoopbackHub) -> None:
    out = tmp_path / "out"
    result = invoke("depth", _EXAMPLES, "-o", out, "--model", "tiny", "--format", "color,npy")
    assert len(result.stdout.splitlines()) == 2 * len(_PHOTOGRAPHS)
    assert "preview" in result.stderr
    assert "larger is nearer" in result.stderr
    for photograph in _PHOTOGRAPHS:
        with (
            Image.open(photograph) as image,
            Image.open(out / f"{photograph.stem}_depth.png") as picture,
        ):
            assert picture.size == image.size
            assert "bundled dpt_tiny-depth.safetensors" in picture.info["dpt:weights"]
        values = np.load(out / f"{photograph.stem}_depth.npy")
        assert np.isfinite(values).all()
        assert np.ptp(values) > 0.1 * np.abs(values).max()
    assert not hub.requests


def test_a_street_is_nearer_at_its_bottom(tmp_path: Path) -> None:
    values = depth_of(street(), tmp_path, "street")
    rows = np.median(values, axis=1)
    assert rows[-40:].mean() > 1.5 * rows[100:120].mean()
    assert rows[100:120].mean() > rows[:40].mean()


def test_a_person_stands_out_from_what_is_behind(tmp_path: Path) -> None:
    values = depth_of(dpt_cli.read_rgb(_EXAMPLES / "astronaut.png"), tmp_path, "astronaut")
    face, wall = values[90:190, 180:270], values[20:150, 430:]
    assert np.median(face) > np.median(wall) + 0.2 * np.ptp(values)


def test_a_mirrored_photograph_gives_the_mirrored_map(tmp_path: Path) -> None:
    rgb = dpt_cli.read_rgb(_EXAMPLES / "coffee.png")
    values = depth_of(rgb, tmp_path, "left")
    mirrored = depth_of(np.ascontiguousarray(rgb[:, ::-1]), tmp_path, "right")[:, ::-1]
    # It learned from flipped pictures but is not symmetric: a few per cent of the range.
    assert np.abs(values - mirrored).mean() < 0.08 * np.ptp(values)


def test_two_runs_write_the_same_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for out in (first, second):
        invoke("depth", _EXAMPLES / "chelsea.png", "-o", out, "--model", "tiny", "-q")
    name = "chelsea_depth.png"
    assert (first / name).read_bytes() == (second / name).read_bytes()


def test_it_is_there_before_any_download() -> None:
    listed = invoke("models", "verify", "depth/tiny")
    assert listed.stdout.startswith("ok depth/tiny ")


@pytest.mark.parametrize(
    "arguments",
    [
        ("depth", "PHOTO"),
        ("depth", "PHOTO", "--model", "large", "--offline"),
        ("depth", "PHOTO", "--model", "base"),
        ("models", "pull", "depth/large"),
    ],
    ids=" ".join,
)
def test_whoever_lacks_weights_is_told_of_it_and_given_nothing_else(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    photo = str(_EXAMPLES / "chelsea.png")
    words = [photo if word == "PHOTO" else word for word in arguments]
    out = ["-o", str(tmp_path / "out")] if words[0] == "depth" else []
    result = invoke(*words, *out, code=4)
    assert "--model tiny" in result.stderr
    assert not list(tmp_path.glob("out/*.png"))


def test_photographs_of_the_road_are_nearer_at_the_bottom(
    shared_data: Path, tmp_path: Path
) -> None:
    # One of the street scenes that were kept out of training.
    names = [
        line.split("\t")[0]
        for line in (shared_data / "train" / "SOURCES.tsv").read_text().splitlines()
        if "0006R0" in line
    ]
    for name in names[::12]:
        rgb = dpt_cli.read_rgb(shared_data / "train" / name)
        values = depth_of(rgb, tmp_path, Path(name).stem)
        third = values.shape[0] // 3
        assert np.median(values[-third:]) > np.median(values[:third]) + 0.2 * np.ptp(values)
