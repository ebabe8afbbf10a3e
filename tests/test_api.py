"""`dpt_cli.load`: the same maps from Python."""

import dataclasses
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

import dpt_cli
from dpt_cli.engine import RawOutput
from dpt_cli.errors import (
    CheckpointError,
    DeviceError,
    DptError,
    FetchError,
    InputError,
    OutOfMemoryError,
    OutputError,
    RegistryError,
)
from dpt_cli.maps import Quantity
from dpt_cli.maps.ade20k import NAMES
from dpt_cli.maps.colors import colorize_depth, colorize_labels
from dpt_cli.pipeline.events import Done
from dpt_cli.predict.pictures import as_photo
from front_door import FrontDoor, paths, picture
from small_models import files

WIDTH, HEIGHT = 130, 97
RGB = picture(WIDTH, HEIGHT)


def test_a_depth_predictor_gives_the_map_of_the_command(dpt: FrontDoor) -> None:
    photograph = dpt.photograph("a.png", WIDTH, HEIGHT)
    (path,) = paths(dpt("depth", photograph, "-o", "out", "--format", "npy"))
    depth_map = dpt_cli.load(registry=dpt.registry)(dpt_cli.read_rgb(photograph))
    assert isinstance(depth_map, dpt_cli.DepthMap)
    np.testing.assert_array_equal(depth_map.values, np.load(path))
    assert (depth_map.unit, depth_map.network_hw, depth_map.precision) == (
        "relative",
        (96, 128),
        "fp32",
    )
    assert depth_map.weights.startswith("depth/small from Somebody/small-dpt@")


def test_a_segmentation_predictor_gives_the_labels_of_the_command(dpt: FrontDoor) -> None:
    photograph = dpt.photograph("a.png", WIDTH, HEIGHT)
    (path,) = paths(dpt("segment", photograph, "-o", "out", "--format", "npy"))
    predictor = dpt_cli.load("small", task="segment", registry=str(dpt.registry))
    label_map = predictor(dpt_cli.read_rgb(photograph))
    assert isinstance(label_map, dpt_cli.LabelMap)
    np.testing.assert_array_equal(label_map.labels, np.load(path))


def test_metric_weights_say_metres(dpt: FrontDoor) -> None:
    depth_map = dpt_cli.load("metric", registry=dpt.registry)(RGB)
    assert (depth_map.is_metric, depth_map.unit) == (True, "m")


@pytest.mark.parametrize(
    ("options", "network_hw"),
    [
        ({"resolution": 64}, (64, 80)),
        ({"resolution": (64, 160)}, (112, 160)),
        ({"multiple_of": 32}, (96, 128)),
    ],
)
def test_the_network_size_follows_the_options(
    dpt: FrontDoor, options: dict[str, Any], network_hw: tuple[int, int]
) -> None:
    predictor = dpt_cli.load(weights=dpt.weights(), registry=dpt.registry, **options)
    assert predictor(RGB).network_hw == network_hw


@pytest.mark.parametrize(
    "array",
    [
        RGB.astype(np.float32),
        RGB[..., 0],
        np.dstack([RGB, RGB[..., :1]]),
        RGB[:0],
        RGB.transpose(2, 0, 1),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_another_array_is_refused(dpt: FrontDoor, array: npt.NDArray[Any]) -> None:
    predictor = dpt_cli.load(weights=dpt.weights(), registry=dpt.registry)
    with pytest.raises(ValueError, match=r"expected uint8 \(H, W, 3\), got "):
        predictor(array)


@pytest.mark.parametrize("view", [RGB[:, ::-1], RGB[::2, ::3], RGB[..., ::-1]])
def test_views_give_the_map_of_their_copy(dpt: FrontDoor, view: npt.NDArray[np.uint8]) -> None:
    predictor = dpt_cli.load(weights=dpt.weights(), registry=dpt.registry)
    np.testing.assert_array_equal(predictor(view).values, predictor(view.copy()).values)


def with_exif(orientation: int) -> Image.Image:
    """Return the photograph as a camera held sideways stores it, read by Pillow."""
    file = io.BytesIO()
    tags = Image.Exif()
    tags[0x0112] = orientation
    stored = RGB.transpose(1, 0, 2)[::-1] if orientation == 6 else RGB
    Image.fromarray(stored).save(file, "PNG", exif=tags)
    return Image.open(file)


def with_alpha() -> Image.Image:
    image = Image.fromarray(RGB)
    image.putalpha(7)
    return image


AT_HAND: dict[str, Callable[[Path], Any]] = {
    "path": lambda path: path,
    "text": str,
    "array": lambda _path: RGB,
    "pil image": lambda _path: Image.fromarray(RGB),
    "pil image with alpha": lambda _path: with_alpha(),
    "pil image of a camera held sideways": lambda _path: with_exif(6),
    "uint8 tensor": lambda _path: torch.from_numpy(RGB).permute(2, 0, 1),
    "float tensor": lambda _path: torch.from_numpy(RGB).permute(2, 0, 1) / 255,
    "float64 tensor": lambda _path: torch.from_numpy(RGB).permute(2, 0, 1).double() / 255,
    "tensor with a history": lambda _path: (
        torch.from_numpy(RGB).permute(2, 0, 1) / 255
    ).requires_grad_(),
}


@pytest.mark.parametrize("kind", AT_HAND)
def test_what_is_at_hand_is_the_same_photograph(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(RGB).save(path)
    np.testing.assert_array_equal(as_photo(AT_HAND[kind](path)).rgb, RGB)


def test_a_predictor_takes_a_path_an_image_or_a_tensor(dpt: FrontDoor) -> None:
    predictor = dpt_cli.load(weights=dpt.weights(), registry=dpt.registry)
    expected = predictor(RGB).values
    for kind in ("text", "pil image", "uint8 tensor"):
        path = dpt.desk / "a.png"
        Image.fromarray(RGB).save(path)
        np.testing.assert_array_equal(predictor(AT_HAND[kind](path)).values, expected)


@pytest.mark.parametrize(
    ("picture", "error", "reason"),
    [
        (torch.zeros(HEIGHT, WIDTH, 3), ValueError, r"tensor \(3, H, W\)"),
        (torch.full((3, 4, 4), 255.0), ValueError, "floats in 0 to 1, got 255 to 255"),
        (torch.full((3, 4, 4), float("nan")), ValueError, "floats in 0 to 1"),
        (torch.zeros((3, 4, 4), dtype=torch.int64), ValueError, "uint8 or floats, got int64"),
        (torch.zeros((2, 3, 4, 4)), ValueError, r"tensor \(3, H, W\)"),
        (Image.new("I;16", (4, 4)), ValueError, "mode I;16"),
        (Image.new("F", (4, 4)), ValueError, "mode F"),
        (7, TypeError, "got int"),
        (None, TypeError, "got NoneType"),
        ("nowhere.png", InputError, "nowhere.png: No such file"),
    ],
)
def test_what_is_no_photograph_is_refused(
    picture: Any, error: type[Exception], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        as_photo(picture)


def test_a_list_gives_a_list_in_its_order(dpt: FrontDoor) -> None:
    predictor = dpt_cli.load(weights=dpt.weights(), registry=dpt.registry)
    pictures: list[Any] = [
        picture(WIDTH, HEIGHT),
        picture(HEIGHT, WIDTH),
        Image.fromarray(RGB[:, ::-1]),
    ]
    pictures += [picture(WIDTH, HEIGHT, seed=seed) for seed in range(1, 4)]
    alone = [predictor(one) for one in pictures]
    for batch_size in (1, 2, 10):
        together = predictor(tuple(pictures), batch_size=batch_size)
        assert [one.values.shape for one in together] == [one.values.shape for one in alone]
        for one, expected in zip(together, alone, strict=True):
            # A batch has another order of float32 roundings; other photographs differ by 1e-2.
            np.testing.assert_allclose(one.values, expected.values, rtol=1e-4, atol=1e-6)
    assert predictor([]) == []
    with pytest.raises(ValueError, match="batch_size must be"):
        predictor(pictures, batch_size=0)


def test_a_batch_that_does_not_fit_is_halved(dpt: FrontDoor) -> None:
    predictor = dpt_cli.load(weights=dpt.weights(), registry=dpt.registry)
    sizes = []

    @dataclasses.dataclass
    class Small:
        """An engine with memory for two photographs."""

        name, device, precision, remark, num_at_once = "torch", "cpu", "fp32", "", 1

        def __call__(self, images: npt.NDArray[np.float32]) -> list[RawOutput]:
            sizes.append(len(images))
            if len(images) > 2:
                raise OutOfMemoryError("use a smaller --batch-size")
            return predictor.engine(images)

    small = dataclasses.replace(predictor, engine=Small())
    assert len(small([RGB] * 5, batch_size=5)) == 5
    assert sizes == [5, 2, 3, 1, 2]


def depth_map(quantity: Quantity = "inverse_depth") -> dpt_cli.DepthMap:
    values = np.linspace(1, 2, 200 * 100, dtype=np.float32).reshape(100, 200)
    return dpt_cli.DepthMap(values, quantity)


def label_map() -> dpt_cli.LabelMap:
    labels = (np.arange(100 * 200) * 3 // (100 * 200)).astype(np.uint8).reshape(100, 200)
    return dpt_cli.LabelMap(labels)


def test_a_depth_map_is_shown_in_the_commands_colours() -> None:
    for quantity in ("inverse_depth", "depth"):
        one = depth_map(quantity)
        np.testing.assert_array_equal(np.asarray(one.to_pil()), colorize_depth(one))
        inverted = colorize_depth(one, "magma", invert=True)
        np.testing.assert_array_equal(np.asarray(one.to_pil("magma", invert=True)), inverted)
    with pytest.raises(InputError, match="unknown colormap"):
        depth_map().to_pil("infermo")


def test_a_label_map_is_shown_in_ade20ks_colours() -> None:
    np.testing.assert_array_equal(np.asarray(label_map().to_pil()), colorize_labels(label_map()))
    sky = np.asarray(label_map().to_pil([2]))
    np.testing.assert_array_equal(sky, colorize_labels(label_map(), [2]))


@pytest.mark.parametrize("one", [depth_map(), depth_map("depth"), label_map()])
def test_a_notebook_gets_a_picture_of_bounded_size(
    one: dpt_cli.DepthMap | dpt_cli.LabelMap,
) -> None:
    with Image.open(io.BytesIO(one._repr_png_())) as image:
        np.testing.assert_array_equal(np.asarray(image), np.asarray(one.to_pil()))
    wide = dpt_cli.LabelMap(np.zeros((10, 5000), np.uint8))
    with Image.open(io.BytesIO(wide._repr_png_())) as image:
        assert image.width == 1024


@pytest.mark.parametrize(
    ("quantity", "label", "is_reversed"),
    [("inverse_depth", "larger is nearer", False), ("depth", "[m]", True)],
)
def test_a_plot_names_what_its_numbers_are(
    quantity: Quantity, label: str, is_reversed: bool
) -> None:
    figure = Figure()
    axes = depth_map(quantity).plot(figure.add_subplot(), "viridis")
    (image,) = axes.get_images()
    np.testing.assert_array_equal(image.get_array(), depth_map().values)
    # Near is bright.
    assert image.get_cmap().name == ("viridis_r" if is_reversed else "viridis")
    assert label in figure.axes[1].get_ylabel()


def test_a_plot_of_classes_has_a_legend_of_those_selected() -> None:
    axes = label_map().plot(Figure().add_subplot(), classes=[0, 2])
    legend = axes.get_legend()
    assert legend is not None
    assert {text.get_text() for text in legend.get_texts()} == {NAMES[0], NAMES[2]}


@pytest.mark.parametrize(
    ("options", "reasons"),
    [
        ({"device": "gpu"}, ("device 'gpu'", "mean 'cuda'", "'mps'")),
        ({"device": "cuda:x"}, ("device 'cuda:x'", "'cuda:N'")),
        ({"device": "cuda:N"}, ("device 'cuda:N'",)),
        ({"task": "segmentation"}, ("task 'segmentation'", "mean 'segment'", "'depth'")),
        ({"precision": "float16"}, ("precision 'float16'", "mean 'fp16'")),
        ({"engine": "onnx"}, ("engine 'onnx'", "'torch'", "'openvino'")),
        ({"resolution": "512x384"}, ("resolution", "(height, width)", "'512x384'")),
        ({"resolution": (512,)}, ("resolution", "(512,)")),
        ({"resolution": 0}, ("resolution", "at least 16")),
        ({"resolution": 38.4}, ("resolution", "38.4")),
        ({"multiple_of": 20}, ("multiple_of", "20")),
    ],
    ids=str,
)
def test_an_argument_that_cannot_be_is_named_with_those_that_can(
    options: dict[str, Any], reasons: tuple[str, ...]
) -> None:
    with pytest.raises(DptError) as caught:
        dpt_cli.load(**options)
    assert isinstance(caught.value, ValueError)
    message = str(caught.value)
    assert all(reason in message for reason in reasons), message
    assert "--" not in message
    assert "\n" not in message


def test_the_focal_length_of_a_photograph_reaches_its_map(dpt: FrontDoor) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = 50  # FocalLengthIn35mmFilm [mm]; film is 36 mm wide
    Image.fromarray(picture(90, 60)).save("a.jpg", exif=exif)
    predictor = dpt_cli.load(registry=dpt.registry)
    camera = predictor("a.jpg").camera
    assert camera is not None
    assert camera.focal_px == pytest.approx(50 / 36 * 90)
    assert camera.source == "exif"
    assert predictor(dpt_cli.read_rgb("a.jpg")).camera is None
    (line,) = dpt("depth", "a.jpg", "-o", "out", "--json").stdout.splitlines()
    assert json.loads(line)["camera"] == dataclasses.asdict(camera)


def test_without_a_model_the_one_that_the_weights_fit_is_taken(dpt: FrontDoor) -> None:
    # The metric model's published file has this name, and shares the default's architecture.
    weights = dpt.weights("small.pt", files("depth")["authors.pt"])
    assert dpt_cli.load(weights=weights, registry=dpt.registry).spec.name == "metric"
    photograph = dpt.photograph("a.png")
    (event,) = dpt_cli.run("depth", photograph, weights=weights, registry=dpt.registry)
    assert isinstance(event, Done)
    assert event.facts["model"] == "depth/metric"
    named = dpt_cli.load("small", weights=weights, registry=dpt.registry)
    assert named.spec.name == "small"


@pytest.mark.parametrize(
    "options",
    [
        {"precision": "int8", "engine": "torch"},
        {"weights": "nowhere.pt"},
        {"cuda_graphs": True, "device": "cpu"},
        {"device": "mps"},
        {"model": "unpublished"},
    ],
    ids=str,
)
def test_errors_of_load_name_no_command_line_options(
    dpt: FrontDoor, options: dict[str, Any]
) -> None:
    if options == {"device": "mps"} and torch.backends.mps.is_available():
        pytest.skip("this machine has such a device")
    with pytest.raises(DptError) as caught:
        dpt_cli.load(registry=dpt.registry, **options)
    assert "--" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"model": "smal"}, RegistryError),
        ({"weights": "nowhere.pt"}, FetchError),
        ({"offline": True}, FetchError),
        ({"weights": Path(__file__)}, CheckpointError),
        ({"device": "cuda:99"}, DeviceError),
    ],
    ids=str,
)
def test_what_goes_wrong_is_raised(
    dpt: FrontDoor, options: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        dpt_cli.load(registry=dpt.registry, **options)


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = dpt_cli.nonsense


def test_save_names_the_argument_that_replaces_a_file(tmp_path: Path) -> None:
    path = tmp_path / "old.npz"
    path.write_bytes(b"mine")
    depth_map = dpt_cli.DepthMap(np.ones((4, 5), np.float32), "depth", dpt_cli.Provenance())
    with pytest.raises(OutputError, match="overwrite=True"):
        dpt_cli.save(depth_map, path)
    assert path.read_bytes() == b"mine"


def test_save_names_calibrate_where_a_relative_map_cannot_become_points(tmp_path: Path) -> None:
    relative = dpt_cli.DepthMap(np.ones((4, 5), np.float32), "inverse_depth", dpt_cli.Provenance())
    with pytest.raises(ValueError, match=r"dpt_cli\.calibrate"):
        dpt_cli.save(relative, tmp_path / "x.ply")
    assert not list(tmp_path.iterdir())


def test_an_error_spells_options_as_arguments() -> None:
    with pytest.raises(DptError, match="name it with weights=FILE"):
        dpt_cli.load("anything-v2-base", task="depth")
