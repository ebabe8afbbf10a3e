"""`--protocol hub` gives the maps of transformers, with its processor and its network."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import dpt_cli

# `published` comes before transformers; see tests/model/test_transformers.py.
from dpt_cli.checkpoint.registry import load_registry
from dpt_cli.checkpoint.specs import CheckpointSpec, Task
from dpt_cli.doctor.golden import Golden
from dpt_cli.engine.torch.engine import TorchEngine
from dpt_cli.errors import ArgumentError
from dpt_cli.photos.decode import Photo
from dpt_cli.predict.predictor import Predictor, prepare
from front_door import RGB, FrontDoor, invoke, picture
from loopback_hub import sha256_of
from published import CONFIGS, authors_checkpoint, network, to_transformers
from small_models import COMMIT, REPO, SIDE_PX, hub_source, row, safe

transformers = pytest.importorskip("transformers")

# Only the order of float32 sums differs, as in tests/model/test_transformers.py.
TOLERANCE = 1e-5
SIZES = [(640, 480), (97, 211), (30, 1000), (SIDE_PX, SIDE_PX), (1, 1)]
_HEAD = {"depth": "depth", "segment": "segmentation"}


def hub_row(task: Task) -> CheckpointSpec:
    """Return the row of a repository of Intel's, with a small network."""
    large = load_registry().find(task, "large")
    return replace(
        large,
        architecture=CONFIGS[f"small-vit-{_HEAD[task]}"],
        input=replace(large.input, target_hw=(SIDE_PX, SIDE_PX)),
    ).as_on_the_hub()


def processor() -> Any:
    """Return transformers' processor with the settings of Intel's repositories."""
    side = {"height": SIDE_PX, "width": SIDE_PX}
    settings = {"size": side, "resample": 2, "keep_aspect_ratio": False, "ensure_multiple_of": 1}
    return transformers.DPTImageProcessorPil(
        **settings, image_mean=[0.5] * 3, image_std=[0.5] * 3, do_pad=False
    )


def their_network(task: Task) -> Any:
    """Return transformers' small network, with the weights of ours under its own names."""
    options = {
        **{"hidden_size": 48, "num_hidden_layers": 4, "num_attention_heads": 4},
        **{"intermediate_size": 192, "image_size": SIDE_PX, "fusion_hidden_size": 32},
        **{"backbone_out_indices": [0, 1, 2, 3], "neck_hidden_sizes": [16, 24, 32, 40]},
    }
    kind = transformers.DPTForDepthEstimation
    if task == "segment":
        options |= {"use_batch_norm_in_fusion_residual": True, "num_labels": 7}
        kind = transformers.DPTForSemanticSegmentation
    built = kind(transformers.DPTConfig(**options))
    head = _HEAD[task]
    checkpoint = to_transformers(authors_checkpoint(f"small-vit-{head}"), f"large-{head}")
    built.load_state_dict(checkpoint, strict=True)
    return built.eval()


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_photograph_is_prepared_as_by_transformers(size: tuple[int, int]) -> None:
    rgb = picture(*size)
    ours = prepare(Photo(rgb, None), hub_row("depth")).image
    theirs = processor()(images=Image.fromarray(rgb), return_tensors="np")["pixel_values"][0]
    # The resized 8 bits are the same; their normalisation is in float32, ours in float64.
    np.testing.assert_allclose(ours, theirs, atol=5e-7, rtol=0)


@torch.inference_mode()
def both(task: Task, rgb: RGB) -> tuple[Any, Any]:
    """Return our map of a photograph and the outputs of transformers' network for it."""
    engine = TorchEngine(network(f"small-vit-{_HEAD[task]}"), "cpu", "fp32")
    ours = Predictor[Any](hub_row(task), engine, "formula")(rgb)
    inputs = processor()(images=Image.fromarray(rgb), return_tensors="pt")
    return ours, their_network(task)(**inputs)


def test_depth_is_the_depth_of_transformers() -> None:
    rgb = picture(160, 121)
    ours, theirs = both("depth", rgb)
    (expected,) = processor().post_process_depth_estimation(theirs, target_sizes=[rgb.shape[:2]])
    values = expected["predicted_depth"].numpy()
    assert ours.network_hw == (SIDE_PX, SIDE_PX)
    assert ours.provenance.protocol == "hub"
    assert np.linalg.norm(ours.values - values) <= TOLERANCE * np.linalg.norm(values)


def test_labels_are_the_labels_of_transformers() -> None:
    rgb = picture(160, 121)
    ours, theirs = both("segment", rgb)
    (labels,) = processor().post_process_semantic_segmentation(theirs, [rgb.shape[:2]])
    assert len(np.unique(ours.labels)) > 1
    # Rounding decides between classes that tie.
    assert np.mean(ours.labels == labels.numpy()) >= 0.999


@pytest.fixture
def on_the_hub(dpt: FrontDoor) -> FrontDoor:
    source = dpt.hub_source("depth/model.safetensors")
    dpt.rows(
        depth={
            "small": row("depth", [source], default=True, hub_protocol=True),
            "plain": row("depth", [source]),
        }
    )
    dpt.photograph("a.png", 150, 97)
    return dpt


def test_the_command_squashes_the_photograph_and_says_so(on_the_hub: FrontDoor) -> None:
    words = ("depth", "a.png", "--format", "npy,color", "-o")
    on_the_hub(*words, "hub", "--protocol", "hub")
    on_the_hub(*words, "authors")
    hub, authors = (np.load(Path(it) / "a_depth.npy") for it in ("hub", "authors"))
    assert hub.shape == authors.shape
    assert np.abs(hub - authors).max() > 1e-3 * np.abs(authors).max()
    with Image.open("hub/a_depth.png") as image:
        assert image.info["dpt:protocol"] == "hub"
        assert image.info["dpt:network_hw"] == f"{SIDE_PX} {SIDE_PX}"
    with Image.open("authors/a_depth.png") as image:
        assert "dpt:protocol" not in image.info
    # Another protocol is another map, so it is made again.
    assert on_the_hub(*words, "hub").stdout
    # Python gives the same.
    made = dpt_cli.load("small", registry=on_the_hub.registry, protocol="hub")("a.png")
    np.testing.assert_array_equal(made.values, hub)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--model", "plain"), "depth/plain"),
        (("--resolution", "64"), "--resolution"),
        (("--multiple-of", "32"), "--multiple-of"),
    ],
)
def test_what_the_protocol_cannot_do_is_refused(
    on_the_hub: FrontDoor, words: tuple[str, ...], named: str
) -> None:
    result = on_the_hub("depth", "a.png", "--protocol", "hub", *words, code=2)
    assert named in result.stderr
    assert not Path("dpt-out").exists()


def test_a_mistyped_protocol_is_refused() -> None:
    with pytest.raises(ArgumentError, match="there are 'authors', 'hub'"):
        dpt_cli.load("tiny", protocol="HF")  # type: ignore[call-overload]
    invoke("depth", "a.png", "--protocol", "HF", code=2)


@pytest.mark.parametrize("is_right", [True, False])
def test_the_doctor_compares_with_values_that_transformers_recorded(
    dpt: FrontDoor, monkeypatch: pytest.MonkeyPatch, is_right: bool
) -> None:
    checkpoint = to_transformers(authors_checkpoint("small-vit-depth"), "large-depth")
    dpt.hub.add(REPO, COMMIT, "vit/model.safetensors", safe(checkpoint))
    small = asdict(CONFIGS["small-vit-depth"])
    shape = {key: small[key] for key in ("vit", "hooks", "reassemble_widths", "features")}
    source = hub_source("vit/model.safetensors", sha256=sha256_of(safe(checkpoint)))
    architecture = {"preset": "large-depth", **shape}
    dpt.rows(depth={"vit": row("depth", [source], architecture=architecture, hub_protocol=True)})
    invoke("models", "pull", "depth/vit", "--registry", dpt.registry)
    cats = dpt.photograph("cats.png", 640, 480)

    inputs = processor()(images=Image.open(cats), return_tensors="pt")
    with torch.inference_mode():
        output = their_network("depth")(**inputs)["predicted_depth"][0, :3, :3].numpy()
    corner = (output + (0 if is_right else 0.01)).tolist()
    golden = Golden("depth/vit", REPO, corner)
    monkeypatch.setattr("dpt_cli.doctor.golden.GOLDENS", [golden])
    monkeypatch.setattr("dpt_cli.doctor.examine.check_engines", lambda _row: [])
    monkeypatch.setattr("dpt_cli.doctor.environment.PACKAGES", {})

    def found(*words: str | Path, code: int = 0) -> dict[str, Any]:
        report = json.loads(dpt("doctor", "--offline", "--json", *words, code=code).stdout)
        (check,) = (it for it in report["checks"] if it["group"] == "published values")
        return dict(check)

    check = found("--picture", cats, code=0 if is_right else 1)
    assert check["status"] == ("pass" if is_right else "fail")
    assert (check["difference"] <= check["limit"]) is is_right
    assert found()["status"] == "not run"
    assert found("--picture", dpt.photograph("other.png", 64, 48))["status"] == "not run"
