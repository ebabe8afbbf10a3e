"""Metres from relative depth: known scale and shift are found again, and nonsense is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

import dpt_cli
from dpt_cli import DepthMap
from dpt_cli.errors import CalibrationError
from front_door import FrontDoor, invoke

HW = (40, 60)
RNG = np.random.default_rng(seed=0)
SCALE, SHIFT = 0.05, 0.08
_Y, _X = np.mgrid[0 : HW[0], 0 : HW[1]]
# From 1 to 8: depths from 2.1 m to 7.7 m.
INVERSE = (1 + 7 * (_X / HW[1] + _Y / HW[0]) / 2).astype(np.float32)

Points = npt.NDArray[np.float64]


def relative(values: npt.NDArray[np.float32] = INVERSE) -> DepthMap:
    return DepthMap(values, "inverse_depth")


def known(count: int, shift: float = SHIFT, seed: int = 0) -> Points:
    """Return random pixels, the nearest and the farthest among them, with their true distances."""
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, HW[1], count), rng.integers(0, HW[0], count)
    x[:2], y[:2] = (0, HW[1] - 1), (0, HW[0] - 1)
    return np.column_stack([x, y, 1 / (SCALE * INVERSE[y, x].astype(np.float64) + shift)])


@pytest.mark.parametrize("count", [3, 4, 10, 500])
def test_scale_and_shift_are_found_again(count: int) -> None:
    result = dpt_cli.calibrate(relative(), known(count))
    found = result.calibration
    assert found is not None
    # float32 values: relative errors of 1e-7, tenfold by the spread of the points.
    assert (found.scale, found.shift) == pytest.approx((SCALE, SHIFT), rel=1e-5)
    assert (found.method, found.num_points, found.num_outliers) == ("affine", count, 0)
    assert (result.quantity, result.unit) == ("depth", "m")
    assert result.values == pytest.approx(1 / (SCALE * INVERSE + SHIFT), rel=1e-5)
    assert found.error_percent == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize(("count", "wrong"), [(5, 1), (8, 3), (60, 20)])
@pytest.mark.parametrize("factor", [0.1, 10])
@pytest.mark.parametrize("seed", range(3))
def test_wrong_points_do_not_move_the_fit(count: int, wrong: int, factor: float, seed: int) -> None:
    points = known(count, seed=seed)
    points[-wrong:, 2] *= factor
    found = dpt_cli.calibrate(relative(), points).calibration
    assert found is not None
    assert (found.scale, found.shift) == pytest.approx((SCALE, SHIFT), rel=1e-4)
    assert found.num_outliers == wrong


@pytest.mark.parametrize("count", [2, 3])
def test_scale_only_is_kept_where_no_shift_is_needed(count: int) -> None:
    points = known(count, shift=0)
    points[:, 2] *= 1 + 0.02 * np.random.default_rng(1).normal(size=count)
    found = dpt_cli.calibrate(relative(), points).calibration
    assert found is not None
    assert (found.method, found.shift) == ("scale only", 0)
    assert found.scale == pytest.approx(SCALE, rel=0.05)
    assert found.reason


def test_of_four_points_one_may_be_wrong() -> None:
    points = known(4, shift=0)
    points[3, 2] *= 10
    found = dpt_cli.calibrate(relative(), points).calibration
    assert found is not None
    assert (found.method, found.num_outliers) == ("scale only", 1)
    assert found.scale == pytest.approx(SCALE, rel=1e-5)


def test_two_points_that_contradict_one_scale_take_a_shift_whose_error_nobody_knows() -> None:
    found = dpt_cli.calibrate(relative(), known(2, shift=0.4)).calibration
    assert found is not None
    assert (found.scale, found.shift) == pytest.approx((SCALE, 0.4), rel=1e-5)
    assert (found.error_m, found.error_percent, found.error_kind) == (None, None, None)


@pytest.mark.parametrize(
    ("count", "kind"), [(3, "residual"), (4, "leave-one-out"), (101, "20-fold")]
)
def test_the_error_says_how_it_was_measured(count: int, kind: str) -> None:
    found = dpt_cli.calibrate(relative(), known(count)).calibration
    assert found is not None
    assert found.error_kind == kind


def test_the_leave_one_out_error_is_that_of_refitting_without_each_point() -> None:
    points = known(6)
    points[:, 2] *= 1 + 0.03 * RNG.normal(size=6)
    found = dpt_cli.calibrate(relative(), points).calibration
    assert found is not None
    assert found.method == "affine"
    errors = []
    for index, (x, y, metres) in enumerate(points):
        others = dpt_cli.calibrate(relative(), np.delete(points, index, axis=0)).calibration
        assert others is not None
        assert others.method == "affine"
        value = float(INVERSE[int(y), int(x)])
        errors.append(abs(1 / (others.scale * value + others.shift) - metres))
    assert found.error_m == pytest.approx(np.median(errors), rel=1e-6)


def test_points_count_pixels_of_the_photograph_where_the_map_has_another_size() -> None:
    small = DepthMap(INVERSE[::2, ::2], "inverse_depth", dpt_cli.Provenance(photo_hw=HW))
    points = known(6)
    points[:, :2] = points[:, :2] // 2 * 2
    points[:, 2] = 1 / (SCALE * INVERSE[tuple(points[:, 1::-1].astype(int).T)] + SHIFT)
    found = dpt_cli.calibrate(small, points).calibration
    assert found is not None
    assert (found.scale, found.shift) == pytest.approx((SCALE, SHIFT), rel=1e-5)


# Scale only puts the corner beyond infinity; the affine fit puts points there that it did not see.
CONTRARY = [[9, 17, 6.7], [47, 19, 5.5], [48, 21, 0.5], [15, 2, 0.7]]
BEYOND = INVERSE.copy()
BEYOND[:4] = -9  # a tenth of the rows

REFUSED: dict[str, tuple[npt.NDArray[np.float32], Any, str]] = {
    "one point": (INVERSE, [[0, 0, 2]], "only one distance"),
    "no points": (INVERSE, np.empty((0, 3)), "no distance"),
    "one depth": (INVERSE, [[0, 0, 2], [59, 39, 2.05]], "2 to 2.05 m"),
    "one value": (np.ones(HW, np.float32), [[0, 0, 2], [59, 39, 4]], "distances differ"),
    "far is near": (INVERSE, [[0, 0, 1], [30, 20, 4], [59, 39, 90], [58, 38, 80]], "farther where"),
    "beyond infinity": (BEYOND, known(5)[known(5)[:, 1] >= 4], "10 % of the pixels"),
    "right of it": (INVERSE, [[60, 0, 2], [0, 0, 4]], "60,0 lies outside"),
    "above it": (INVERSE, [[0, -1, 2], [0, 0, 4]], "0,-1 lies outside"),
    "no distance": (INVERSE, [[0, 0, 0], [59, 39, 4]], "above 0"),
    "not a number": (INVERSE, [[0, 0, np.nan], [59, 39, 4]], "above 0"),
    "contradiction": (INVERSE - np.float32(1.5), CONTRARY, "contradict"),
    "no column": (INVERSE, [[np.nan, 0, 2], [59, 39, 4]], "no number"),
    "no table": (INVERSE, [1, 2, 3], "N, 3"),
    "a hole": (np.full(HW, np.nan, np.float32), known(3), "not finite"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_gives_no_metres_is_refused_with_the_reason(case: str) -> None:
    values, points, reason = REFUSED[case]
    with pytest.raises(CalibrationError, match=reason):
        dpt_cli.calibrate(relative(values), points)


def test_a_metric_map_is_not_calibrated_again() -> None:
    with pytest.raises(CalibrationError, match="already"):
        dpt_cli.calibrate(DepthMap(INVERSE, "depth"), known(3))


# Through the command line. The network's numbers are read from a relative map; the distances that
# a known scale and shift would give are then what the user "measured".

PLACES = ((2, 3), (90, 5), (40, 50), (7, 90), (80, 80), (60, 20))
OTHER_PLACES = PLACES[1:]


@pytest.fixture
def raw(dpt: FrontDoor) -> npt.NDArray[np.float32]:
    """Put a photograph on the desk and return its relative map."""
    dpt.photograph()
    dpt("depth", "photo.png", "-o", "raw", "--format", "npy", "--engine", "torch")
    values: npt.NDArray[np.float32] = np.load(dpt.desk / "raw/photo_depth.npy")
    return values


def metres(raw: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return distances of about 1 to 10 m that are affine in the map's inverse depth."""
    low, high = float(raw.min()), float(raw.max())
    return 1 / (0.1 + 0.9 * (raw.astype(np.float64) - low) / (high - low))


def words(raw: npt.NDArray[np.float32], places: tuple[tuple[int, int], ...]) -> list[str]:
    return [
        word for x, y in places for word in ("--known", f"{x},{y}={float(metres(raw)[y, x])!r}m")
    ]


def calibrated(dpt: FrontDoor, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
    """Run and return the JSON lines."""
    common = ("-o", "out", "--format", "npy", "--engine", "torch", "--json")
    result = dpt("depth", *arguments, *common, code=code)
    return [json.loads(line) for line in result.stdout.splitlines()]


def assert_metres(path: Path, raw: npt.NDArray[np.float32]) -> None:
    # float32 values, and distances that reach over an order of magnitude.
    assert np.load(path) == pytest.approx(metres(raw), rel=1e-4)


def test_known_points_turn_the_map_into_metres_and_the_facts_say_so(
    dpt: FrontDoor, raw: npt.NDArray[np.float32]
) -> None:
    (line,) = calibrated(dpt, "photo.png", *words(raw, PLACES))
    assert_metres(dpt.desk / "out/photo_depth.npy", raw)
    assert (line["kind"], line["unit"], line["near"]) == ("calibrated metric depth", "m", "small")
    fit = line["calibration"]
    assert (fit["method"], fit["num_points"], fit["error_kind"]) == ("affine", 6, "leave-one-out")
    assert fit["error_percent"] < 0.1


def test_other_known_points_do_a_photograph_again_and_the_same_do_not(
    dpt: FrontDoor, raw: npt.NDArray[np.float32]
) -> None:
    status = [
        calibrated(dpt, "photo.png", *arguments)[0]["status"]
        for arguments in (
            words(raw, PLACES),
            words(raw, PLACES),
            words(raw, OTHER_PLACES),
            [],
            [],
        )
    ]
    assert status == ["done", "skipped", "done", "done", "skipped"]


def test_a_list_calibrates_each_photograph_and_names_the_one_it_lacks(
    dpt: FrontDoor, raw: npt.NDArray[np.float32]
) -> None:
    dpt.photograph("in/other.png")
    (dpt.desk / "in/a").mkdir()
    shutil.copy(dpt.desk / "photo.png", dpt.desk / "in/a/photo.png")
    rows = [f"a/photo.png,{x},{y},{float(metres(raw)[y, x])!r}" for x, y in PLACES]
    table = "\n".join(["photograph,x,y,metres", *rows, "gone.png,1,2,3"])
    (dpt.desk / "known.csv").write_text(table)
    result = dpt(
        *("depth", "in", "-o", "out", "--format", "npy", "--engine", "torch"),
        *("--known-from", "known.csv"),
        code=3,
    )
    assert_metres(dpt.desk / "out/a/photo_depth.npy", raw)
    assert not (dpt.desk / "out/other_depth.npy").exists()
    assert "other.png: known.csv has no distances" in result.stderr
    assert "gone.png" in result.stderr


@pytest.mark.parametrize("name", ["photo.npy", "photo.png"])
def test_sparse_depth_calibrates_the_photograph_of_its_name(
    dpt: FrontDoor, raw: npt.NDArray[np.float32], name: str
) -> None:
    sparse = np.zeros(raw.shape)
    sparse[::5, ::7] = metres(raw)[::5, ::7]
    folder = dpt.desk / "lidar"
    folder.mkdir()
    if name.endswith(".npy"):
        sparse[0, 0] = np.nan
        np.save(folder / name, sparse)
        (line,) = calibrated(dpt, "photo.png", "--known-depth", "lidar")
    else:
        Image.fromarray(np.rint(5000 * sparse).astype(np.uint16)).save(folder / name)
        found = ("--known-depth", "lidar", "--known-scale", "5000")
        (line,) = calibrated(dpt, "photo.png", *found)
    num_points = int(np.count_nonzero(np.isfinite(sparse) & (sparse > 0)))
    assert line["calibration"]["num_points"] == num_points
    # Steps of 0.2 mm at 1 m.
    assert np.load(dpt.desk / "out/photo_depth.npy") == pytest.approx(metres(raw), rel=1e-3)


def test_one_named_file_and_python_calibrate_alike(
    dpt: FrontDoor, raw: npt.NDArray[np.float32]
) -> None:
    command = ("depth", "photo.png", "-o", "one.npy", "--format", "npy", "--engine", "torch")
    dpt(*command, *words(raw, PLACES))
    assert_metres(dpt.desk / "one.npy", raw)
    points = [(x, y, metres(raw)[y, x]) for x, y in PLACES]
    by_hand = dpt_cli.calibrate(DepthMap(raw, "inverse_depth"), points)
    assert np.array_equal(by_hand.values, np.load(dpt.desk / "one.npy"))


CARELESS = {
    "no unit": (["--known", "1,2=3"], 2, "unit"),
    "no point": (["--known", "1;2=3m"], 2, "X,Y"),
    "nothing away": (["--known", "1,2=0m", "--known", "9,9=2m"], 2, "above 0"),
    "one point": (["--known", "1,2=3m"], 3, "only one distance"),
    "outside": (["--known", "1,2=3m", "--known", "96,9=1m"], 3, "96,9 lies outside"),
    "left of it": (["--known-from", "left.csv"], 3, "-1,5 lies outside"),
    "two sources": (["--known", "1,2=3m", "--known-from", "known.csv"], 2, "one of them"),
    "metric": (["--model", "metric", "--known", "1,2=3m", "--known", "9,9=1m"], 2, "metres"),
    "no such list": (["--known-from", "gone.csv"], 2, "gone.csv"),
    "a folder as list": (["--known-from", "lidar"], 2, "directory"),
    "a bad list": (["--known-from", "bad.csv"], 2, "photograph,x,y,metres"),
    "a bad line": (["--known-from", "known.csv"], 2, "line 3"),
    "a picture as list": (["--known-from", "photo.png"], 2, "not CSV"),
    "no scale": (["--known-depth", "lidar"], 2, "--known-scale"),
    "scale alone": (["--known-scale", "5"], 2, "--known-depth"),
    "8 bits": (["--known-depth", "lidar", "--known-scale", "5"], 1, "16-bit"),
    "another size": (["--known-depth", "small"], 3, "96 x 96 pixels"),
    "an empty folder": (["--known-depth", "empty"], 2, "no .npy"),
}


@pytest.mark.parametrize("case", CARELESS)
def test_careless_words_get_one_clear_line(dpt: FrontDoor, case: str) -> None:
    dpt.photograph()
    (dpt.desk / "bad.csv").write_text("name,left,top\n")
    (dpt.desk / "known.csv").write_text("photograph,x,y,metres\nphoto.png,1,2,3\nphoto.png,1,x,3\n")
    (dpt.desk / "left.csv").write_text(
        "photograph,x,y,metres\nphoto.png,-0.7,5,3\nphoto.png,9,9,1\n"
    )
    for folder in ("lidar", "small", "empty"):
        (dpt.desk / folder).mkdir()
    Image.fromarray(np.ones((96, 96), np.uint8)).save(dpt.desk / "lidar/photo.png")
    np.save(dpt.desk / "small/photo.npy", np.ones((4, 5)))
    arguments, code, reason = CARELESS[case]
    command = ("depth", "photo.png", "-o", "out.npy", "--format", "npy", "--engine", "torch")
    result = dpt(*command, *arguments, code=code)
    assert reason in " ".join(result.stderr.split())
    assert not (dpt.desk / "out.npy").exists()


def test_points_for_one_photograph_are_not_used_for_two(dpt: FrontDoor) -> None:
    dpt.photograph("in/a.png")
    dpt.photograph("in/b.png")
    known = ("--known", "1,2=3m", "--known", "9,9=1m")
    assert "--known-from" in dpt("depth", "in", "-o", "out", *known, code=2).stderr


def test_a_name_that_fits_two_photographs_is_refused(dpt: FrontDoor) -> None:
    dpt.photograph("in/a/photo.png")
    dpt.photograph("in/b/photo.png")
    (dpt.desk / "known.csv").write_text("photograph,x,y,metres\nphoto.png,1,2,3\n")
    result = dpt("depth", "in", "-o", "out", "--known-from", "known.csv", code=2)
    assert "more of its path" in result.stderr


def test_a_saved_map_is_calibrated_to_the_same_bytes(
    dpt: FrontDoor, raw: npt.NDArray[np.float32]
) -> None:
    known = words(raw, PLACES)
    common = ("--format", "npz,png16")
    dpt("depth", "photo.png", "-o", "out", "--engine", "torch", *common, *known)
    invoke("convert", "raw/photo_depth.npy", "-o", "again", *common, *known)
    for name in ("photo_depth.npz", "photo_depth16.png"):
        assert (dpt.desk / "again" / name).read_bytes() == (dpt.desk / "out" / name).read_bytes()


def test_other_distances_convert_a_map_again(dpt: FrontDoor, raw: npt.NDArray[np.float32]) -> None:
    assert dpt.desk.is_dir()
    convert = ("convert", "raw/photo_depth.npy", "-o", "again", "--format", "npy", "--json")
    status = [
        json.loads(invoke(*convert, *words(raw, places)).stdout)["status"]
        for places in (PLACES, PLACES, OTHER_PLACES)
    ]
    assert status == ["done", "skipped", "done"]


def test_a_list_calibrates_saved_maps_by_the_names_of_their_photographs(
    dpt: FrontDoor, raw: npt.NDArray[np.float32]
) -> None:
    rows = [f"photo.png,{x},{y},{float(metres(raw)[y, x])!r}" for x, y in PLACES]
    table = "\n".join(["photograph,x,y,metres", *rows, "gone.png,1,2,3"])
    (dpt.desk / "known.csv").write_text(table)
    convert = ("convert", "raw", "-o", "again", "--format", "npy", "--known-from", "known.csv")
    result = invoke(*convert)
    assert_metres(dpt.desk / "again/photo_depth.npy", raw)
    assert "gone.png" in result.stderr
