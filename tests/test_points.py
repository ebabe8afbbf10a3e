"""Point clouds: where the points lie, which are left out, and files that other programs read."""

import io
import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import plyfile
import pytest
import trimesh
from PIL import ExifTags, Image

import dpt_cli
from dpt_cli import Camera, DepthMap
from dpt_cli.errors import OutputError
from dpt_cli.formats.points import write_glb, write_ply
from dpt_cli.maps.points import Points, on_depth_edge, points_from_depth
from front_door import FrontDoor, invoke

RNG = np.random.default_rng(seed=0)
HW = (5, 7)
FOCAL_PX = 10.0
DEPTH_M = RNG.uniform(1, 3, HW).astype(np.float32)
RGB = RNG.integers(0, 256, (*HW, 3), np.uint8)


def step(hw: tuple[int, int], column: int) -> npt.NDArray[np.float32]:
    """Return a near half and a far half."""
    depth = np.full(hw, 2, np.float32)
    depth[:, column:] = 4
    return depth


def test_points_lie_where_the_pinhole_camera_saw_them() -> None:
    depth = np.array([[1, 2, 4], [8, 16, 32]], np.float32)
    points = points_from_depth(depth, focal_px=2)
    # By hand: columns at -1, 0, 1 and rows at -1/2, 1/2 from the middle; times depth over focal.
    expected = [
        *([-0.5, -0.25, 1], [0, -0.5, 2], [2, -1, 4]),
        *([-4, 2, 8], [0, 4, 16], [16, 8, 32]),
    ]
    assert np.array_equal(points.xyz_m, np.array(expected, np.float32))


def test_points_have_the_colours_of_their_pixels() -> None:
    points = points_from_depth(DEPTH_M, FOCAL_PX, RGB)
    assert points.rgb is not None
    assert np.array_equal(points.rgb, RGB.reshape(-1, 3))


def test_a_map_smaller_than_the_photograph_takes_the_middle_pixels_colour() -> None:
    rgb = np.repeat(np.repeat(RGB, 3, axis=0), 3, axis=1)
    points = points_from_depth(DEPTH_M, FOCAL_PX, rgb)
    assert points.rgb is not None
    assert np.array_equal(points.rgb, RGB.reshape(-1, 3))


def test_pixels_without_a_depth_are_no_points() -> None:
    depth = np.array([[np.nan, np.inf, -np.inf, 0, -1, 2]], np.float32)
    points = points_from_depth(depth, FOCAL_PX, edge_threshold=0.04)
    assert points.xyz_m[:, 2].tolist() == [2]
    assert points.num_on_edges == 0


@pytest.mark.parametrize(
    ("threshold", "reach_px", "dropped"),
    [(0.04, 1, [4, 5]), (0.04, 2, [3, 4, 5, 6]), (0.6, 1, [4]), (1.1, 1, [])],
)
def test_an_edge_is_a_step_larger_than_a_share_of_the_depth(
    threshold: float, reach_px: int, dropped: list[int]
) -> None:
    is_edge = on_depth_edge(step((4, 10), column=5), threshold, reach_px)
    assert [np.flatnonzero(row).tolist() for row in is_edge] == 4 * [dropped]


def test_a_hole_is_no_edge() -> None:
    depth = np.full((5, 5), 2, np.float32)
    depth[2, 2], depth[0, 0], depth[4, 4] = np.nan, 0, np.inf
    assert not on_depth_edge(depth, 0.04).any()


def test_points_on_edges_are_counted() -> None:
    points = points_from_depth(step((4, 10), column=5), FOCAL_PX, edge_threshold=0.04)
    assert (len(points.xyz_m), points.num_on_edges) == (32, 8)


def test_thinning_keeps_exactly_so_many_evenly_and_the_fewer_among_the_more() -> None:
    depth = np.ones((60, 80), np.float32)
    some, more = (points_from_depth(depth, 1, max_points=n) for n in (300, 1200))
    assert (len(some.xyz_m), some.num_thinned) == (300, 4500)
    assert {*map(tuple, some.xyz_m.tolist())} <= {*map(tuple, more.xyz_m.tolist())}
    places = more.xyz_m[:, :2] + np.array([39.5, 29.5])
    counts = np.zeros((6, 8))
    np.add.at(counts, tuple(places.astype(int).T[::-1] // 10), 1)
    # Of 100 pixels each, 25 are kept; at random the counts would spread by 4.3.
    assert np.abs(counts - 25).max() <= 4


@pytest.mark.parametrize("focal_px", [0, -1, np.nan, np.inf])
def test_a_focal_length_that_cannot_be_is_refused(focal_px: float) -> None:
    with pytest.raises(ValueError, match="focal"):
        points_from_depth(DEPTH_M, focal_px)


def written(write: Any, points: Points, facts: dict[str, Any]) -> io.BytesIO:
    file = io.BytesIO()
    write(file, points, facts)
    file.seek(0)
    return file


def test_plyfile_reads_positions_colours_and_comments() -> None:
    points = points_from_depth(DEPTH_M, FOCAL_PX, RGB)
    ply = plyfile.PlyData.read(written(write_ply, points, {"unit": "m", "name": "a\nb ü"}))
    vertex = ply["vertex"]
    assert np.array_equal(np.column_stack([vertex[name] for name in "xyz"]), points.xyz_m)
    colours = np.column_stack([vertex[name] for name in ("red", "green", "blue")])
    assert np.array_equal(colours, RGB.reshape(-1, 3))
    assert ply.comments == ["unit: m", r"name: a b \xfc"]
    assert (ply.byte_order, ply.text) == ("<", False)


def test_ply_without_a_photograph_has_no_colours() -> None:
    ply = plyfile.PlyData.read(written(write_ply, points_from_depth(DEPTH_M, FOCAL_PX), {}))
    assert [it.name for it in ply["vertex"].properties] == ["x", "y", "z"]


def linear(srgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Return linear light of sRGB by IEC 61966-2-1, from 0 to 1."""
    level = srgb / 255
    return np.where(level > 0.04045, ((level + 0.055) / 1.055) ** 2.4, level / 12.92)


def test_trimesh_reads_gltfs_axes_and_linear_colours() -> None:
    points = points_from_depth(DEPTH_M, FOCAL_PX, RGB)
    scene: Any = trimesh.load(written(write_glb, points, {}), file_type="glb")
    (cloud,) = scene.geometry.values()
    assert np.array_equal(cloud.vertices, points.xyz_m * [1, -1, -1])
    # Half a step: colours are whole levels.
    assert np.abs(cloud.colors[:, :3] / 255 - linear(RGB.reshape(-1, 3))).max() <= 0.5 / 255 + 1e-9
    assert (cloud.colors[:, 3] == 255).all()


def chunks(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Split a GLB file by the layout of the glTF 2.0 specification, section 4.4."""
    magic, version, length = struct.unpack_from("<4sII", data)
    assert (magic, version, length) == (b"glTF", 2, len(data))
    size, kind = struct.unpack_from("<I4s", data, 12)
    assert (kind, size % 4) == (b"JSON", 0)
    rest = 20 + size
    binary_size, binary_kind = struct.unpack_from("<I4s", data, rest)
    assert (binary_kind, rest + 8 + binary_size) == (b"BIN\0", len(data))
    return json.loads(data[20:rest]), data[rest + 8 :]


def test_glb_states_the_bounds_of_its_positions_and_its_facts() -> None:
    points = points_from_depth(DEPTH_M, FOCAL_PX, RGB)
    document, binary = chunks(written(write_glb, points, {"unit": "m"}).getvalue())
    position, colour = document["accessors"]
    stored = np.frombuffer(binary, "<f4", 3 * position["count"]).reshape(-1, 3)
    assert (position["min"], position["max"]) == (stored.min(0).tolist(), stored.max(0).tolist())
    assert (colour["type"], colour["normalized"]) == ("VEC4", True)
    assert document["meshes"][0]["primitives"][0]["mode"] == 0
    assert document["asset"]["extras"] == {"unit": "m"}


def test_glb_of_no_point_is_refused() -> None:
    nothing = points_from_depth(np.zeros(HW, np.float32), FOCAL_PX)
    with pytest.raises(ValueError, match="no point"):
        write_glb(io.BytesIO(), nothing, {})


# Through the command line, with a metric model.


def exif_of(focal_35mm: int) -> bytes:
    """Return what a camera writes that knows its focal length for 35 mm film [mm]."""
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FocalLengthIn35mmFilm] = focal_35mm
    return exif.tobytes()


def run(dpt: FrontDoor, *arguments: str, code: int = 0) -> dict[str, Any]:
    """Run on one photograph, with JSON; return its line."""
    common = ("-o", "out", "--model", "metric", "--engine", "torch", "--json")
    result = dpt("depth", "photo.png", *common, *arguments, code=code)
    line: dict[str, Any] = json.loads(result.stdout)
    return line


@pytest.fixture
def photo(dpt: FrontDoor) -> Image.Image:
    """Put a wide photograph without EXIF on the desk and return it."""
    dpt.photograph("photo.png", 96, 64)
    with Image.open(dpt.desk / "photo.png") as image:
        return image.copy()


FOCALS = {
    "exif": (28, [], "exif"),
    "exif before the option": (28, ["--fov", "90"], "exif"),
    "option": (None, ["--fov", "90"], "option"),
    "neither": (None, [], "default"),
}
# Half of 96 px over the tangent of half the field of view.
BY_FOV = {"option": 48.0, "default": 48 / math.tan(math.radians(30))}


@pytest.mark.parametrize("case", FOCALS)
def test_the_cloud_is_the_depth_map_unprojected_by_the_focal_length_it_states(
    dpt: FrontDoor, photo: Image.Image, case: str
) -> None:
    focal_35mm, options, source = FOCALS[case]
    if focal_35mm:
        photo.save(dpt.desk / "photo.png", exif=exif_of(focal_35mm))
    line = run(dpt, "--format", "npy,ply,glb", "--edge-threshold", "0", *options)
    depth = np.load(dpt.desk / "out/photo_depth.npy").astype(np.float64)
    ply = plyfile.PlyData.read(dpt.desk / "out/photo_points.ply")
    stated = next(it for it in ply.comments if it.startswith("dpt:camera: "))
    camera = json.loads(stated.removeprefix("dpt:camera: "))
    assert camera["source"] == source
    # 35 mm equivalents go by the diagonal: 43.27 mm for 115.4 px (CIPA DCG-001).
    by_exif = (focal_35mm or 0) * math.hypot(96, 64) / math.hypot(36, 24)
    assert camera["focal_px"] == pytest.approx(BY_FOV.get(source, by_exif), rel=1e-6)

    rows, columns = np.mgrid[0:64, 0:96]
    expected = np.stack([(columns - 47.5) * depth, (rows - 31.5) * depth, depth], axis=-1)
    expected[..., :2] /= camera["focal_px"]
    xyz = np.column_stack([ply["vertex"][name] for name in "xyz"])
    # float32 positions.
    np.testing.assert_allclose(xyz, expected.reshape(-1, 3), rtol=1e-6, atol=1e-7)
    assert line["num_points"] == 64 * 96
    rgb = np.column_stack([ply["vertex"][name] for name in ("red", "green", "blue")])
    assert np.array_equal(rgb, np.asarray(photo).reshape(-1, 3))

    document, _ = chunks((dpt.desk / "out/photo_points.glb").read_bytes())
    extras = document["asset"]["extras"]
    assert (extras["camera"], extras["unit"]) == (camera, "m")
    scene: Any = trimesh.load(dpt.desk / "out/photo_points.glb")
    assert np.array_equal(scene.to_geometry().vertices, xyz * [1, -1, -1])


@pytest.mark.parametrize("name", ["ply", "glb"])
def test_relative_depth_gives_no_points_and_the_way_out(dpt: FrontDoor, name: str) -> None:
    dpt.photograph("photo.png")
    result = dpt("depth", "photo.png", "-o", "out", "--format", name, code=2)
    assert "--known" in result.stderr
    assert "dpt models list" in result.stderr
    assert dpt.written() == {"photo.png"}


def test_calibrated_depth_gives_points(dpt: FrontDoor) -> None:
    dpt.photograph("photo.png")
    dpt("depth", "photo.png", "-o", "raw", "--format", "npy", "--engine", "torch")
    raw = np.load(dpt.desk / "raw/photo_depth.npy")
    low, high = np.unravel_index([raw.argmin(), raw.argmax()], raw.shape), (4.0, 1.0)
    places = zip(low[1], low[0], high, strict=True)
    known = [word for x, y, m in places for word in ("--known", f"{x},{y}={m}m")]
    command = ("depth", "photo.png", "-o", "out", "--format", "ply", "--engine", "torch")
    dpt(*command, *known)
    ply = plyfile.PlyData.read(dpt.desk / "out/photo_points.ply")
    assert "dpt:kind: calibrated metric depth" in ply.comments


def test_another_option_of_the_cloud_does_it_again(dpt: FrontDoor, photo: Image.Image) -> None:
    assert photo.size == (96, 64)
    again = [["--max-points", "50"], ["--edge-threshold", "0.5"], ["--fov", "70"]]
    status = [run(dpt, "--format", "ply", *words)["status"] for words in ([], [], *again)]
    assert status == ["done", "skipped", "done", "done", "done"]


def test_a_map_that_the_network_stretched_gives_no_points(dpt: FrontDoor) -> None:
    dpt.photograph("photo.png", 130, 80)
    command = ("depth", "photo.png", "-o", "out", "--model", "metric", "--engine", "torch")
    result = dpt(*command, "--format", "ply", "--size", "network", code=3)
    assert "--size photo" in result.stderr
    dpt(*command, "--format", "ply", "--size", "65")


def test_thinned_points_are_reported(dpt: FrontDoor, photo: Image.Image) -> None:
    assert photo.size == (96, 64)
    line = run(dpt, "--format", "glb", "--max-points", "50")
    assert line["num_points"] == 50
    assert line["num_thinned"] > 0


CARELESS = {
    "no angle": ["--fov", "0"],
    "half a turn": ["--fov", "180"],
    "a word": ["--fov", "wide"],
    "less than none": ["--max-points", "-1"],
    "a negative share": ["--edge-threshold", "-0.1"],
}


@pytest.mark.parametrize("case", CARELESS)
def test_an_option_that_cannot_be_is_refused(dpt: FrontDoor, case: str) -> None:
    dpt.photograph("photo.png")
    dpt("depth", "photo.png", "-o", "out", "--format", "ply", *CARELESS[case], code=2)


@pytest.mark.parametrize("fov_deg", [0, 180, -5, math.nan])
def test_a_field_of_view_that_cannot_be_is_refused(fov_deg: float) -> None:
    with pytest.raises(ValueError, match="field of view"):
        Camera.from_fov(fov_deg, HW, "option")


@pytest.mark.parametrize("suffix", [".ply", ".glb"])
def test_a_map_without_a_point_is_refused_from_python(tmp_path: Path, suffix: str) -> None:
    nothing = DepthMap(np.full(HW, np.nan, np.float32), "depth")
    with pytest.raises(OutputError, match="no point"):
        dpt_cli.save(nothing, tmp_path / f"a{suffix}", photograph=RGB)
    assert not list(tmp_path.iterdir())


# `dpt convert`


@pytest.mark.parametrize("name", ["ply", "glb", "side"])
def test_a_saved_map_and_its_photograph_give_the_same_bytes(
    dpt: FrontDoor, photo: Image.Image, name: str
) -> None:
    photo.save(dpt.desk / "photo.png", exif=exif_of(28))
    run(dpt, "--format", f"npz,{name}")
    convert = ("convert", "out/photo_depth.npz", "-o", "again", "--format", name)
    invoke(*convert, "--photographs", ".")
    (direct,), (converted,) = (
        list((dpt.desk / folder).glob(f"*{name}*")) for folder in ("out", "again")
    )
    assert converted.read_bytes() == direct.read_bytes()


def test_without_the_photograph_points_have_no_colours_and_side_is_refused(
    dpt: FrontDoor, photo: Image.Image
) -> None:
    assert photo.size == (96, 64)
    run(dpt, "--format", "npz")
    convert = ("convert", "out/photo_depth.npz", "-o", "again", "--format")
    invoke(*convert, "ply")
    ply = plyfile.PlyData.read(dpt.desk / "again/photo_points.ply")
    assert [it.name for it in ply["vertex"].properties] == ["x", "y", "z"]
    assert "--photographs" in invoke(*convert, "side", code=2).stderr


def test_a_photograph_that_is_not_there_or_another_is_named(
    dpt: FrontDoor, photo: Image.Image
) -> None:
    run(dpt, "--format", "npz")
    (dpt.desk / "others").mkdir()
    convert = ("convert", "out/photo_depth.npz", "-o", "a", "--format", "ply", "--photographs")
    assert "photo.png" in invoke(*convert, "others", code=3).stderr
    photo.resize((48, 32)).save(dpt.desk / "others/photo.png")
    assert "48 x 32" in invoke(*convert, "others", code=3).stderr
    assert not list((dpt.desk / "a").glob("*.ply"))
