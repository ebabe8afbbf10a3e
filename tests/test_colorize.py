"""Colours: which end is bright, which class is which, what the legend shows and hides."""

import subprocess
import sys

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pytest

from dpt_cli.errors import InputError
from dpt_cli.maps import DepthMap, LabelMap, Quantity
from dpt_cli.maps.ade20k import COLORS, NAMES
from dpt_cli.maps.colormaps import TABLES
from dpt_cli.maps.colors import (
    colorize_depth,
    colorize_labels,
    colormap_table,
    overlay_labels,
    with_legend,
)

NAN, INF = float("nan"), float("inf")
SKY, FLOOR, TREE, PERSON = (NAMES.index(name) for name in ("sky", "floor", "tree", "person"))
Rgb = npt.NDArray[np.uint8]


def depth_map(values: object, quantity: Quantity = "inverse_depth") -> DepthMap:
    return DepthMap(np.asarray(values, np.float32), quantity)


def label_map(labels: object) -> LabelMap:
    return LabelMap(np.asarray(labels, np.uint8))


def photograph(height: int, width: int) -> Rgb:
    return np.random.default_rng(seed=0).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("name", [*TABLES, "tab10", "viridis_r", "coolwarm_r"])
def test_a_table_is_matplotlibs(name: str) -> None:
    table = colormap_table(name)
    assert table.dtype == np.uint8
    rgba = mpl.colormaps[name](np.linspace(0, 1, 256))
    np.testing.assert_array_equal(table, np.rint(np.asarray(rgba)[:, :3] * 255))


@pytest.mark.parametrize(
    ("name", "hint"),
    [("infermo", "mean 'inferno'"), ("cmrmap", "mean 'CMRmap'"), ("qqqq", "try inferno")],
)
def test_an_unknown_colormap_is_named_with_a_way_out(name: str, hint: str) -> None:
    with pytest.raises(InputError, match=f"unknown colormap '{name}': .*{hint}"):
        colormap_table(name)


@pytest.mark.parametrize(
    ("name", "unwanted"), [("gray_r", "matplotlib"), ("bone", "matplotlib.pyplot")]
)
def test_a_table_loads_no_more_of_matplotlib_than_it_needs(name: str, unwanted: str) -> None:
    code = (
        f"import sys; from dpt_cli.maps.colors import colormap_table; colormap_table({name!r});"
        f"sys.exit({unwanted!r} in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([[1, 2], [-3, NAN]], (-3, 2)),
        ([[5]], (5, 5)),
        ([[INF, 1, -INF]], (1, 1)),
        ([[NAN, INF]], None),
        (np.empty((0, 4)), None),
        (np.arange(1000).reshape(200, 5), (0, 999)),
    ],
)
def test_the_range_is_that_of_finite_values(
    values: object, expected: tuple[float, float] | None
) -> None:
    found = depth_map(values).span
    assert found == expected


@pytest.mark.parametrize(
    ("quantity", "invert", "expected"),
    [
        ("inverse_depth", False, [0, 128, 255]),
        ("inverse_depth", True, [255, 127, 0]),
        ("depth", False, [255, 128, 0]),
        ("depth", True, [0, 127, 255]),
    ],
)
def test_near_is_bright_unless_inverted(
    quantity: Quantity, invert: bool, expected: list[int]
) -> None:
    rgb = colorize_depth(depth_map([[2, 3, 4]], quantity), "gray", invert=invert)
    assert rgb[0].tolist() == [[level] * 3 for level in expected]


def test_every_pixel_gets_the_colour_of_its_nearness() -> None:
    values = np.random.default_rng(seed=0).normal(size=(150, 40)).astype(np.float32)
    share = (values.astype(float) - values.min()) / (float(values.max()) - values.min())
    expected = colormap_table("inferno")[np.rint(share * 255).astype(int)]
    np.testing.assert_array_equal(colorize_depth(depth_map(values)), expected)


@pytest.mark.parametrize("quantity", ["inverse_depth", "depth"])
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([NAN, INF, -INF], [(0, 0, 0)] * 3),
        ([7, 7, NAN], [tuple(colormap_table("viridis")[0])] * 2 + [(0, 0, 0)]),
    ],
    ids=["nothing finite", "constant"],
)
@pytest.mark.parametrize("invert", [False, True])
def test_maps_without_a_range_get_the_first_colour(
    values: list[float], expected: list[tuple[int, ...]], quantity: Quantity, invert: bool
) -> None:
    rgb = colorize_depth(depth_map([values], quantity), "viridis", invert=invert)
    assert [tuple(color) for color in rgb[0]] == expected


@pytest.mark.parametrize("quantity", ["inverse_depth", "depth"])
def test_pixels_that_are_not_finite_are_black(quantity: Quantity) -> None:
    rgb = colorize_depth(depth_map([[NAN, 1, INF, 2, -INF]], quantity), "Reds_r")
    assert (rgb.sum(axis=2)[0] == 0).tolist() == [True, False, True, False, True]


def test_the_widest_range_does_not_overflow() -> None:
    rgb = colorize_depth(depth_map([[-3e38, 0, 3e38]]), "gray")
    assert rgb[0, :, 0].tolist() == [0, 128, 255]


def test_every_class_has_its_ade20k_colour() -> None:
    rgb = colorize_labels(label_map(np.arange(150).reshape(10, 15)))
    np.testing.assert_array_equal(rgb.reshape(-1, 3), COLORS)


@pytest.mark.parametrize("classes", [[TREE], {SKY, TREE}, frozenset[int]()])
def test_classes_that_are_not_selected_are_black(classes: list[int]) -> None:
    rgb = colorize_labels(label_map([[SKY, TREE, PERSON]]), classes)
    expected = [COLORS[label] if label in classes else (0, 0, 0) for label in (SKY, TREE, PERSON)]
    assert [tuple(color) for color in rgb[0]] == expected


@pytest.mark.parametrize("opacity", [0, 0.25, 0.5, 1])
def test_an_overlay_is_blended(opacity: float) -> None:
    labels = np.random.default_rng(seed=1).integers(0, 150, (130, 20))
    rgb = photograph(130, 20)
    blended = overlay_labels(rgb, label_map(labels), opacity)
    expected = rgb * (1 - opacity) + np.array(COLORS)[labels] * opacity
    # Half a level of rounding.
    np.testing.assert_allclose(blended, expected, atol=0.5 + 1e-4)


def test_an_overlay_leaves_the_photograph_alone() -> None:
    rgb = photograph(4, 4)
    before = rgb.copy()
    overlay_labels(rgb, label_map(np.full((4, 4), TREE)))
    np.testing.assert_array_equal(rgb, before)


def test_pixels_that_are_not_selected_keep_the_photograph() -> None:
    labels = np.random.default_rng(seed=1).choice([SKY, TREE], (130, 20))
    rgb = photograph(130, 20)
    blended = overlay_labels(rgb, label_map(labels), 0.7, [TREE])
    np.testing.assert_array_equal((blended == rgb).all(axis=2) | (labels == TREE), True)
    np.testing.assert_array_equal(blended[labels == SKY], rgb[labels == SKY])
    assert (blended[labels == TREE] != rgb[labels == TREE]).any()


@pytest.mark.parametrize(
    ("height", "opacity", "message"), [(3, 0.5, "labels are"), (2, 1.5, "not 1.5"), (2, -1, "-1")]
)
def test_what_does_not_fit_is_refused(height: int, opacity: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        overlay_labels(photograph(height, 2), label_map(np.zeros((2, 2))), opacity)


def shares(height: int, width: int, percent: dict[int, float]) -> LabelMap:
    """Return a map in which each class covers its percentage; the first covers the rest too."""
    labels = np.full(height * width, next(iter(percent)))
    at = 0
    for label, share in list(percent.items())[1:]:
        count = round(height * width * share / 100)
        labels[at : at + count] = label
        at += count
    return label_map(labels.reshape(height, width))


def swatch(panel: Rgb, label: int) -> tuple[int, int] | None:
    """Return the top and left of a class's colour in a panel."""
    rows, columns = np.nonzero((panel == COLORS[label]).all(axis=2))
    # Antialiased letters are grey; a swatch is a filled box.
    return (int(rows.min()), int(columns.min())) if rows.size > 50 else None


SIZES = pytest.mark.parametrize(
    "size", [(300, 200), (200, 300), (2000, 1500), (100, 3000), (900, 60)], ids=str
)


@SIZES
def test_the_picture_stays_whole_beside_its_legend(size: tuple[int, int]) -> None:
    picture = photograph(*size)
    result = with_legend(picture, shares(*size, {SKY: 60, TREE: 40}))
    assert result.shape[0] == size[0]
    assert result.shape[1] > size[1]
    np.testing.assert_array_equal(result[: size[0], : size[1]], picture)


@SIZES
def test_the_legend_lists_the_largest_class_first(size: tuple[int, int]) -> None:
    result = with_legend(photograph(*size), shares(*size, {TREE: 20, PERSON: 30, SKY: 50}))
    places = [swatch(result[:, size[1] :], label) for label in (SKY, PERSON, TREE)]
    # By column, then by row: a low picture has several columns.
    assert None not in places
    order = [(place[1], place[0]) for place in places if place]
    assert order == sorted(order)


@pytest.mark.parametrize(
    ("options", "listed"),
    [
        ({}, {SKY, TREE}),
        ({"min_share": 0.3}, {SKY}),
        ({"min_share": 0}, {SKY, TREE, PERSON}),
        ({"classes": [TREE, PERSON]}, {TREE}),
        ({"classes": [TREE, PERSON], "min_share": 0.001}, {TREE, PERSON}),
    ],
)
def test_the_legend_lists_selected_classes_of_enough_share(
    options: dict[str, float], listed: set[int]
) -> None:
    labels = shares(200, 300, {SKY: 79.1, TREE: 20, PERSON: 0.9})
    result = with_legend(photograph(200, 300), labels, **options)  # type: ignore[arg-type]
    found = {label for label in (SKY, TREE, PERSON, FLOOR) if swatch(result[:, 300:], label)}
    assert found == listed


def test_a_class_of_exactly_the_least_share_is_listed() -> None:
    result = with_legend(photograph(200, 300), shares(200, 300, {SKY: 99, TREE: 1}))
    assert swatch(result[:, 300:], TREE)


def test_a_picture_with_nothing_to_list_has_no_legend() -> None:
    picture = photograph(20, 30)
    result = with_legend(picture, label_map(np.full((20, 30), SKY)), classes=[TREE])
    np.testing.assert_array_equal(result, picture)


@pytest.mark.parametrize("size", [(150, 300), (1000, 1500), (3000, 8000)], ids=str)
def test_the_letters_grow_with_the_picture(size: tuple[int, int]) -> None:
    picture = np.zeros((*size, 3), np.uint8)
    panel = with_legend(picture, label_map(np.full(size, SKY)))[:, size[1] :]
    box = swatch(panel, SKY)
    assert box is not None
    # Letters begin to the right of the swatch, which is less than a fifth of the panel wide.
    ink = panel[:, box[1] + panel.shape[1] // 5 :].max(axis=2) < 128
    ink_rows = np.flatnonzero(np.any(ink, axis=1))
    letter_px = ink_rows.max() - ink_rows.min()
    # Shown 1000 px wide, letters are 7 to 20 px high: never less than 7 px of the file itself.
    assert letter_px >= 7
    assert 7 <= letter_px / max(1, size[1] / 1000) <= 20


def test_every_class_fits_on_the_canvas() -> None:
    labels = label_map(np.repeat(np.arange(150), 20).reshape(60, 50))
    result = with_legend(photograph(60, 50), labels, min_share=0)
    assert result.shape[0] == 60
    assert all(swatch(result[:, 50:], label) for label in range(150))
    # Nothing is cut off: the last row and column are paper.
    assert (result[-1, 50:] == 255).all()
    assert (result[:, -1] == 255).all()


def test_a_very_low_picture_gets_a_taller_canvas() -> None:
    picture = photograph(5, 400)
    result = with_legend(picture, label_map(np.full((5, 400), SKY)))
    np.testing.assert_array_equal(result[:5, :400], picture)
    assert swatch(result[:, 400:], SKY)
    assert (result[5:, :400] == 255).all()
