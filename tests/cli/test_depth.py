"""`dpt depth`: which files come out, and what stands in them."""

import json
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from dpt_cli.engine import RawOutput
from dpt_cli.engine.torch.engine import TorchEngine
from dpt_cli.maps.colors import colormap_table
from front_door import RGB, FrontDoor, paths, picture, pixels, written_in
from small_models import SCALE, SHIFT, SIDE_PX, row

WIDTH, HEIGHT = 130, 97  # another size than the network's, odd on one side
INFERNO = colormap_table("inferno")


def depth_of(dpt: FrontDoor, photograph: Path, *options: str) -> npt.NDArray[np.float32]:
    (path,) = paths(dpt("depth", photograph, "-o", "out", "--format", "npy", *options))
    values: npt.NDArray[np.float32] = np.load(path)
    return values


def text_of(path: str) -> dict[str, str]:
    with Image.open(path) as image:
        return {str(key): value for key, value in image.info.items() if isinstance(value, str)}


def test_the_tree_of_a_folder_is_kept_and_its_paths_told(dpt: FrontDoor) -> None:
    dpt.photograph("photos/a.png")
    dpt.photograph("photos/deep/er/b.jpg")
    given = dpt.written()
    result = dpt("depth", "photos", "-o", "out")
    assert paths(result) == ["out/a_depth.png", "out/deep/er/b_depth.png"]
    assert dpt.written() == given | set(paths(result))


def test_without_an_output_files_go_to_dpt_out(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    assert paths(dpt("depth", "a.png")) == ["dpt-out/a_depth.png"]


def test_the_summary_tells_weights_hash_device_and_meaning(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    stderr = dpt("depth", "a.png", "-o", "out", "-v").stderr
    sha256 = dpt.hub_source("depth/model.safetensors")["sha256"]
    assert "1 of 1 done, 1 file in out" in stderr
    assert f"model.safetensors, sha256 {sha256} (checked against: sha256)" in stderr
    assert "device: cpu, fp32" in stderr
    assert "numbers: relative inverse depth, larger is nearer, no unit" in stderr


def test_hashes_are_shortened_where_people_read_and_whole_elsewhere(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    sha256 = dpt.hub_source("depth/model.safetensors")["sha256"]
    for inputs, stdin in (("a.png", b""), ("-", Path("a.png").read_bytes())):
        result = dpt("depth", inputs, "-o", "out", "--json", stdin=stdin)
        assert f"sha256 {sha256[:12]} (checked against" in result.stderr
        assert sha256 not in result.stderr
        assert json.loads(result.stdout)["weights_sha256"] == sha256
    assert sha256 in Path("out/manifest.jsonl").read_text()


def test_the_network_is_loaded_once(dpt: FrontDoor) -> None:
    for name in ("a.png", "b.png", "c.png"):
        dpt.photograph(name)
    assert dpt("depth", ".", "-o", "../out").stderr.count("Loading ") == 1


def test_every_format_is_written_in_the_order_asked(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    result = dpt("depth", "a.png", "-o", "out", "--format", "png16, npy,pfm,color,npy")
    names = ["a_depth16.png", "a_depth.npy", "a_depth.pfm", "a_depth.png"]
    assert paths(result) == [f"out/{name}" for name in names]


@pytest.fixture
def all_formats(dpt: FrontDoor) -> npt.NDArray[np.float32]:
    dpt.photograph("a.png", WIDTH, HEIGHT)
    dpt("depth", "a.png", "-o", "out", "--format", "color,npy,pfm,png16")
    values: npt.NDArray[np.float32] = np.load("out/a_depth.npy")
    return values


def test_npy_is_float32_in_the_photographs_size(all_formats: npt.NDArray[np.float32]) -> None:
    assert all_formats.dtype == np.float32
    assert all_formats.shape == (HEIGHT, WIDTH)
    assert np.ptp(all_formats) > 1


def test_pfm_holds_the_same_numbers_bottom_row_first(all_formats: npt.NDArray[np.float32]) -> None:
    header, body = Path("out/a_depth.pfm").read_bytes().split(b"-1.000000\n", 1)
    assert header == f"Pf\n{WIDTH} {HEIGHT}\n".encode()
    rows = np.frombuffer(body, "<f4").reshape(HEIGHT, WIDTH)
    np.testing.assert_array_equal(rows[::-1], all_formats)


def test_png16_spreads_them_from_least_to_greatest(all_formats: npt.NDArray[np.float32]) -> None:
    values = all_formats.astype(np.float64)
    expected = np.rint((values - values.min()) / np.ptp(values) * 65535)
    np.testing.assert_array_equal(pixels(Path("out/a_depth16.png")), expected)


def test_near_is_bright(all_formats: npt.NDArray[np.float32]) -> None:
    color = pixels(Path("out/a_depth.png"))
    assert color.shape == (HEIGHT, WIDTH, 3)
    assert color.reshape(-1, 3)[all_formats.argmax()].tolist() == INFERNO[-1].tolist()
    assert color.reshape(-1, 3)[all_formats.argmin()].tolist() == INFERNO[0].tolist()


def test_invert_makes_far_bright(dpt: FrontDoor, all_formats: npt.NDArray[np.float32]) -> None:
    dpt("depth", "a.png", "-o", "out", "--invert")
    color = pixels(Path("out/a_depth.png")).reshape(-1, 3)
    assert color[all_formats.argmin()].tolist() == INFERNO[-1].tolist()
    assert text_of("out/a_depth.png")["dpt:bright"] == "far"


def test_another_colormap_is_used(dpt: FrontDoor, all_formats: npt.NDArray[np.float32]) -> None:
    dpt("depth", "a.png", "-o", "out", "--colormap", "gray")
    color = pixels(Path("out/a_depth.png"))
    assert (color == color[..., :1]).all()


def test_metric_weights_give_metres(dpt: FrontDoor) -> None:
    # The network's own size: nothing is resized, and the formula holds for every pixel.
    photograph = dpt.photograph()
    inverse = depth_of(dpt, photograph)
    metres = depth_of(dpt, photograph, "--model", "metric")
    # float32 rounding of the reciprocal.
    np.testing.assert_allclose(metres, 1 / (SCALE * inverse + SHIFT), rtol=1e-6)


def test_pixels_too_far_for_16_bits_are_counted(dpt: FrontDoor) -> None:
    source = dpt.release_source()
    far = {"quantity": "depth", "scale": 1e-6, "shift": 0.01}  # 100 m
    dpt.rows(depth={"far": row("depth", [source], default=True, output=far)})
    photograph = dpt.photograph("a.png")
    result = dpt("depth", photograph, "-o", "out", "--format", "png16,npy")
    num_pixels = np.load("out/a_depth.npy").size
    assert f"{num_pixels} pixels of 1 file are farther than 65.535 m" in result.stderr
    (line,) = paths(dpt("depth", photograph, "-o", "js", "--format", "png16", "--json"))
    assert json.loads(line)["clipped_px"] == num_pixels
    near = dpt("depth", photograph, "-o", "out", "--format", "color", "--force")
    assert "65.535" not in near.stderr


def test_metric_files_say_metres_and_hold_millimetres(dpt: FrontDoor) -> None:
    dpt.photograph("a.png", WIDTH, HEIGHT)
    formats = ("--format", "color,npy,pfm,png16")
    result = dpt("depth", "a.png", "-o", "out", "--model", "metric", *formats)
    assert "numbers: depth in metres" in result.stderr
    metres = np.load("out/a_depth.npy")
    millimetres = np.rint(metres.astype(np.float64) * 1000)
    np.testing.assert_array_equal(pixels(Path("out/a_depth16.png")), millimetres)
    assert Path("out/a_depth.pfm").read_bytes().endswith(metres[::-1].tobytes())
    assert text_of("out/a_depth16.png")["dpt:unit"] == "m"
    color = pixels(Path("out/a_depth.png")).reshape(-1, 3)
    assert color[metres.argmin()].tolist() == INFERNO[-1].tolist()


def test_a_rotated_photograph_gives_an_upright_map(dpt: FrontDoor) -> None:
    upright = picture(64, 96)
    Image.fromarray(upright).save("upright.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # Orientation: turn by 90 degrees clockwise
    Image.fromarray(np.rot90(upright)).save("turned.png", exif=exif)
    turned = depth_of(dpt, Path("turned.png"))
    assert turned.shape == (96, 64)
    np.testing.assert_array_equal(turned, depth_of(dpt, Path("upright.png")))


@pytest.mark.parametrize(("width", "height"), [(300, 10), (10, 300), (1, 1), (17, 16)])
def test_extreme_shapes_work(dpt: FrontDoor, width: int, height: int) -> None:
    assert depth_of(dpt, dpt.photograph("a.png", width, height)).shape == (height, width)


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ((), "144 x 96"),
        (("--multiple-of", "32"), "160 x 96"),
        (("--resolution", "64"), "96 x 64"),
        (("--resolution", "128x64"), "128 x 80"),
    ],
)
def test_the_network_size_follows_the_options(
    dpt: FrontDoor, options: tuple[str, ...], size: str
) -> None:
    dpt.photograph("a.png", 200, 130)
    stderr = dpt("depth", "a.png", "-o", "out", "-v", *options).stderr
    assert f"a.png: {size} px, fp32\n" in stderr


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    sizes: list[int] = []
    plain = TorchEngine.__call__

    def recording(self: TorchEngine, images: npt.NDArray[np.float32]) -> list[RawOutput]:
        sizes.append(len(images))
        return plain(self, images)

    monkeypatch.setattr(TorchEngine, "__call__", recording)
    return sizes


def test_batches_of_one_network_size_give_the_same_maps(dpt: FrontDoor, batches: list[int]) -> None:
    for length in range(1, 6):
        dpt.photograph("a" * length + ".png")
    dpt.photograph("wide.png", 2 * SIDE_PX, SIDE_PX)
    one = paths(dpt("depth", ".", "-o", "../one", "--format", "npy"))
    four = paths(dpt("depth", ".", "-o", "../four", "--format", "npy", "--batch-size", "4"))
    assert batches == [1] * 6 + [4, 1, 1]
    assert {Path(path).name for path in one} == {Path(path).name for path in four}
    for path in one:
        np.testing.assert_array_equal(np.load(path.replace("one", "four", 1)), np.load(path))


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_stays_close(dpt: FrontDoor, precision: str) -> None:
    photograph = dpt.photograph()
    full = depth_of(dpt, photograph)
    half = depth_of(dpt, photograph, "--precision", precision)
    assert not np.array_equal(half, full)
    # bf16 keeps 8 bits, fp16 11; a dozen layers of rounding.
    assert np.linalg.norm(half - full) / np.linalg.norm(full) < 2e-2


def test_the_same_photograph_gives_the_same_bytes(dpt: FrontDoor) -> None:
    dpt.photograph("a.png", WIDTH, HEIGHT)
    options = ("--format", "color,npy,pfm,png16")
    for folder in ("one", "two"):
        dpt("depth", "a.png", "-o", folder, *options)
    names = written_in(Path("one"))
    assert len(names) == 4
    assert names == written_in(Path("two"))
    for name in names:
        assert Path("one", name).read_bytes() == Path("two", name).read_bytes()


def test_a_photograph_given_twice_is_done_once(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    assert paths(dpt("depth", "a.png", ".", "./a.png", "-o", "out")) == ["out/a_depth.png"]


def test_the_content_decides_not_the_name(dpt: FrontDoor) -> None:
    dpt.photograph("a.png").rename("a.dat")
    assert paths(dpt("depth", "a.dat", "-o", "out")) == ["out/a_depth.png"]


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "I;16"])
def test_other_kinds_of_pixels_give_maps(dpt: FrontDoor, mode: str) -> None:
    rgb: RGB = picture(60, 40)
    if mode == "I;16":
        Image.fromarray(rgb[..., 0].astype(np.uint16) * 257).save("a.png")
    else:
        Image.fromarray(rgb).convert(mode).save("a.tif" if mode == "CMYK" else "a.png")
    (path,) = paths(dpt("depth", ".", "-o", "../out", "--format", "npy"))
    values = np.load(path)
    assert values.shape == (40, 60)
    assert re.fullmatch(r"\.\./out/a_depth\.npy", path)
    assert np.ptp(values) > 0.5


def test_relative_depth_outside_the_range_is_counted(dpt: FrontDoor) -> None:
    photograph = dpt.photograph("a.png")
    values = np.load(paths(dpt("depth", photograph, "--format", "npy"))[0])
    low, high = np.quantile(values, [0.25, 0.75])
    words = ("depth", photograph, "-o", "cut", "--format", "png16", "--json")
    (line,) = dpt(*words, "--range", f"{low:.9g},{high:.9g}").stdout.splitlines()
    # Half a step at each end rounds to the end itself, which is not outside.
    half = (high - low) / 65535 / 2
    outside = np.count_nonzero((values < low - half) | (values > high + half))
    assert json.loads(line)["clipped_px"] == pytest.approx(outside, abs=2)
    assert outside > values.size / 3
