"""`dpt convert` and `dpt info`: saved maps in other formats, and in words."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dpt_cli.formats.read import read_map
from dpt_cli.formats.table import format_names, formats_of, save
from dpt_cli.maps import DepthMap
from dpt_cli.photos.source import stamp_of
from front_door import FrontDoor, invoke, paths, pixels, written_in

# Every format that shows no photograph; tests/test_points.py converts the others.
FORMATS = [it for it in format_names("depth") if not formats_of("depth")[it].needs_photograph]
EXACT = ("npy", "npz", "pfm", "exr", "tiff")


RNG = np.random.default_rng(0)
MAPS = {
    name: DepthMap(RNG.uniform(low, high, (50, 66)).astype(np.float32), "inverse_depth")
    for name, low, high in (("a", 1, 4), ("bbbb", 2, 9))
}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def maps(desk: Path) -> Path:
    """Return a folder with two relative maps, in every format that describes itself."""
    for name, depth_map in MAPS.items():
        for kind in ("npz", "exr", "tiff", "png16", "color"):
            save(depth_map, f"out/{name}{formats_of('depth')[kind].suffix}", kind)
    return Path("out")


@pytest.mark.parametrize("model", ["small", "metric"])
def test_it_writes_what_depth_writes_byte_for_byte(dpt: FrontDoor, model: str) -> None:
    dpt.photograph("a.png", 66, 50)
    dpt("depth", "a.png", "-o", "out", "--model", model, "--format", ",".join(FORMATS))
    made = Path("out")
    for source in EXACT:
        invoke("convert", made / f"a_depth.{source}", "-o", source, "--format", ",".join(FORMATS))
        assert written_in(Path(source)) == written_in(made)
        for name in written_in(made):
            assert Path(source, name).read_bytes() == (made / name).read_bytes(), (source, name)
    options = ("--colormap", "viridis", "--invert", "--range", "0.5,2.5", "--format", "color,gray")
    dpt("depth", "a.png", "-o", "direct", "--model", model, *options)
    invoke("convert", "out/a_depth.npy", "-o", "again", *options)
    for name in ("a_depth.png", "a_depth_gray.png"):
        assert Path("again", name).read_bytes() == Path("direct", name).read_bytes()


def test_a_bare_array_is_known_by_its_manifest(dpt: FrontDoor) -> None:
    dpt.photograph("a.png", 66, 50)
    dpt("depth", "a.png", "-o", "out", "--format", ",".join(FORMATS))
    names = sorted(written_in(Path("out")))
    result = invoke("info", *(Path("out", name) for name in names), "--json")
    described = [json.loads(line) for line in result.stdout.splitlines()]
    assert [Path(one["file"]).name for one in described] == names
    keys = ("kind", "unit", "near", "model", "weights_sha256", "engine", "photograph", "dpt")
    assert len({tuple(one[key] for key in keys) for one in described}) == 1
    assert described[0]["photograph"] == "a.png"
    shutil.move("out", "elsewhere")
    words = invoke("info", "elsewhere/a_depth.npy").stdout
    assert "larger is nearer" in words
    assert "photograph size: 66 x 50 px" in words
    np.save("elsewhere/a_depth.npy", np.load("elsewhere/a_depth.npy") + 1)
    assert "not known: whether" in invoke("info", "elsewhere/a_depth.npy").stdout
    invoke("convert", "elsewhere/a_depth.npy", "-o", "again", code=3)


def test_16_bits_are_read_and_every_file_made_of_them_says_so(maps: Path) -> None:
    kinds = (*EXACT, "png16", "color")
    result = invoke("convert", maps / "a_depth16.png", "-o", "again", "--format", ",".join(kinds))
    exact = MAPS["a"].values
    step = float(exact.max() - exact.min()) / 65535
    # And a float32's rounding.
    np.testing.assert_allclose(np.load("again/a_depth.npy"), exact, atol=0.51 * step + 1e-6)
    assert f"rounded before, to steps of {step:.6g}" in result.stderr
    shutil.copytree("again", "alone", ignore=shutil.ignore_patterns("manifest.jsonl"))
    for kind in kinds:
        # Bare arrays are described by their manifest.
        folder = "again" if kind in ("npy", "pfm") else "alone"
        words = invoke("info", f"{folder}/a{formats_of('depth')[kind].suffix}").stdout
        assert f"rounded before: {step:.6g}" in words, kind
    again = read_map("alone/a_depth.npz")
    assert isinstance(again, DepthMap)
    assert again.rounded_to == pytest.approx(step)


def test_a_calibrated_map_has_the_step_of_its_farthest_point(maps: Path) -> None:
    known = ("--known", "5,5=2m", "--known", "40,30=3m", "--known", "60,40=2.5m")
    invoke("convert", maps / "a_depth16.png", "-o", "again", "--format", "npz", *known)
    made = read_map("again/a_depth.npz")
    assert isinstance(made, DepthMap)
    assert made.calibration is not None
    exact = MAPS["a"].values
    step = float(exact.max() - exact.min()) / 65535
    assert made.span is not None
    far, fit = made.span[1], made.calibration
    beyond = 1 / (fit.scale * (float(exact.min()) - step) + fit.shift)
    # The derivative at the farthest point, against the difference.
    assert made.rounded_to == pytest.approx(beyond - far, rel=0.05)


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("small", ("--format", "png16,npy")),
        ("small", ("--format", "png16,npy", "--range", "0.5,2.5")),
        ("metric", ("--format", "png16,npy")),
        ("metric", ("--for", "kitti")),
    ],
)
def test_16_bits_without_a_text_are_read_by_their_manifest(
    dpt: FrontDoor, model: str, options: tuple[str, ...]
) -> None:
    dpt.photograph("a.png", 66, 50)
    dpt("depth", "a.png", "-o", "out", "--model", model, *options)
    path = next(Path("out").glob("a*.png"))
    before = read_map(path)
    assert isinstance(before, DepthMap)
    strip_text(path)
    after = read_map(path)
    assert isinstance(after, DepthMap)
    # Text has nine digits.
    np.testing.assert_allclose(after.values, before.values, rtol=1e-6)
    assert json.loads(invoke("info", path, "--json").stdout)["facts_from"] == "manifest"
    manifest = Path("out/manifest.jsonl")
    lines = manifest.read_text(encoding="ascii")
    manifest.write_text(lines.replace('"min"', '"other"').replace('"unit"', '"unknown"'))
    if model == "small" and "--range" not in options:
        assert "levels" in invoke("convert", path, "-o", "x", code=3).stderr


def strip_text(path: Path) -> None:
    """Take the description out of a PNG, and let the manifest know the file as it is then."""
    Image.fromarray(pixels(path)).save(path)
    stamp = stamp_of(path)
    manifest = path.parent / "manifest.jsonl"
    records = [json.loads(line) for line in manifest.read_text(encoding="ascii").splitlines()]
    for record in records:
        for kind, name in record["outputs"].items():
            if name == path.name:
                record["files"][kind] = stamp
    manifest.write_text("".join(json.dumps(it) + "\n" for it in records), encoding="ascii")


def test_depth_beyond_16_bits_is_unknown_when_read_back(tmp_path: Path) -> None:
    values = np.array([[1, 65.534, 65.535, 70]], np.float32)
    save(DepthMap(values, "depth"), tmp_path / "a_depth16.png")
    read = read_map(tmp_path / "a_depth16.png")
    assert isinstance(read, DepthMap)
    np.testing.assert_array_equal(read.values, np.array([[1, 65.534, np.nan, np.nan]], np.float32))
    save(DepthMap(values[:, :3], "depth"), tmp_path / "b_depth16.png")
    read = read_map(tmp_path / "b_depth16.png")
    assert isinstance(read, DepthMap)
    np.testing.assert_array_equal(read.values, values[:, :3])


def test_a_folder_gives_each_map_once_and_is_continued(maps: Path) -> None:
    made = ["again/a_depth.png", "again/bbbb_depth.png"]
    assert paths(invoke("convert", maps, "-o", "again")) == made
    second = invoke("convert", maps, "-o", "again")
    assert paths(second) == []
    assert second.stderr.startswith("0 of 2 done, 2 ")
    assert paths(invoke("convert", maps, "-o", "again", "--colormap", "gray")) == made


@pytest.mark.parametrize(
    ("options", "suffix"),
    [(("--format", "png16", "--range", "folder"), "_depth16.png"), (("--for", "3dgs"), ".png")],
)
def test_one_range_is_shared_by_a_folder(maps: Path, options: tuple[str, ...], suffix: str) -> None:
    invoke("convert", maps, "-o", "again", *options)
    low = float(min(one.values.min() for one in MAPS.values()))
    high = float(max(one.values.max() for one in MAPS.values()))
    for name, depth_map in MAPS.items():
        share = (depth_map.values.astype(np.float64) - low) / (high - low)
        np.testing.assert_array_equal(pixels(Path(f"again/{name}{suffix}")), np.rint(share * 65535))


def test_a_preset_that_would_lie_is_refused_before_anything_is_loaded(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    result = dpt("depth", "a.png", "-o", "out", "--for", "kitti", code=2)
    assert "dpt models list" in result.stderr
    assert dpt.hub.requests == []
    dpt("depth", "a.png", "-o", "out", "--for", "kitti", "--model", "metric")
    dpt("depth", "a.png", "-o", "out", "--model", "metric", "--format", "npy")
    metres = np.load("out/a_depth.npy").astype(np.float64)
    np.testing.assert_array_equal(pixels(Path("out/a.png")), np.rint(metres * 256))


def test_a_map_that_is_given_twice_is_converted_once(maps: Path) -> None:
    made = ["again/a_depth.png", "again/bbbb_depth.png"]
    given = (maps / "a_depth.npz", maps, maps / "a_depth.npz")
    assert paths(invoke("convert", *given, "-o", "again")) == made


def test_a_named_file_is_written_and_not_overwritten(maps: Path) -> None:
    source = maps / "a_depth.npz"
    invoke("convert", source, "-o", "b.exr")
    assert Path("b.exr").read_bytes() == (maps / "a_depth.exr").read_bytes()
    assert "use --force" in invoke("convert", source, "-o", "b.exr", code=1).stderr
    invoke("convert", source, "-o", "b.exr", "--force")
    assert "the map itself" in invoke("convert", "b.exr", "-o", "b.exr", "-f", code=1).stderr


@pytest.mark.parametrize("name", ["b.jpg", "b.tif"])
def test_a_name_that_no_format_has_is_not_taken_for_a_folder(maps: Path, name: str) -> None:
    result = invoke("convert", maps / "a_depth.npz", "-o", name, code=2)
    assert ".tiff" in result.stderr
    assert not Path(name).exists()


def test_files_of_others_are_left(maps: Path) -> None:
    Path("again").mkdir()
    Path("again/a_depth.png").write_bytes(b"mine")
    result = invoke("convert", maps, "-o", "again", code=3)
    assert "--force" in result.stderr
    assert Path("again/a_depth.png").read_bytes() == b"mine"
    invoke("convert", maps, "-o", "again", "--force")
    assert Path("again/a_depth.png").read_bytes() == (maps / "a_depth.png").read_bytes()


def foreign_npy(path: Path) -> None:
    np.save(path, np.ones((4, 5), np.float32))


def foreign_png16(path: Path) -> None:
    Image.fromarray(np.full((4, 5), 700, np.uint16)).save(path)


def stack(path: Path) -> None:
    np.save(path, np.ones((2, 4, 5), np.float32))


def pickled(path: Path) -> None:
    np.save(path, np.array([{"a": 1}]), allow_pickle=True)


BAD: list[tuple[str, Callable[[Path], Any], str]] = [
    ("a.npy", foreign_npy, "nothing says what its numbers are"),
    ("a.png", foreign_png16, "nothing says what its numbers are"),
    ("a.npy", stack, "expected numbers"),
    ("a.npy", pickled, "Python objects"),
    ("b.npz", lambda path: path.write_bytes(b"no archive"), "damaged or holds Python objects"),
    ("a.png", lambda path: Image.new("RGB", (4, 5)).save(path), "not a map"),
    ("a.npz", lambda path: path.write_bytes(b"PK\3\4 no archive"), "damaged"),
    ("a.exr", lambda path: path.write_bytes(b"no exr"), "not an EXR file"),
    ("a.pfm", lambda path: path.write_bytes(b"Pf\n4 5\n-1\n1234"), "cut off"),
    ("a.tiff", lambda path: path.write_bytes(b"II*\0"), "a.tiff"),
    ("a.npy", lambda path: path.mkdir(), "no saved depth maps"),
    ("a.npy", lambda _path: None, "No such file"),
    ("a.jpg", lambda path: Image.new("RGB", (4, 5)).save(path), "maps are read from"),
]


@pytest.mark.parametrize(("name", "make", "reason"), BAD, ids=[reason for *_, reason in BAD])
@pytest.mark.usefixtures("desk")
def test_what_is_no_map_gets_one_line(name: str, make: Any, reason: str) -> None:
    make(Path(name))
    code = 1 if Path(name).is_dir() else 3
    assert reason in invoke("convert", name, "-o", "out", code=code).stderr
    assert written_in(Path("out")) == set() if Path("out").exists() else True


@pytest.mark.parametrize("make", [foreign_npy, foreign_png16])
def test_info_says_what_it_cannot_know(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / ("a.npy" if make is foreign_npy else "a.png")
    make(path)
    words = invoke("info", path).stdout
    assert "which way is near" in words
    assert "stored: 700 to 700" in words or "stored: 1 to 1" in words
    assert json.loads(invoke("info", path, "--json").stdout)["facts_from"] is None


def test_info_goes_on_after_a_file_that_is_none(tmp_path: Path) -> None:
    foreign_npy(tmp_path / "a.npy")
    (tmp_path / "b.npy").write_bytes(b"")
    result = invoke("info", tmp_path / "b.npy", tmp_path / "a.npy", code=3)
    assert "Failed" in result.stderr
    assert "stored: 1 to 1" in result.stdout


def test_info_of_a_folder_is_that_of_its_maps_in_natural_order(desk: Path) -> None:
    for name in ("f10.npy", "f2.npy", "sub/f1.png"):
        Path("out/sub").mkdir(parents=True, exist_ok=True)
        save(MAPS["a"], f"out/{name}", "png16" if name.endswith("png") else "npy")
    Image.new("RGB", (8, 8)).save("out/photo.png")
    (desk / "out/manifest.jsonl").touch()
    lines = invoke("info", "out", "--json").stdout.splitlines()
    names = ["out/f2.npy", "out/f10.npy", "out/sub/f1.png"]
    assert [json.loads(line)["file"] for line in lines] == names
    Path("empty").mkdir()
    assert "Failed: empty: " in invoke("info", "empty", code=3).stderr


def test_formats_lists_every_word() -> None:
    words = invoke("formats").stdout
    assert all(f"  {name} " in words for name in (*format_names("depth"), "kitti", "3dgs"))


@pytest.mark.parametrize("command", ["info", "convert"])
def test_it_starts_without_torch(tmp_path: Path, command: str) -> None:
    file = BytesIO()
    np.savez_compressed(file, depth=np.ones((4, 5), np.float32), meta='{"quantity": "depth"}')
    (tmp_path / "a.npz").write_bytes(file.getvalue())
    words = ["info", "a.npz"] if command == "info" else ["convert", "a.npz", "-o", "a.exr"]
    code = (
        "import sys\nfrom dpt_cli.cli import main\ntry:\n    main(sys.argv[1:])\nfinally:\n"
        "    print(*{'torch', 'timm', 'matplotlib', 'cv2'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.stderr.splitlines()[-1] == ""
