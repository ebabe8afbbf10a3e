"""The gallery's files: what is written, what is left alone, and that values are the map's own."""

import base64
import json
import shutil
import zlib
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from front_door import FrontDoor, invoke, paths
from output_folder import OutputFolder, ramp

FILES = ".dpt-gallery"
METRIC = ramp(30, 40, 1.25, 9.5)
RELATIVE = ramp(30, 40, -3.0, 1200.0)
LABELS = (np.arange(1200) % 150).astype(np.uint8).reshape(30, 40)


@pytest.fixture
def folder(tmp_path: Path) -> OutputFolder:
    made = OutputFolder(tmp_path)
    made.add("a.png", {"npy": METRIC}, quantity="depth", size=(40, 30))
    return made


class _Tags(HTMLParser):
    """Every tag of a page, as a browser takes it apart."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {key: value or "" for key, value in attrs}))


def cards(folder: OutputFolder) -> list[dict[str, str]]:
    """Return the attributes of every picture of the page."""
    page = (folder.path / "index.html").read_text(encoding="utf-8")
    return [attrs for tag, attrs in _Tags(page).found if attrs.get("class") == "card"]


def about(folder: OutputFolder, card: dict[str, str]) -> dict[str, Any]:
    """Return what the page loads for a picture."""
    script = (folder.path / FILES / f"{card['data-key']}.js").read_text(encoding="ascii")
    _, loaded = json.loads("[" + script.removeprefix("dptPicture(").removesuffix(");\n") + "]")
    assert isinstance(loaded, dict)
    return loaded


def unpacked(layer: dict[str, Any]) -> npt.NDArray[np.int64]:
    """Return a layer's whole numbers, by the rule that the page's script follows."""
    width, height = layer["size"]
    data = np.frombuffer(zlib.decompress(base64.b64decode(layer["data"])), np.uint8)
    planes = data.reshape(-1, height, width).astype(np.int64)
    is_depth = len(planes) == 2
    change = planes[0] * 256 + planes[1] if is_depth else planes[0]
    return np.cumsum(change, axis=1) % (65536 if is_depth else 256)


def shown_values(layer: dict[str, Any]) -> npt.NDArray[np.float64]:
    low, high = layer["range"]
    numbers = unpacked(layer)
    return np.where(numbers == 0, np.nan, low + (numbers - 1) / 65534 * (high - low))


def with_holes(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    holes = values.copy()
    holes[0, :3] = np.nan, np.inf, -np.inf
    return holes


@pytest.mark.parametrize(
    ("values", "quantity", "unit"),
    [
        (METRIC, "depth", "m"),
        (RELATIVE, "inverse_depth", "relative"),
        (with_holes(METRIC), "depth", "m"),
        (np.full((30, 40), 2.5, np.float32), "depth", "m"),
    ],
    ids=["metric", "relative", "holes", "constant"],
)
def test_depth_is_the_maps_own(
    tmp_path: Path, values: npt.NDArray[np.float32], quantity: str, unit: str
) -> None:
    folder = OutputFolder(tmp_path)
    folder.add("a.png", {"npy": values}, quantity=quantity, size=(40, 30))
    invoke("gallery", folder.path)
    (layer,) = about(folder, cards(folder)[0])["layers"]
    assert layer["unit"] == unit
    finite = np.where(np.isfinite(values), values, np.nan).astype(np.float64)
    # Half of a step of 1/65534 of the range, and the rounding of the range itself.
    tolerance = (np.nanmax(finite) - np.nanmin(finite)) / 65534 * 0.501
    np.testing.assert_allclose(shown_values(layer), finite, rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    ("kind", "quantity", "options", "unknown"),
    [
        ("npz", "depth", {}, ()),
        ("png16", "inverse_depth", {}, ()),
        ("png16", "inverse_depth", {"range": (20.0, 60.0)}, (0, 1, 3)),
        ("png16", "depth", {}, (3,)),
        ("kitti", "depth", {}, ()),
    ],
)
def test_what_a_file_only_bounds_is_unknown(
    tmp_path: Path, kind: str, quantity: str, options: dict[str, Any], unknown: tuple[int, ...]
) -> None:
    folder = OutputFolder(tmp_path)
    values = np.array([[1.0, 10.0, 50.0, 80.0]], np.float32)
    folder.add("a.png", {kind: values}, quantity=quantity, size=(4, 1), options=options)
    invoke("gallery", folder.path)
    (layer,) = about(folder, cards(folder)[0])["layers"]
    expected = values.copy()
    expected[0, list(unknown)] = np.nan
    # KITTI's step is 1/256 m; all others are finer.
    np.testing.assert_allclose(shown_values(layer), expected, rtol=0, atol=0.6 / 256)


def test_a_large_map_is_sampled_not_averaged(tmp_path: Path) -> None:
    values = ramp(700, 1300, 0.0, 1.0)
    values[::2] += 10
    folder = OutputFolder(tmp_path)
    folder.add("a.png", {"npy": values}, quantity="depth", size=(130, 70))
    invoke("gallery", folder.path)
    (layer,) = about(folder, cards(folder)[0])["layers"]
    width, height = layer["size"]
    assert max(width, height) == 512
    rows = ((np.arange(height) + 0.5) * 700 / height).astype(int)
    columns = ((np.arange(width) + 0.5) * 1300 / width).astype(int)
    expected = values[np.ix_(rows, columns)]
    # A step of the range, which is 11.
    np.testing.assert_allclose(shown_values(layer), expected, rtol=0, atol=11 / 65534)


@pytest.mark.parametrize(
    ("kind", "label_base"), [("npy", None), ("labels", None), ("npy", 1), ("labels", 0)]
)
def test_classes_are_the_maps_own(tmp_path: Path, kind: str, label_base: int | None) -> None:
    folder = OutputFolder(tmp_path)
    options = {"label_base": label_base}
    folder.add("a.png", {kind: LABELS}, quantity="labels", size=(40, 30), options=options)
    invoke("gallery", folder.path)
    (layer,) = about(folder, cards(folder)[0])["layers"]
    np.testing.assert_array_equal(unpacked(layer), LABELS)
    assert dict(layer["shares"]) == dict.fromkeys(range(150), pytest.approx(8 / 1200))


def test_depth_and_classes_of_one_photograph_are_one_picture(folder: OutputFolder) -> None:
    folder.add("a.png", {"npy": LABELS}, quantity="labels", size=(40, 30))
    invoke("gallery", folder.path)
    (card,) = cards(folder)
    assert [layer["task"] for layer in about(folder, card)["layers"]] == ["depth", "segment"]


def test_without_a_file_of_values_the_picture_is_shown(folder: OutputFolder) -> None:
    colors = np.zeros((30, 40, 3), np.uint8)
    folder.add("b.png", {"color": colors}, quantity="depth", size=(40, 30))
    result = invoke("gallery", folder.path)
    assert "png16" in result.stderr
    (layer,) = about(folder, cards(folder)[1])["layers"]
    assert "data" not in layer
    assert (folder.path / unquote(layer["picture"])).is_file()


def test_a_file_that_does_not_say_what_its_numbers_are_gives_way_to_a_picture(
    tmp_path: Path,
) -> None:
    folder = OutputFolder(tmp_path)
    maps: dict[str, npt.NDArray[Any]] = {
        "color": np.zeros((30, 40, 3), np.uint8),
        "png16": np.zeros((30, 40), np.uint16),
    }
    folder.add("a.png", maps, quantity="inverse_depth", size=(40, 30))
    invoke("gallery", folder.path)
    (layer,) = about(folder, cards(folder)[0])["layers"]
    assert layer["picture"].endswith("_color.png")


def test_maps_that_are_no_pictures_are_named_and_left_out(folder: OutputFolder) -> None:
    folder.add("b.png", {"stats": LABELS}, quantity="labels", size=(40, 30))
    result = invoke("gallery", folder.path, code=3)
    assert "b_labels_stats.json" in result.stderr
    assert [card["data-name"] for card in cards(folder)] == ["a.png"]


def test_the_same_folder_gives_the_same_bytes(folder: OutputFolder) -> None:
    def contents() -> dict[Path, bytes]:
        below = [folder.path / "index.html", *(folder.path / FILES).iterdir()]
        return {path: path.read_bytes() for path in below}

    invoke("gallery", folder.path)
    first = contents()
    invoke("gallery", folder.path)
    assert contents() == first
    shutil.rmtree(folder.path / FILES)
    invoke("gallery", folder.path)
    assert contents() == first


def test_pictures_stand_in_natural_order(folder: OutputFolder) -> None:
    for name in ("frame10.png", "frame2.png", "b/c.png"):
        folder.add(name, {"npy": METRIC}, quantity="depth", size=(40, 30))
    invoke("gallery", folder.path)
    names = [card["data-name"] for card in cards(folder)]
    assert names == ["a.png", "b/c.png", "frame2.png", "frame10.png"]


def foreign(page: Path) -> None:
    page.write_text("somebody's")


def edited(page: Path) -> None:
    invoke("gallery", page.parent)
    page.write_text(page.read_text("utf-8") + "<!-- mine -->", "utf-8")


def linked(page: Path) -> None:
    page.symlink_to(page.parent.parent / "elsewhere.html")


@pytest.mark.parametrize("prepare", [foreign, edited, linked])
def test_a_page_that_is_not_ours_stays(
    folder: OutputFolder, prepare: Callable[[Path], None]
) -> None:
    page = folder.path / "index.html"
    prepare(page)
    before = page.is_symlink() or page.read_bytes()
    assert str(page) in invoke("gallery", folder.path, code=1).stderr
    assert (page.is_symlink() or page.read_bytes()) == before
    invoke("gallery", folder.path, "--force")
    assert len(cards(folder)) == 1
    assert not (folder.path.parent / "elsewhere.html").exists()


def test_what_no_picture_loads_any_more_goes_and_the_rest_stays(folder: OutputFolder) -> None:
    invoke("gallery", folder.path)
    old = set((folder.path / FILES).iterdir())
    note = folder.path / FILES / "note.txt"
    note.write_text("mine")
    folder.add("a.png", {"npy": METRIC + 1}, quantity="depth", size=(40, 30))
    invoke("gallery", folder.path)
    assert not old & set((folder.path / FILES).iterdir())
    assert note.read_text() == "mine"


def test_a_link_in_place_of_its_folder_is_refused(folder: OutputFolder) -> None:
    elsewhere = folder.path.parent / "elsewhere"
    elsewhere.mkdir()
    (folder.path / FILES).symlink_to(elsewhere)
    invoke("gallery", folder.path, code=1)
    assert list(elsewhere.iterdir()) == []
    assert not (folder.path / "index.html").exists()


def missing(folder: OutputFolder) -> Path:
    return folder.path / "nothing"


def a_file(folder: OutputFolder) -> Path:
    return folder.photographs / "a.png"


def photographs(folder: OutputFolder) -> Path:
    return folder.photographs


@pytest.mark.parametrize("given", [missing, a_file, photographs])
def test_a_folder_without_maps_is_an_error_and_stays_as_it_is(
    folder: OutputFolder, given: Callable[[OutputFolder], Path]
) -> None:
    before = sorted(folder.path.parent.rglob("*"))
    result = invoke("gallery", given(folder), code=1)
    assert str(given(folder)) in result.stderr
    assert sorted(folder.path.parent.rglob("*")) == before


def test_a_map_that_was_changed_is_named_and_left_out(folder: OutputFolder) -> None:
    folder.add("b.png", {"npy": RELATIVE}, quantity="inverse_depth", size=(40, 30))
    changed = next(folder.path.glob("b_*.npy"))
    np.save(changed, METRIC)
    result = invoke("gallery", folder.path, code=3)
    assert str(changed) in result.stderr
    assert [card["data-name"] for card in cards(folder)] == ["a.png"]
    changed.unlink()
    next(folder.path.glob("a_*.npy")).unlink()
    invoke("gallery", folder.path, code=1)


def test_a_photograph_that_is_gone_leaves_its_map(folder: OutputFolder) -> None:
    folder.add("b.png", {"npy": METRIC}, quantity="depth", size=(40, 30)).unlink()
    changed = folder.add("c.png", {"npy": METRIC}, quantity="depth", size=(40, 30))
    Image.new("RGB", (9, 9)).save(changed)
    result = invoke("gallery", folder.path)
    assert "gallery: 2 without the photograph" in result.stderr
    sizes = [about(folder, card)["photograph_size"] for card in cards(folder)]
    assert sizes == [[40, 30], None, None]


HOSTILE = [
    "<img src=x onerror=alert(1)>.png",
    '"><script>alert(1)<%2Fscript>.png',
    "'-alert(1)-'.png",
    "{{ 7 * 7 }}{% raw %}.png",
    "#a?b&c=%41;.png",
    "\u202egnp.exe.png",
    "line\nbreak\ttab.png",
    "not-\udcff-utf8.png",
]


def test_hostile_names_stay_names(tmp_path: Path) -> None:
    folder = OutputFolder(tmp_path)
    for name in HOSTILE:
        folder.add(name, {"npy": METRIC}, quantity="depth", size=(40, 30))
    invoke("gallery", folder.path)
    page = (folder.path / "index.html").read_text(encoding="utf-8")
    tags = _Tags(page).found
    shown = sorted(name.replace("\udcff", "\ufffd") for name in HOSTILE)
    assert sorted(card["data-name"] for card in cards(folder)) == shown
    assert not any(key.startswith("on") for _, attrs in tags for key in attrs)
    assert [tag for tag, _ in tags].count("script") == 3  # the theme, the classes, the page's own
    for card in cards(folder):
        (layer,) = about(folder, card)["layers"]
        for _, url in layer["files"]:
            assert url.startswith("./")
            assert (folder.path / unquote(url, errors="surrogateescape")).is_file()


def test_a_manifest_from_elsewhere_shows_no_file_outside(folder: OutputFolder) -> None:
    manifest = folder.path / "manifest.jsonl"
    (made,) = folder.path.glob("*.npy")
    made.rename(folder.path.parent / "secret.npy")
    manifest.write_text(manifest.read_text().replace(made.name, "../secret.npy"))
    invoke("gallery", folder.path, code=1)


@pytest.mark.parametrize(
    ("name", "value"),
    [("network_hw", 3), ("min", "low"), ("calibration", "none"), ("quantity", None)],
)
def test_a_damaged_line_costs_its_own_picture_alone(
    folder: OutputFolder, name: str, value: object
) -> None:
    folder.add("whole.png", {"npy": METRIC}, quantity="depth", size=(40, 30))
    lines = (folder.path / "manifest.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    for record in records:
        if record["state"] == "done" and "whole" not in record["input"]["path"]:
            record["facts"][name] = value
    (folder.path / "manifest.jsonl").write_text("".join(f"{json.dumps(it)}\n" for it in records))
    result = invoke("gallery", folder.path, code=0 if name == "quantity" else 3)
    assert "Traceback" not in result.stderr
    assert "whole.png" in [card["data-name"] for card in cards(folder)]


@pytest.mark.parametrize(
    ("part", "value"), [("input", {"path": ["a"]}), ("input", {"path": "a"}), ("files", "none")]
)
def test_a_line_without_what_was_made_of_what_is_passed_over(
    folder: OutputFolder, part: str, value: object
) -> None:
    folder.add("whole.png", {"npy": METRIC}, quantity="depth", size=(40, 30))
    lines = (folder.path / "manifest.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    for record in records:
        if record["state"] == "done" and "whole" not in record["input"]["path"]:
            record[part] = dict.fromkeys(record[part], value) if part == "files" else value
    (folder.path / "manifest.jsonl").write_text("".join(f"{json.dumps(it)}\n" for it in records))
    invoke("gallery", folder.path)
    assert [card["data-name"] for card in cards(folder)] == ["whole.png"]


def test_depth_with_a_gallery(dpt: FrontDoor) -> None:
    dpt.photograph("photos/a.png")
    result = dpt("depth", "photos", "-o", "out", "--gallery")
    assert set(paths(result)) == {"out/a_depth.png", "out/a_depth16.png", "out/index.html"}
    dpt("depth", ".", "-o", "again")
    # Photographs are not sought among the gallery's files, nor maps.
    assert [path.name for path in Path("again").rglob("*.png")] == ["a_depth.png"]


def test_segment_with_a_gallery(dpt: FrontDoor) -> None:
    dpt.photograph("photos/a.png")
    result = dpt("segment", "photos", "-o", "out", "--gallery", "--format", "npy")
    assert set(paths(result)) == {"out/a_labels.npy", "out/index.html"}
    Path("out/index.html").write_text("mine")
    requests = len(dpt.hub.requests)
    dpt("segment", "photos", "-o", "out", "--gallery", "--format", "color", code=1)
    assert len(dpt.hub.requests) == requests
    assert not Path("out/a_color.png").exists()


def test_a_gallery_needs_a_folder(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    dpt("depth", "a.png", "-o", "a_depth.png", "--gallery", code=2)
