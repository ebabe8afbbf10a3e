"""Label maps for other programs, and pictures beside their maps: read back as their readers do."""

import json
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from dpt_cli.errors import InputError
from dpt_cli.formats.coco import regions
from dpt_cli.formats.read import read_map
from dpt_cli.formats.table import DEFAULT_OPTIONS, formats_of, save
from dpt_cli.maps import DepthMap, LabelMap
from dpt_cli.maps.ade20k import COLORS, NAMES
from dpt_cli.maps.colormaps import colormap_table
from front_door import FrontDoor, picture, pixels

Labels = npt.NDArray[np.uint8]
RNG = np.random.default_rng(seed=0)
HW = (37, 53)
RGB = RNG.integers(0, 256, (*HW, 3), np.uint8)
# Patches, so that classes have areas; one pixel without a class.
LABELS = RNG.integers(0, 150, (8, 9), np.uint8).repeat(5, axis=0).repeat(6, axis=1)[:37, :53].copy()
LABELS[3, 4] = 255


def label_map(labels: Labels = LABELS) -> LabelMap:
    return LabelMap(labels)


def saved(path: Path, kind: str, result: LabelMap | DepthMap | None = None, **options: Any) -> Path:
    save(result or label_map(), path, kind, photograph=RGB, **options)
    return path


@pytest.mark.parametrize(
    "labels",
    [
        LABELS,
        np.zeros(HW, np.uint8),
        np.array([[7]], np.uint8),
        np.arange(150, dtype=np.uint8).reshape(1, 150),
        np.arange(150, dtype=np.uint8).reshape(150, 1),
        RNG.integers(0, 3, (40, 3), np.uint8),
        RNG.integers(0, 150, (60, 60), np.uint8),
        np.asfortranarray(RNG.integers(0, 2, (300, 400), np.uint8).repeat(3, axis=1)),
    ],
    ids=["patches", "constant", "pixel", "row", "column", "narrow", "noise", "two classes"],
)
def test_run_lengths_areas_and_boxes_are_those_of_pycocotools(labels: Labels) -> None:
    found = list(regions(labels))
    assert [region.label for region in found] == np.unique(labels).tolist()
    for region in found:
        encoded = coco_mask.encode(np.asfortranarray((labels == region.label).astype(np.uint8)))
        assert region.counts == encoded["counts"].decode()
        assert region.area_px == coco_mask.area(encoded)
        assert list(region.box_px) == coco_mask.toBbox(encoded).tolist()


def test_a_map_without_pixels_has_no_regions() -> None:
    assert list(regions(np.zeros((0, 5), np.uint8))) == []


# pycocotools 2.0.11 with NumPy 2.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize(("options", "base"), [({}, 1), ({"label_base": 0}, 0)])
def test_pycocotools_reads_a_dataset(
    tmp_path: Path, options: dict[str, Any], base: int, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = COCO(str(saved(tmp_path / "a.json", "coco", **options)))
    capsys.readouterr()  # what pycocotools prints
    assert dataset.dataset["info"]["label_base"] == base
    (image,) = dataset.loadImgs(dataset.getImgIds())
    assert (image["height"], image["width"]) == HW
    annotations = dataset.loadAnns(dataset.getAnnIds())
    assert len(annotations) == len(np.unique(LABELS[LABELS < 150]))
    for annotation in annotations:
        (category,) = dataset.loadCats(annotation["category_id"])
        is_class = np.equal(LABELS, NAMES.index(category["name"]))
        assert category["id"] == NAMES.index(category["name"]) + base
        np.testing.assert_array_equal(dataset.annToMask(annotation), is_class)
        assert annotation["area"] == is_class.sum()


def test_masks_are_one_png_per_class(tmp_path: Path) -> None:
    with zipfile.ZipFile(saved(tmp_path / "a.zip", "masks")) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert names == [
            f"{NAMES[index].replace(' ', '_')}.png" for index in np.unique(LABELS[LABELS < 150])
        ]
        for name in names:
            with Image.open(BytesIO(archive.read(name))) as mask:
                assert mask.mode == "L"
                index = NAMES.index(mask.info["dpt:class"])
                expected = np.where(index == LABELS, 255, 0)
                np.testing.assert_array_equal(np.asarray(mask), expected)


@pytest.mark.parametrize("kind", ["masks", "coco"])
def test_only_the_classes_asked_for_are_written(tmp_path: Path, kind: str) -> None:
    chosen = [NAMES[index] for index in np.unique(LABELS)[:2]]
    absent = next(name for index, name in enumerate(NAMES) if index not in LABELS)
    path = saved(tmp_path / "a", kind, classes=(*chosen, absent))
    if kind == "masks":
        with zipfile.ZipFile(path) as archive:
            written = [name.removesuffix(".png").replace("_", " ") for name in archive.namelist()]
    else:
        content = json.loads(path.read_text())
        named = {it["id"]: it["name"] for it in content["categories"]}
        written = [named[it["category_id"]] for it in content["annotations"]]
    assert written == chosen


def test_statistics_hold_the_share_of_each_class(tmp_path: Path) -> None:
    content = json.loads(saved(tmp_path / "a.json", "stats").read_text())
    shares = [it["share"] for it in content["classes"]]
    assert shares == sorted(shares, reverse=True)
    # Sums of float64.
    assert sum(shares) + content["unknown_share"] == pytest.approx(1, abs=1e-12)
    assert content["unknown_pixels"] == 1
    for it in content["classes"]:
        is_class = np.equal(LABELS, NAMES.index(it["name"]))
        assert (it["id"], it["pixels"]) == (NAMES.index(it["name"]) + 1, is_class.sum())
        assert it["share"] == is_class.mean()


# What is in a file: the value of class 0 and of a pixel without a class.
@pytest.mark.parametrize(
    ("kind", "options", "first", "unknown"),
    [
        ("labels", {}, 1, 0),
        ("labels", {"label_base": 1}, 1, 0),
        ("labels", {"label_base": 0}, 0, 255),
        ("npy", {}, 0, 255),
        ("npy", {"label_base": 0}, 0, 255),
        ("npy", {"label_base": 1}, 1, 0),
    ],
)
def test_classes_count_from_the_base(
    tmp_path: Path, kind: str, options: dict[str, Any], first: int, unknown: int
) -> None:
    path = saved(tmp_path / "a", kind, **options)
    numbers = np.load(path) if kind == "npy" else pixels(path)
    expected = np.where(LABELS < 150, LABELS.astype(int) + first, unknown)
    np.testing.assert_array_equal(numbers, expected)
    if kind == "labels":
        with Image.open(path) as image:
            assert image.info["dpt:label_base"] == str(first)
            assert image.info["dpt:unknown"] == str(unknown)
            colors = np.asarray(image.convert("RGB"))
        painted = np.array([*COLORS, *[(0, 0, 0)] * 106], np.uint8)[LABELS]
        np.testing.assert_array_equal(colors, painted)


@pytest.mark.parametrize("kind", ["labels", "npy", "masks", "coco", "stats", "side", "color"])
def test_the_same_labels_give_the_same_bytes(tmp_path: Path, kind: str) -> None:
    first, second = (saved(tmp_path / name, kind).read_bytes() for name in "ab")
    assert first == second


@pytest.mark.parametrize("base", [0, 1])
@pytest.mark.parametrize("kind", ["coco", "masks", "stats", "labels", "npy"])
def test_a_saved_map_can_be_written_in_another_format(tmp_path: Path, kind: str, base: int) -> None:
    read = read_map(saved(tmp_path / "a_labels.png", "labels", label_base=base))
    assert isinstance(read, LabelMap)
    again = saved(tmp_path / "again", kind, read).read_bytes()
    assert again == saved(tmp_path / "direct", kind).read_bytes()


def depth_map(values: object, quantity: Any = "inverse_depth") -> DepthMap:
    return DepthMap(np.asarray(values, np.float32), quantity)


RAMP = np.linspace(1, 5, HW[0] * HW[1]).reshape(HW)


@pytest.mark.parametrize("quantity", ["inverse_depth", "depth"])
@pytest.mark.parametrize("invert", [False, True])
def test_a_colour_bar_has_the_colours_of_the_map(
    tmp_path: Path, quantity: str, invert: bool
) -> None:
    result = depth_map(RAMP, quantity)
    options = {"colormap": "viridis", "invert": invert}
    both = pixels(saved(tmp_path / "side.png", "side", result, **options))
    alone = pixels(saved(tmp_path / "color.png", "color", result, **options))
    height, width = HW
    np.testing.assert_array_equal(both[:height, :width], RGB)
    gap = np.flatnonzero((both[:height, width:] != 255).any((0, 2)))[0]
    left = width + gap
    np.testing.assert_array_equal(both[:height, left : left + width], alone)
    # The first column after the map that is not white is the bar; from top to bottom it holds the
    # colours of the map from the greatest value to the least.
    after = both[:, left + width :]
    bar = after[:, np.flatnonzero((after != 255).any((0, 2)))[0]]
    bar = bar[(bar != 255).any(-1)]
    np.testing.assert_array_equal(bar[0], alone[-1, -1])
    np.testing.assert_array_equal(bar[-1], alone[0, 0])
    order = [colormap_table("viridis").tolist().index(color) for color in bar.tolist()]
    assert order == sorted(order, reverse=order[0] > order[-1])
    assert {0, 255} <= set(order)


@pytest.mark.parametrize(
    "values",
    [np.full(HW, 3), np.full(HW, np.nan), np.where(RAMP < 2, np.inf, RAMP), [[-3e38, 3e38]], [[1]]],
    ids=["constant", "nothing finite", "infinity", "extremes", "one pixel"],
)
def test_any_map_can_be_seen_beside_its_photograph(tmp_path: Path, values: object) -> None:
    result = depth_map(values)
    height, width = result.values.shape
    both = pixels(saved(tmp_path / "a.png", "side", result))
    # A photograph of another size takes the map's.
    expected = cv2.resize(RGB, (width, height), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(both[:height, :width], expected)


def test_labels_are_seen_beside_their_photograph(tmp_path: Path) -> None:
    both = pixels(saved(tmp_path / "side.png", "side"))
    alone = pixels(saved(tmp_path / "color.png", "color"))
    height, width = HW
    np.testing.assert_array_equal(both[:height, :width], RGB)
    gap = 10  # half a line of text
    np.testing.assert_array_equal(both[:height, width + gap : 2 * width + gap], alone)
    assert both.shape[1] > 2 * width + gap  # the legend


def test_a_run_writes_them_skips_them_and_redoes_what_the_base_changes(dpt: FrontDoor) -> None:
    dpt.photograph("a.png", *HW[::-1])
    words = ("segment", "a.png", "-o", "out", "--json", "--format", "masks,coco,stats,side")
    line = json.loads(dpt(*words).stdout)
    assert line["outputs"] == {
        "masks": "out/a_masks.zip",
        "coco": "out/a_coco.json",
        "stats": "out/a_stats.json",
        "side": "out/a_segment_side.png",
    }
    assert json.loads(Path("out/a_coco.json").read_text())["images"][0]["file_name"] == "a.png"
    names = {it["name"] for it in json.loads(Path("out/a_stats.json").read_text())["classes"]}
    with zipfile.ZipFile("out/a_masks.zip") as archive:
        assert {it.removesuffix(".png").replace("_", " ") for it in archive.namelist()} == names
    beside = pixels(Path("out/a_segment_side.png"))[: HW[0], : HW[1]]
    np.testing.assert_array_equal(beside, picture(*HW[::-1], seed=len("a.png")))
    assert json.loads(dpt(*words).stdout)["status"] == "skipped"
    assert json.loads(dpt(*words, "--label-base", "0").stdout)["status"] == "done"
    assert json.loads(Path("out/a_stats.json").read_text())["unknown"] == 255
    # The masks do not count classes.
    words = ("segment", "a.png", "-o", "out", "--json", "--format", "masks,side")
    assert json.loads(dpt(*words, "--label-base", "1").stdout)["status"] == "skipped"


@pytest.fixture
def with_depth(dpt: FrontDoor) -> FrontDoor:
    """Photographs with saved depth maps, `a.png` and `deeper/a.png`."""
    dpt.photograph("photos/a.png", *HW[::-1])
    dpt.photograph("photos/deeper/a.png", *HW)
    dpt("depth", "photos", "-o", "depth", "--format", "npz,npy", "-q")
    return dpt


WORDS = ("segment", "photos", "-o", "out", "--json", "--format")


def statuses(dpt: FrontDoor, *words: str, code: int = 0) -> list[str]:
    lines = dpt(*WORDS, *words, code=code).stdout.splitlines()
    return [json.loads(line)["status"] for line in lines]


@pytest.mark.parametrize("model", ["small", "metric"])
def test_each_class_gets_the_statistics_of_its_depth(with_depth: FrontDoor, model: str) -> None:
    dpt = with_depth
    dpt("depth", "photos", "-o", model, "--format", "npy", "--model", model, "-q")
    assert statuses(dpt, "stats,npy", "--depth-stats", model) == ["done", "done"]
    for name in ("a", "deeper/a"):
        content = json.loads(Path(f"out/{name}_stats.json").read_text())
        values, labels = np.load(f"{model}/{name}_depth.npy"), np.load(f"out/{name}_labels.npy")
        assert content["depth_map"]["unit"] == ("m" if model == "metric" else "relative")
        assert content["depth_map"]["model"] == f"depth/{model}"
        assert content["classes"]
        for entry in content["classes"]:
            own = values[labels == NAMES.index(entry["name"])]
            depth = entry["depth"]
            assert depth["pixels"] == entry["pixels"] == own.size
            assert (depth["min"], depth["max"]) == (own.min(), own.max())
            # Sums of float32 in another order.
            assert depth["mean"] == pytest.approx(own.mean(), rel=1e-5)
            assert depth["median"] == pytest.approx(np.median(own), rel=1e-6)
            assert depth["std"] == pytest.approx(own.std(), rel=1e-3, abs=1e-6)


def test_statistics_are_made_again_with_another_depth_map(with_depth: FrontDoor) -> None:
    dpt = with_depth
    assert statuses(dpt, "stats,npy") == ["done", "done"]
    assert statuses(dpt, "stats", "--depth-stats", "depth") == ["done", "done"]
    assert statuses(dpt, "stats", "--depth-stats", "depth") == ["skipped", "skipped"]
    dpt("depth", "photos/a.png", "-o", "depth", "--format", "npz", "--resolution", "64", "-q")
    assert statuses(dpt, "stats", "--depth-stats", "depth") == ["skipped", "done"]
    assert statuses(dpt, "stats") == ["done", "done"]
    assert statuses(dpt, "npy") == ["skipped", "skipped"]


def test_a_photograph_without_its_depth_map_fails_and_the_rest_are_done(
    with_depth: FrontDoor,
) -> None:
    dpt = with_depth
    dpt.photograph("photos/new.png")
    dpt.photograph("photos/a.png", 60, 60)  # changed since
    result = dpt(*WORDS, "stats", "--depth-stats", "depth", code=3)
    assert "no depth map of it" in result.stderr
    assert "has changed since" in result.stderr
    found = {json.loads(it)["input"]: json.loads(it)["status"] for it in result.stdout.splitlines()}
    assert found == {
        "photos/a.png": "failed",
        "photos/new.png": "failed",
        "photos/deeper/a.png": "done",
    }


def test_one_named_file_gets_depth_too(with_depth: FrontDoor) -> None:
    words = ("segment", "photos/a.png", "-o", "one.json", "--format", "stats")
    with_depth(*words, "--depth-stats", "depth")
    assert json.loads(Path("one.json").read_text())["depth_map"]["photograph"] == "a.png"


def test_a_damaged_depth_map_is_named(with_depth: FrontDoor) -> None:
    Path("depth/a_depth.npz").write_bytes(b"no map")
    result = with_depth(*WORDS, "stats", "--depth-stats", "depth", code=3)
    assert "a_depth.npz" in result.stderr


@pytest.mark.parametrize(
    ("words", "code", "named"),
    [
        (("--format", "stats", "--depth-stats", "nowhere"), 1, "nowhere holds no depth maps"),
        (("--format", "stats", "--depth-stats", "photos"), 1, "holds no depth maps"),
        (("--format", "npy", "--depth-stats", "depth"), 2, "--format stats"),
    ],
)
def test_depth_that_cannot_be_had_is_refused_before_any_work(
    with_depth: FrontDoor, words: tuple[str, ...], code: int, named: str
) -> None:
    result = with_depth("segment", "photos", "-o", "out", *words, code=code)
    assert named in result.stderr
    assert not Path("out").exists()


def test_a_depth_map_of_another_size_is_refused() -> None:
    options = {**DEFAULT_OPTIONS["segment"], "depth": depth_map([[1, 2]])}
    with pytest.raises(InputError, match="2x1 px"):
        formats_of("segment")["stats"].write(BytesIO(), label_map(), None, options)


def test_depth_is_not_looked_up_for_a_photograph_from_a_pipe(with_depth: FrontDoor) -> None:
    data = Path("photos/a.png").read_bytes()
    words = ("segment", "-", "-o", "one.json", "--format", "stats", "--depth-stats", "depth")
    assert "give the path" in with_depth(*words, code=2, stdin=data).stderr
