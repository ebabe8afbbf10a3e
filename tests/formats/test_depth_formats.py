"""Depth formats, each read back by a library that knows nothing of dpt, and by dpt itself."""

import contextlib
import json
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import OpenEXR
import pytest
import tifffile
from PIL import Image

from dpt_cli.errors import ArgumentError, InputError
from dpt_cli.formats.exr import read_exr
from dpt_cli.formats.presets import PRESETS
from dpt_cli.formats.read import read_map
from dpt_cli.formats.table import DEFAULT_OPTIONS, format_names, formats_of, save
from dpt_cli.maps import Camera, DepthMap, Provenance
from dpt_cli.maps.facts import facts_of

Floats = npt.NDArray[np.float32]
NAN, INF = float("nan"), float("inf")
# Rows and columns that fill neither a strip nor a chunk.
VALUES = np.random.default_rng(0).uniform(0.5, 9, (37, 53)).astype(np.float32)
MADE_BY = Provenance("depth/small from 東京.pt", (32, 48), "fp32", photograph="a.jpg")
RELATIVE = DepthMap(VALUES, "inverse_depth", MADE_BY)
METRIC = DepthMap(VALUES, "depth", MADE_BY, camera=Camera(500.5, "exif"))
ODD = {
    "not finite": [[NAN, 1, 2], [INF, -INF, 3]],
    "constant": [[2, 2], [2, 2]],
    "nothing finite": [[NAN, INF]],
    "one pixel": [[4]],
    "widest": [[-3e38, 3e38]],
}
WITHOUT_PHOTOGRAPH = [
    name for name in format_names("depth") if not formats_of("depth")[name].needs_photograph
]


def row(*values: float) -> Floats:
    return np.array([values], np.float32)


def written(name: str, depth_map: DepthMap, **options: Any) -> bytes:
    file = BytesIO()
    entry = formats_of("depth")[name]
    entry.write(file, depth_map, None, {**DEFAULT_OPTIONS["depth"], **options})
    return file.getvalue()


def saved(path: Path, name: str, depth_map: DepthMap, **options: Any) -> Path:
    path = path / f"photo{formats_of('depth')[name].suffix}"
    path.write_bytes(written(name, depth_map, **options))
    return path


def grey(data: bytes) -> npt.NDArray[Any]:
    with Image.open(BytesIO(data)) as image:
        return np.asarray(image)


@pytest.mark.parametrize("depth_map", [RELATIVE, METRIC], ids=["relative", "metric"])
def test_exr_is_read_by_openexr(tmp_path: Path, depth_map: DepthMap) -> None:
    path = saved(tmp_path, "exr", depth_map)
    with OpenEXR.File(str(path), separate_channels=True) as file:
        channels, header = file.channels(), file.header()
        np.testing.assert_array_equal(channels["Z"].pixels, depth_map.values)
        assert header["compression"] == OpenEXR.ZIP_COMPRESSION
        assert header["dpt:quantity"] == depth_map.quantity
        # 16-bit floats keep 11 bits.
        nearness = depth_map.nearness
        view = (nearness - nearness.min()) / np.ptp(nearness)
        for name in "RGB":
            np.testing.assert_allclose(channels[name].pixels, view, atol=2**-11)


def test_tiff_is_read_by_tifffile(tmp_path: Path) -> None:
    with tifffile.TiffFile(saved(tmp_path, "tiff", METRIC)) as file:
        (page,) = file.pages
        assert isinstance(page, tifffile.TiffPage)
        np.testing.assert_array_equal(page.asarray(), VALUES)
        assert page.dtype == np.float32
        assert json.loads(page.description) == facts_of(METRIC)


@pytest.mark.parametrize("depth_map", [RELATIVE, METRIC], ids=["relative", "metric"])
def test_npz_is_read_without_pickle(tmp_path: Path, depth_map: DepthMap) -> None:
    with np.load(saved(tmp_path, "npz", depth_map), allow_pickle=False) as members:
        np.testing.assert_array_equal(members[depth_map.quantity], VALUES)
        assert json.loads(str(members["meta"])) == facts_of(depth_map)


@pytest.mark.parametrize("invert", [False, True])
def test_grey_has_8_bits_and_near_is_white(invert: bool) -> None:
    levels = grey(written("gray", replace(METRIC, values=row(1, 2, 3)), invert=invert))
    assert levels.dtype == np.uint8
    assert levels.tolist() == [[0, 127, 255] if invert else [255, 128, 0]]


@pytest.mark.parametrize(
    ("options", "levels"),
    [
        ({}, [0, 64, 128, 191, 255]),
        ({"range": (1.0, 3.0)}, [0, 0, 128, 255, 255]),
        ({"range": (-4.0, 4.0)}, [128, 159, 191, 223, 255]),
        ({"percentile": 25.0}, [0, 0, 128, 255, 255]),
    ],
)
def test_the_range_of_colours_can_be_given(options: dict[str, Any], levels: list[int]) -> None:
    ramp = replace(RELATIVE, values=row(0, 1, 2, 3, 4))
    assert grey(written("gray", ramp, **options)).tolist() == [levels]
    color = grey(written("color", ramp, colormap="gray", **options))
    assert color[0, :, 0].tolist() == levels


def test_a_relative_png16_takes_a_range() -> None:
    ramp = replace(RELATIVE, values=row(0, 1, 2, 3, 9))
    levels = grey(written("png16", ramp, range=(1.0, 3.0)))
    assert levels.tolist() == [[0, 0, 32768, 65535, 65535]]


EXACT = ["npz", "exr", "tiff"]


@pytest.mark.parametrize("depth_map", [RELATIVE, METRIC], ids=["relative", "metric"])
@pytest.mark.parametrize("name", EXACT)
def test_a_map_comes_back_whole(tmp_path: Path, name: str, depth_map: DepthMap) -> None:
    again = read_map(saved(tmp_path, name, depth_map))
    assert isinstance(again, DepthMap)
    np.testing.assert_array_equal(again.values, depth_map.values)
    assert facts_of(again) == facts_of(depth_map)


@pytest.mark.parametrize("depth_map", [RELATIVE, METRIC], ids=["relative", "metric"])
def test_16_bits_come_back_to_half_a_step(tmp_path: Path, depth_map: DepthMap) -> None:
    again = read_map(saved(tmp_path, "png16", depth_map))
    assert isinstance(again, DepthMap)
    step = 0.001 if depth_map.is_metric else float(VALUES.max() - VALUES.min()) / 65535
    # And a float32's rounding.
    np.testing.assert_allclose(again.values, VALUES, atol=0.5 * step + 1e-6)
    assert again.quantity == depth_map.quantity
    assert again.provenance == depth_map.provenance
    assert again.camera == depth_map.camera


@pytest.mark.parametrize("quantity", ["depth", "inverse_depth"])
@pytest.mark.parametrize("values", ODD.values(), ids=ODD)
@pytest.mark.parametrize("name", WITHOUT_PHOTOGRAPH)
def test_odd_maps_are_written_without_a_warning(
    tmp_path: Path, name: str, values: Any, quantity: Any
) -> None:
    depth_map = replace(RELATIVE, values=np.asarray(values, np.float32), quantity=quantity)
    path = saved(tmp_path, name, depth_map)
    if name in EXACT:
        again = read_map(path)
        assert isinstance(again, DepthMap)
        np.testing.assert_array_equal(again.values, depth_map.values)


@pytest.mark.parametrize("name", WITHOUT_PHOTOGRAPH)
def test_the_same_map_gives_the_same_bytes(name: str) -> None:
    assert written(name, METRIC) == written(name, METRIC)


def test_noise_that_does_not_pack_is_stored(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 2**31 - 2**24, (40, 3), np.int32).view(np.float32)
    path = saved(tmp_path, "exr", replace(METRIC, values=noise))
    with OpenEXR.File(str(path), separate_channels=True) as file:
        np.testing.assert_array_equal(file.channels()["Z"].pixels, noise)
    np.testing.assert_array_equal(read_exr(path.read_bytes()).channels["Z"], noise)


@pytest.mark.parametrize("compression", ["NO", "ZIPS", "ZIP"])
def test_exr_files_of_others_are_read(tmp_path: Path, compression: str) -> None:
    path = str(tmp_path / "other.exr")
    header = {"compression": getattr(OpenEXR, f"{compression}_COMPRESSION")}
    OpenEXR.File(header, {"Z": VALUES, "half": VALUES.astype(np.float16)}).write(path)
    image = read_exr(Path(path).read_bytes())
    np.testing.assert_array_equal(image.channels["Z"], VALUES)
    np.testing.assert_array_equal(image.channels["half"], VALUES.astype(np.float16))


def test_a_damaged_exr_is_refused(tmp_path: Path) -> None:
    data = written("exr", METRIC)
    for length in range(0, len(data) - 1, 97):
        with pytest.raises(ValueError, match="EXR"):
            read_exr(data[:length])


@pytest.mark.parametrize("name", [*EXACT, "png16", "npy", "pfm"])
def test_damage_is_an_input_error(tmp_path: Path, name: str) -> None:
    path = saved(tmp_path, name, METRIC)
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(whole)
        for place in rng.integers(0, rng.choice([120, len(whole)]), 3):
            damaged[place] = rng.integers(0, 256)
        path.write_bytes(damaged[: rng.integers(0, 2 * len(whole))])
        # Nothing else is raised; what is not noticed, a changed float, gives a map.
        with contextlib.suppress(InputError):
            read_map(path)


# Presets, by the documented rule of the program that reads them


def levels_of(name: str, values: Any, quantity: Any = "depth", **options: Any) -> list[Any]:
    depth_map = DepthMap(np.asarray([values], np.float32), quantity)
    levels: list[Any] = grey(written(name, depth_map, **options))[0].tolist()
    return levels


@pytest.mark.parametrize(
    ("name", "steps_per_metre"),
    [
        ("kitti", 256),  # KITTI depth devkit, readme: metres = value / 256, 0 is invalid
        ("nyu", 1000),
        ("nerfstudio", 1000),  # depth_unit_scale_factor = 1e-3
        ("open3d", 1000),  # RGBDImage.create_from_color_and_depth, depth_scale = 1000
        ("ros", 1000),  # REP 118, 16UC1: millimetres, 0 is unknown
        ("tum", 5000),  # TUM RGB-D: 5000 is 1 m
    ],
)
def test_programs_that_read_16_bits_get_metres(name: str, steps_per_metre: int) -> None:
    far = 65535 / steps_per_metre
    levels = levels_of(name, [1, 2.5, NAN, INF, 1.01 * far, far])
    assert levels == [steps_per_metre, 2.5 * steps_per_metre, 0, 0, 0, 65535]


def test_controlnet_gets_three_equal_channels_with_near_white() -> None:
    # controlnet_aux, midas: min-max to 0..255, HWC3 repeats the channel; near is white.
    assert levels_of("controlnet", [1, 2, 3], "inverse_depth") == [[0] * 3, [128] * 3, [255] * 3]
    assert levels_of("controlnet", [1, 3]) == [[255] * 3, [0] * 3]


def test_gaussian_splatting_gets_inverse_depth_with_near_large() -> None:
    # graphdeco-inria, utils/make_depth_scale.py: invmonodepth = png / 2**16, any scale > 0.
    levels = levels_of("3dgs", [1, 2, 5], "inverse_depth", range=(1.0, 9.0))
    assert levels == [0, 8192, 32768]


def test_blender_gets_metres_in_z(tmp_path: Path) -> None:
    (tmp_path / "a.exr").write_bytes(written("blender", METRIC))
    with OpenEXR.File(str(tmp_path / "a.exr"), separate_channels=True) as file:
        np.testing.assert_array_equal(file.channels()["Z"].pixels, VALUES)


def test_midas_gets_its_pfm() -> None:
    # isl-org/MiDaS, utils.py read_pfm: header, little-endian by the sign, bottom row first.
    head, size, scale, body = written("midas", RELATIVE).split(b"\n", 3)
    assert (head, size, float(scale)) == (b"Pf", b"53 37", -1)
    np.testing.assert_array_equal(np.frombuffer(body, "<f4").reshape(VALUES.shape)[::-1], VALUES)


@pytest.mark.parametrize("entry", PRESETS, ids=lambda entry: entry.name)
def test_a_preset_refuses_what_would_lie(entry: Any) -> None:
    lies = {"depth": RELATIVE, "inverse_depth": METRIC}
    if entry.quantity is None:
        return
    way_out = {"depth": "dpt models list.*--known", "inverse_depth": "--model hybrid"}
    with pytest.raises(ArgumentError, match=way_out[entry.quantity]):
        written(entry.name, lies[entry.quantity])


@pytest.mark.parametrize("name", ["npy", "pfm", "color", "gray"])
def test_what_is_not_known_is_not_guessed(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"nothing says|a picture of a map"):
        read_map(saved(tmp_path, name, METRIC))


@pytest.mark.parametrize(
    ("file", "name"), [("a.exr", "exr"), ("a_depth16.png", "png16"), ("a.png", "color")]
)
def test_a_files_name_chooses_its_format(tmp_path: Path, file: str, name: str) -> None:
    save(METRIC, tmp_path / file)
    assert (tmp_path / file).read_bytes() == written(name, METRIC)
