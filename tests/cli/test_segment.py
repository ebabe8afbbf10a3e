"""`dpt segment`: overlay, labels, colours, numbers."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from dpt_cli.maps.ade20k import COLORS, NAMES
from front_door import FrontDoor, invoke, paths, picture, pixels

WIDTH, HEIGHT = 130, 97
PALETTE = np.array(COLORS, np.uint8)

Labels = npt.NDArray[np.uint8]


@pytest.fixture
def labels(dpt: FrontDoor) -> Labels:
    """Segment a photograph into every format; return its labels."""
    dpt.photograph("a.png", WIDTH, HEIGHT)
    dpt("segment", "a.png", "-o", "out", "--format", "overlay,labels,color,npy")
    read: Labels = np.load("out/a_labels.npy")
    return read


@pytest.fixture
def chosen(labels: Labels) -> list[int]:
    """Return the two classes that cover most."""
    order = np.argsort(-np.bincount(labels.ravel()))
    return [int(index) for index in order[:2]]


def repainted(dpt: FrontDoor, kind: str, *options: str) -> Labels:
    (path,) = paths(dpt("segment", "a.png", "-o", "again", "--format", kind, *options))
    return np.asarray(pixels(Path(path))[:HEIGHT, :WIDTH])


def test_the_overlay_is_written_alone_unless_asked(dpt: FrontDoor) -> None:
    dpt.photograph("photos/b/a.png")
    result = dpt("segment", "photos", "-o", "out")
    assert paths(result) == ["out/b/a_segment.png"]
    assert "numbers: ADE20K classes" in result.stderr


def test_npy_is_zero_based_uint8_in_the_photographs_size(labels: Labels) -> None:
    assert labels.dtype == np.uint8
    assert labels.shape == (HEIGHT, WIDTH)
    assert labels.max() < len(NAMES)
    assert len(np.unique(labels)) > 5


def test_labels_are_a_palette_png_that_counts_from_1(labels: Labels) -> None:
    with Image.open("out/a_labels.png") as image:
        assert image.mode == "P"
        palette = image.getpalette()
        np.testing.assert_array_equal(np.asarray(image), labels + 1)
    assert palette is not None
    assert palette[:3] == [0, 0, 0]
    assert palette[3:453] == PALETTE.ravel().tolist()


def test_color_is_each_class_in_its_colour(labels: Labels) -> None:
    np.testing.assert_array_equal(pixels(Path("out/a_color.png")), PALETTE[labels])


def test_the_overlay_is_half_photograph_half_colour(labels: Labels) -> None:
    overlay = pixels(Path("out/a_segment.png"))
    blend = 0.5 * picture(WIDTH, HEIGHT, seed=len("a.png")) + 0.5 * PALETTE[labels]
    # Rounding to whole levels.
    np.testing.assert_allclose(overlay[:HEIGHT, :WIDTH], blend, atol=0.5)


def test_the_legend_stands_beside_the_picture(labels: Labels) -> None:
    legend = pixels(Path("out/a_segment.png"))[:, WIDTH:]
    largest = PALETTE[np.bincount(labels.ravel()).argmax()]
    assert (legend == largest).all(-1).any()


@pytest.mark.parametrize("opacity", ["0", "1"])
def test_opacity_runs_from_photograph_to_colour(
    dpt: FrontDoor, labels: Labels, opacity: str
) -> None:
    ends = {"0": picture(WIDTH, HEIGHT, seed=len("a.png")), "1": PALETTE[labels]}
    overlay = repainted(dpt, "overlay", "--opacity", opacity)
    np.testing.assert_array_equal(overlay, ends[opacity])


@pytest.mark.parametrize("kind", ["overlay", "color"])
def test_classes_restrict_what_is_painted(
    dpt: FrontDoor, labels: Labels, chosen: list[int], kind: str
) -> None:
    names = ",".join(NAMES[index].upper() for index in chosen)
    some = repainted(dpt, kind, "--classes", names)
    every = pixels(Path("out") / f"a_{'segment' if kind == 'overlay' else kind}.png")
    is_chosen = np.isin(labels, chosen)
    plain = picture(WIDTH, HEIGHT, seed=len("a.png")) if kind == "overlay" else np.zeros(3)
    expected = np.where(is_chosen[..., None], every[:HEIGHT, :WIDTH], plain)
    np.testing.assert_array_equal(some, expected)


def test_classes_do_not_touch_the_labels(dpt: FrontDoor, labels: Labels) -> None:
    some = repainted(dpt, "labels", "--classes", "sky")
    np.testing.assert_array_equal(some, labels + 1)


@pytest.mark.parametrize(("typo", "name"), [("skyy", "sky"), ("sky,persn", "person")])
def test_a_mistyped_class_gets_a_suggestion(dpt: FrontDoor, typo: str, name: str) -> None:
    dpt.photograph("a.png")
    assert f"Did you mean '{name}'" in dpt("segment", "a.png", "--classes", typo, code=2).stderr


@pytest.mark.parametrize("kind", ["labels", "npy", "stats"])
def test_a_file_that_holds_all_classes_is_reported_with_classes(dpt: FrontDoor, kind: str) -> None:
    dpt.photograph("a.png")
    words = ("segment", "a.png", "--classes", "sky", "--format")
    assert f"--classes does not apply to {kind}" in dpt(*words, f"overlay,{kind}").stderr
    assert "--classes" not in dpt(*words, "overlay,color,side,masks,coco").stderr


def test_classes_are_listed_in_the_order_of_their_numbers() -> None:
    result = invoke("segment", "--list-classes")
    assert tuple(result.stdout.splitlines()) == NAMES
    assert result.stderr == ""


def test_without_a_legend_the_overlay_has_the_photographs_size(
    dpt: FrontDoor, labels: Labels
) -> None:
    with_legend = pixels(Path("out/a_segment.png"))
    (path,) = paths(dpt("segment", "a.png", "-o", "plain", "--no-legend"))
    np.testing.assert_array_equal(pixels(Path(path)), with_legend[:HEIGHT, :WIDTH])
    assert "legend" not in dpt("segment", "a.png", "-o", "plain", "--no-legend").stderr
    assert not paths(dpt("segment", "a.png", "-o", "plain", "--no-legend"))  # done before
    assert paths(dpt("segment", "a.png", "-o", "plain"))  # another picture, so made again


@pytest.mark.parametrize("option", [("--no-legend",), ("--label-base", "0")])
def test_an_option_without_effect_is_reported(dpt: FrontDoor, option: tuple[str, ...]) -> None:
    dpt.photograph("a.png")
    words = ("segment", "a.png", *option, "--format")
    assert f"{option[0]} has no effect" in dpt(*words, "color").stderr
    assert "no effect" not in dpt(*words, "overlay,labels").stderr


def test_an_output_files_name_chooses_its_format(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    dpt("segment", "a.png", "-o", "out", "--format", "labels,npy")
    for name in ("x_labels.png", "x.npy"):
        dpt("segment", "a.png", "-o", name)
    assert Path("x_labels.png").read_bytes() == Path("out/a_labels.png").read_bytes()
    assert Path("x.npy").read_bytes() == Path("out/a_labels.npy").read_bytes()
    assert ".jpg" in dpt("segment", "a.png", "-o", "x.jpg", code=2).stderr
