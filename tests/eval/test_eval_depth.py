"""`dpt eval depth` through the command line, on miniature data sets and a small network."""

import csv
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import scipy.stats

import dpt_cli
import miniature_datasets as miniature
from dpt_cli.maps import DepthMap
from front_door import FrontDoor, invoke, pixels

WEIGHTS = ("--model", "small", "--device", "cpu")


def evaluated(dpt: FrontDoor, *arguments: str | Path, code: int = 0) -> dict[str, Any]:
    result = dpt("eval", "depth", *arguments, "--json", code=code)
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def folders(dpt: FrontDoor, count: int = 3) -> tuple[Path, Path]:
    """Write photographs and their depth [mm] into two folders."""
    for seed in range(count):
        miniature.write_rgb(dpt.desk / f"photos/a{seed}.png", seed)
        miniature.write_png16(dpt.desk / f"truth/a{seed}.png", miniature.depth_m(seed), 1000)
    return dpt.desk / "photos", dpt.desk / "truth"


def test_the_numbers_are_those_of_the_map_aligned_by_another_package(dpt: FrontDoor) -> None:
    photos, truths = folders(dpt, 1)
    found = evaluated(dpt, photos, truths, "--truth-scale", "1000", "--cap", "4.5", *WEIGHTS)
    predictor = dpt_cli.load("small", device="cpu", registry=dpt.registry)
    inverse = predictor(photos / "a0.png").values.astype(np.float64)
    truth = pixels(truths / "a0.png") / 1000
    counts = (truth > 0) & (truth < 4.5)
    line = scipy.stats.linregress(inverse[counts], 1 / truth[counts])
    depth = 1 / np.maximum(line.slope * inverse[counts] + line.intercept, 1 / 4.5)
    ratio = np.maximum(depth / truth[counts], truth[counts] / depth)
    measures = found["results"][0]["measures"]
    # Both align in float64; the map is float32.
    assert measures["abs_rel"]["value"] == pytest.approx(
        np.mean(np.abs(depth - truth[counts]) / truth[counts]), rel=1e-6
    )
    assert measures["bad_pixels"]["value"] == pytest.approx(100 * np.mean(ratio > 1.25), abs=1e-9)
    assert found["results"][0]["num_pixels"] == counts.sum()


@pytest.mark.parametrize("dataset", miniature.DEPTH)
def test_each_data_set_in_its_publishers_layout(dpt: FrontDoor, dataset: str) -> None:
    root = dpt.desk / dataset
    miniature.DEPTH[dataset](root)
    found = evaluated(dpt, "--dataset", dataset, root, *WEIGHTS)["results"][0]
    assert found["num_failed"] == 0
    assert found["num_pictures"] == (2 if dataset == "middlebury" else 3)
    assert found["dataset"] == dataset
    assert all(entry["value"] is not None for entry in found["measures"].values())
    rows = {"eth3d": 3 * (miniature.HEIGHT - 1), "middlebury": 2 * (miniature.HEIGHT - 1)}
    if dataset in rows:  # infinity is no measurement
        assert found["num_pixels"] == rows[dataset] * miniature.WIDTH


@pytest.mark.parametrize("model", ["small", "metric"])
def test_kitti_by_both_protocols(dpt: FrontDoor, model: str) -> None:
    root = dpt.desk / "kitti"
    miniature.kitti(root)
    options = ("--dataset", "kitti", root, "--list", root / "eigen.txt", "--resolution", "96")
    found = evaluated(dpt, *options, "--model", model, "--device", "cpu")["results"][0]
    # The zero-shot protocol has the drives of the validation split alone.
    expected = {"small": ("zero-shot", 1, 360 * 1220), "metric": ("metric", 2, None)}[model]
    assert (found["protocol"], found["num_pictures"]) == expected[:2]
    assert found["num_pixels"] == (expected[2] or 2 * (357 - 146) * (1176 - 43))


def test_nyu_from_its_matlab_files(dpt: FrontDoor) -> None:
    pytest.importorskip("h5py", reason="reading NYU's file needs h5py")
    root = dpt.desk / "nyu"
    miniature.nyu(root)
    found = evaluated(dpt, "--dataset", "nyu", root, *WEIGHTS)["results"][0]
    # Two of three pictures are of the test split; raw depth, all of it measured.
    assert (found["num_pictures"], found["num_pixels"]) == (2, 2 * 480 * 640)
    metric = evaluated(dpt, "--dataset", "nyu", root, "--model", "metric", "--device", "cpu")
    assert metric["results"][0]["num_pixels"] == 2 * (471 - 45) * (601 - 41)


def test_a_picture_that_cannot_be_scored_is_named_and_the_rest_are_scored(dpt: FrontDoor) -> None:
    photos, truths = folders(dpt, 5)
    (truths / "a0.png").unlink()
    (photos / "a1.png").write_bytes(b"no picture")
    (truths / "a2.png").write_bytes(b"no picture")
    miniature.write_png16(truths / "a3.png", miniature.depth_m(3, 48, 48), 1000)
    result = dpt("eval", "depth", photos, truths, "--truth-scale", "1000", *WEIGHTS, code=3)
    for name in ("a0", "a1", "a2", "a3"):
        assert f"photos/{name}.png" in result.stderr
    assert "1 picture," in result.stdout
    assert "4 pictures not scored" in result.stdout


def test_a_map_in_place_of_a_photograph_is_refused_before_a_download(
    dpt: FrontDoor, home: Path
) -> None:
    photos, truths = folders(dpt, 1)
    dpt("depth", photos / "a0.png", "-o", "maps", "--format", "png16,npy", *WEIGHTS)
    for path in dpt.weights_in(home):
        path.unlink()
    dpt.hub.requests.clear()
    for name in ("a0_depth16.png", "a0_depth.npy"):
        pair = (f"maps/{name}", truths / "a0.png", "--truth-scale", "1000")
        error = dpt("eval", "depth", *pair, *WEIGHTS, code=1).stderr
        assert f"Failed: maps/{name}: " in error
        assert "--predictions FOLDER" in error
    assert dpt.hub.requests == []


@pytest.mark.parametrize("is_listed", [False, True])
def test_a_picture_is_never_its_own_truth(dpt: FrontDoor, is_listed: bool) -> None:
    _, truths = folders(dpt, 2)
    lines = ["photos/a0.png truth/a0.png", "truth/a1.png truth/../truth/a1.png"]
    (dpt.desk / "pairs.txt").write_text("\n".join(lines), encoding="utf-8")
    given = ("--pairs", "pairs.txt") if is_listed else (truths, truths)
    code = 3 if is_listed else 1
    result = dpt("eval", "depth", *given, "--truth-scale", "1000", *WEIGHTS, code=code)
    assert result.stderr.count("is both the photograph and its truth") == (1 if is_listed else 2)


def test_the_table_says_which_way_is_better(dpt: FrontDoor) -> None:
    text = dpt("eval", "depth", *folders(dpt, 1), "--truth-scale", "1000", *WEIGHTS).stdout
    assert "larger is better: δ1, δ2, δ3, boundary F1" in text
    assert "smaller is better: AbsRel" in text
    assert "\nboundary F1: " in text


def test_truth_that_is_no_map_of_numbers_is_refused_in_words(dpt: FrontDoor) -> None:
    photos, truths = folders(dpt, 3)
    for path in truths.glob("*.png"):
        path.unlink()
    np.save(truths / "a0.npy", np.full((48, 64), "far"))
    np.save(truths / "a1.npy", np.ones((48, 64), np.bool_))
    (truths / "a2.npz").write_bytes(b"PK\x03\x04 cut off")
    error = dpt("eval", "depth", photos, truths, *WEIGHTS, code=1).stderr
    assert [name in error for name in ("a0.npy: ", "a1.npy: ", "a2.npz: ")] == 3 * [True]
    assert "unexpected" not in error


@pytest.mark.parametrize("value", [0, 60000])
def test_a_truth_without_a_pixel_that_counts_is_an_error(dpt: FrontDoor, value: int) -> None:
    photos, truths = folders(dpt, 2)
    miniature.write_png16(truths / "a0.png", np.full((48, 64), value), 1)
    found = evaluated(dpt, photos, truths, "--truth-scale=1000", "--cap=10", *WEIGHTS, code=3)
    assert (found["results"][0]["num_pictures"], found["results"][0]["num_failed"]) == (1, 1)


def test_whole_numbers_without_a_scale_are_refused(dpt: FrontDoor) -> None:
    assert "--truth-scale" in dpt("eval", "depth", *folders(dpt), *WEIGHTS, code=1).stderr


def test_each_kind_of_truth_gives_the_same_numbers(dpt: FrontDoor) -> None:
    photos, truths = folders(dpt, 1)
    expected = evaluated(dpt, photos, truths, "--truth-scale", "1000", *WEIGHTS)["results"][0]
    depth = pixels(truths / "a0.png") / 1000
    for suffix in (".npy", ".npz", ".pfm", ".dpt", ".tiff", ".exr"):
        path = dpt.desk / f"truth{suffix}"
        if suffix == ".npy":
            np.save(path, depth)
        elif suffix == ".npz":
            np.savez(path, depth=depth, camera=np.eye(3)[0])
        elif suffix == ".tiff":
            cv2.imwrite(str(path), depth.astype(np.float32))
        elif suffix == ".exr":
            dpt_cli.save(DepthMap(depth.astype(np.float32), "depth"), path)
        else:
            {".pfm": miniature.write_pfm, ".dpt": miniature.write_dpt}[suffix](path, depth)
        found = evaluated(dpt, photos / "a0.png", path, *WEIGHTS)["results"][0]
        for name, entry in expected["measures"].items():
            value = found["measures"][name]["value"]
            # Some store float32.
            assert value == pytest.approx(entry["value"], rel=1e-5), (suffix, name)


def test_inverse_depth_may_be_the_truth(dpt: FrontDoor) -> None:
    photos, truths = folders(dpt, 1)
    expected = evaluated(dpt, photos, truths, "--truth-scale", "1000", *WEIGHTS)["results"][0]
    (dpt.desk / "inverse").mkdir()
    np.save(dpt.desk / "inverse/a0.npy", 1000 / pixels(truths / "a0.png"))
    options = ("--truth", "inverse-depth", *WEIGHTS)
    found = evaluated(dpt, photos, dpt.desk / "inverse", *options)["results"][0]
    assert found["measures"]["abs_rel"] == pytest.approx(expected["measures"]["abs_rel"])


def test_the_same_command_continues(dpt: FrontDoor) -> None:
    command = (*folders(dpt), "--truth-scale", "1000", *WEIGHTS)
    first = evaluated(dpt, *command)
    lines = (dpt.desk / "dpt-eval/scores.jsonl").read_text().splitlines(keepends=True)
    # As a kill leaves it: two lines, and half of the third.
    (dpt.desk / "dpt-eval/scores.jsonl").write_text("".join(lines[:2]) + lines[2][:50])
    assert evaluated(dpt, *command) == first
    again = (dpt.desk / "dpt-eval/scores.jsonl").read_text().splitlines(keepends=True)
    assert sorted(line for line in again if line.endswith("}\n")) == sorted(lines)


def test_what_changed_is_scored_again(dpt: FrontDoor) -> None:
    photos, truths = folders(dpt)
    command: list[str | Path] = [photos, truths, "--truth-scale", "1000", *WEIGHTS]

    def num_scored(*words: str) -> int:
        path = dpt.desk / "dpt-eval/scores.jsonl"
        before = len(path.read_text().splitlines()) if path.exists() else 0
        evaluated(dpt, *command, *words)
        return len(path.read_text().splitlines()) - before

    assert num_scored() == 3
    assert num_scored() == 0
    miniature.write_rgb(photos / "a1.png", 9)
    assert num_scored() == 1
    miniature.write_png16(truths / "a1.png", miniature.depth_m(9), 1000)
    assert num_scored() == 1
    for words in (("--truth-scale", "500"), ("--cap", "4"), ("--resolution", "64"), ("--force",)):
        assert num_scored(*words) == 3, words


def test_two_evaluations_do_not_share_a_folder(dpt: FrontDoor) -> None:
    from dpt_cli.evaluation.store import ScoreStore

    command = (*folders(dpt), "--truth-scale", "1000", *WEIGHTS)
    with ScoreStore(dpt.desk / "dpt-eval"):
        assert "another dpt" in dpt("eval", "depth", *command, code=1).stderr


def test_a_foreign_file_of_the_name_is_left_alone(dpt: FrontDoor) -> None:
    command = (*folders(dpt), "--truth-scale", "1000", *WEIGHTS)
    (dpt.desk / "dpt-eval").mkdir()
    (dpt.desk / "dpt-eval/scores.jsonl").write_text("mine\n")
    dpt("eval", "depth", *command, code=1)
    assert (dpt.desk / "dpt-eval/scores.jsonl").read_text() == "mine\n"


def test_models_side_by_side_with_their_paired_difference(dpt: FrontDoor) -> None:
    options = ("--truth-scale", "1000", "--model", "small,metric", "--device", "cpu")
    found = evaluated(dpt, *folders(dpt), *options)
    small, metric = (result["measures"] for result in found["results"])
    assert {it["model"] for it in found["differences"]} == {"metric"}
    for it in found["differences"]:
        if it["measure"] != "boundary_f1":
            expected = metric[it["measure"]]["value"] - small[it["measure"]]["value"]
            assert it["value"] == pytest.approx(expected, abs=1e-12)
            assert it["low"] <= it["value"] <= it["high"]
            assert it["num_pictures"] == 3


def test_resolutions_are_compared_in_a_plot(dpt: FrontDoor) -> None:
    command = (*folders(dpt), "--truth-scale", "1000", *WEIGHTS, "--plot", "loss.png")
    result = dpt("eval", "depth", "--resolution", "64", "to", "96", "step", "16", *command)
    assert pixels(dpt.desk / "loss.png").shape[2] == 3
    assert all(f"small {side}" in result.stdout for side in (64, 80, 96))


def test_csv_has_each_picture_and_the_means(dpt: FrontDoor) -> None:
    command = (*folders(dpt), "--truth-scale", "1000", *WEIGHTS, "--csv", "out.csv")
    found = evaluated(dpt, *command)["results"][0]["measures"]["abs_rel"]["value"]
    with (dpt.desk / "out.csv").open() as file:
        pictures = list(csv.DictReader(file))
    assert [row["picture"] for row in pictures] == ["a0.png", "a1.png", "a2.png"]
    assert np.mean([float(row["abs_rel"]) for row in pictures]) == pytest.approx(found)
    with (dpt.desk / "out_summary.csv").open() as file:
        summary = {row["measure"]: row for row in csv.DictReader(file)}
    assert float(summary["abs_rel"]["value"]) == found
    assert "exists" in dpt("eval", "depth", *command, code=1).stderr


def test_a_map_turned_round_is_counted(dpt: FrontDoor) -> None:
    photos, _ = folders(dpt, 1)
    predictor = dpt_cli.load("small", device="cpu", registry=dpt.registry)
    values = predictor(photos / "a0.png").values
    (dpt.desk / "inverse").mkdir()
    # The truth is nearest where the network says farthest.
    np.save(dpt.desk / "inverse/a0.npy", 1 + values.max() - values)
    options = ("--truth", "inverse-depth", *WEIGHTS)
    found = evaluated(dpt, photos, dpt.desk / "inverse", *options)["results"][0]
    assert found["num_fits_not_positive"] == 1
    assert "turned" in dpt("eval", "depth", photos, dpt.desk / "inverse", *options).stdout


def test_a_list_pairs_files_of_any_name(dpt: FrontDoor) -> None:
    folders(dpt)
    lines = ["# mine", "photos/a0.png\ttruth/a1.png", "", "photos/a1.png truth/a0.png"]
    (dpt.desk / "pairs.txt").write_text("\n".join(lines))
    found = evaluated(dpt, "--pairs", "pairs.txt", "--truth-scale", "1000", *WEIGHTS)
    assert found["results"][0]["num_pictures"] == 2


REFUSED: list[tuple[list[str], int, str]] = [
    (["photos"], 2, "--pairs"),
    (["photos", "nowhere"], 1, "nowhere"),
    (["photos", "truth/a0.png"], 1, "two folders"),
    (["photos", "empty"], 1, "no photograph"),
    (["--dataset", "sintel", "photos"], 1, "training/final"),
    (["--dataset", "sintel", "nowhere"], 1, "nowhere"),
    (["--dataset", "nyu", "photos"], 1, "splits.mat"),
    (["--dataset", "kitti", "photos"], 1, "--list"),
    (["--dataset", "sintal", "photos"], 2, "sintel"),
    (["--dataset", "sintel", "photos", "--protocol", "metric"], 2, "nyu"),
    (["photos", "truth", "--alignment", "none"], 2, "metres"),
    (["photos", "truth", "--alignment", "median"], 2, "shift"),
    (["photos", "truth", "--truth-scale", "0"], 2, "--truth-scale"),
    (["photos", "truth", "--cap", "nan"], 2, "--cap"),
    (["", "truth"], 2, "empty"),
    (["photos", "truth", "--plot", "x.jpg"], 2, "PNG"),
    (["--pairs", "bad.txt"], 1, "line 1"),
    (["--pairs", "twice.txt"], 1, "two truths"),
]


def test_what_cannot_be_measured_is_explained(dpt: FrontDoor) -> None:
    folders(dpt)
    (dpt.desk / "empty").mkdir()
    (dpt.desk / "bad.txt").write_text("photos/a0.png\n")
    (dpt.desk / "twice.txt").write_text("photos/a0.png truth/a0.png\nphotos/a0.png truth/a1.png\n")
    for arguments, code, names in REFUSED:
        assert names in dpt("eval", "depth", *arguments, *WEIGHTS, code=code).stderr, arguments


def test_another_commands_setting_of_the_name_does_not_count(
    dpt: FrontDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DPT_PROTOCOL", "hub")
    found = evaluated(dpt, *folders(dpt, 1), "--truth-scale", "1000", *WEIGHTS)
    assert found["results"][0]["protocol"] == "zero-shot"


def test_the_papers_figure_stands_beside_ours(dpt: FrontDoor) -> None:
    from small_models import row

    dpt.rows(depth={"hybrid": row("depth", [dpt.hub_source("depth/model.safetensors")])})
    miniature.sintel(dpt.desk / "sintel")
    options = ("--dataset", "sintel", dpt.desk / "sintel", "--model", "hybrid", "--device", "cpu")
    assert evaluated(dpt, *options)["results"][0]["measures"]["abs_rel"]["published"] == 0.2741
    changed = evaluated(dpt, *options, "--cap", "50")["results"][0]["measures"]["abs_rel"]
    assert changed["published"] is None
    text = dpt("eval", "depth", *options).stdout
    assert "0.2741" in text or ".2741" in text
    assert "1064 pictures" in text or "1,064" in text


def test_the_protocols_network_sizes(dpt: FrontDoor) -> None:
    from dpt_cli.checkpoint.registry import load_registry
    from dpt_cli.evaluation.stages import PrepareByProtocol
    from dpt_cli.metrics.datasets import METRIC, OWN, ZERO_SHOT
    from dpt_cli.photos.decode import Photo

    spec = load_registry(dpt.registry).find("depth", "small")
    nyu = Photo(np.zeros((480, 640, 3), np.uint8))
    kitti = Photo(np.zeros((375, 1242, 3), np.uint8))
    # MiDaS: the larger side is 384 px, KITTI's smaller; sides are multiples of 32.
    for photo, protocol, aim, expected in (
        (nyu, ZERO_SHOT["nyu"], (384, 384), (288, 384)),
        (kitti, ZERO_SHOT["kitti"], (384, 384), (384, 1280)),
        (kitti, METRIC["kitti"], (352, 1216), (352, 1216)),
        (nyu, OWN, (384, 384), (384, 512)),
    ):
        assert PrepareByProtocol(spec, protocol, aim)(photo).network_hw == expected


@pytest.mark.parametrize("form", ["npy", "png16", "exr"])
def test_saved_maps_score_as_the_model_that_made_them(dpt: FrontDoor, form: str) -> None:
    photos, truths = folders(dpt)
    options = (photos, truths, "--truth-scale", "1000")
    expected = evaluated(dpt, *options, *WEIGHTS)["results"][0]
    dpt("depth", photos, "-o", "maps", "--format", form, *WEIGHTS)
    found = evaluated(dpt, *options, "--predictions", "maps")["results"][0]
    assert found["weights"] == expected["weights"]
    # 16 bits round to 1/65535 of the map's range.
    tolerance = 1e-3 if form == "png16" else 1e-9
    for name in ("abs_rel", "rmse", "silog"):
        value = expected["measures"][name]["value"]
        assert found["measures"][name]["value"] == pytest.approx(value, rel=tolerance)


def test_maps_of_other_programs_are_told_what_they_are(dpt: FrontDoor) -> None:
    photos, truths = folders(dpt)
    (dpt.desk / "maps").mkdir()
    for seed in range(3):
        half = np.rint(500 * miniature.depth_m(seed)).astype(np.uint16)
        cv2.imwrite(str(dpt.desk / f"maps/a{seed}.png"), half)
    options = (photos, truths, "--truth-scale", "1000", "--predictions", "maps")
    assert "nothing says" in dpt("eval", "depth", *options, code=1).stderr
    metres = ("--predicted", "depth", "--predicted-scale", "1000", "--alignment", "none")
    found = evaluated(dpt, *options, *metres)["results"][0]
    # Half the depth everywhere, rounded to millimetres.
    assert found["measures"]["abs_rel"]["value"] == pytest.approx(0.5, abs=1e-3)
    assert (
        evaluated(dpt, *options, *metres[:4])["results"][0]["measures"]["abs_rel"]["value"] < 1e-3
    )


def test_whole_numbers_of_others_are_not_taken_for_metres(dpt: FrontDoor) -> None:
    photos, truths = folders(dpt, 1)
    miniature.write_png16(dpt.desk / "maps/a0.png", miniature.depth_m(0), 1000)
    options = (photos, truths, "--truth-scale", "1000", "--predictions", "maps")
    refused = dpt("eval", "depth", *options, "--predicted", "depth", "--alignment", "none", code=1)
    assert "--predicted-scale" in refused.stderr


@pytest.mark.parametrize(
    "damage", ["missing", "nan", "zero", "nan in a larger map", "size", "relative"]
)
def test_a_saved_map_that_cannot_be_scored_is_named(dpt: FrontDoor, damage: str) -> None:
    photos, truths = folders(dpt, 2)
    (dpt.desk / "maps").mkdir()
    for seed in range(2):
        np.save(dpt.desk / f"maps/a{seed}.npy", miniature.depth_m(seed))
    path = dpt.desk / "maps/a0.npy"
    options: list[str | Path] = [photos, truths, "--truth-scale", "1000", "--predictions", "maps"]
    options += ["--predicted", "depth"]
    if damage == "missing":
        path.unlink()
    elif damage == "nan":
        np.save(path, np.where(np.eye(48, 64) > 0, np.nan, miniature.depth_m(0)))
    elif damage == "zero":  # as others write that there is no depth
        np.save(path, np.where(np.eye(48, 64) > 0, 0, miniature.depth_m(0)))
    elif damage == "nan in a larger map":
        np.save(path, np.where(np.eye(96, 128) > 0, np.nan, miniature.depth_m(0, 96, 128)))
    elif damage == "size":
        np.save(path, miniature.depth_m(0, 48, 48))
    else:
        options[-1] = "inverse-depth"
        options += ["--alignment", "none"]
    result = dpt("eval", "depth", *options, code=1 if damage == "relative" else 3)
    assert "a0.png" in result.stderr


def test_resolutions_of_saved_maps_are_not_drawn(dpt: FrontDoor) -> None:
    options = (*folders(dpt, 1), "--truth-scale", "1000", "--predictions", "maps")
    assert "--plot" in dpt("eval", "depth", *options, "--plot", "a.png", code=2).stderr
    assert not Path("a.png").exists()


def test_maps_are_not_mixed_up_where_names_repeat(dpt: FrontDoor) -> None:
    for scene, seed in (("one", 1), ("two", 2)):
        miniature.write_rgb(dpt.desk / f"photos/{scene}/frame.png", seed)
        miniature.write_png16(dpt.desk / f"truth/{scene}/frame.png", miniature.depth_m(seed), 1000)
        (dpt.desk / "maps" / scene).mkdir(parents=True)
        np.save(dpt.desk / f"maps/{scene}/frame.npy", miniature.depth_m(seed))
    options = ("photos", "truth", "--truth-scale", "1000", "--predicted", "depth")
    found = evaluated(dpt, *options, "--alignment", "none", "--predictions", "maps")["results"][0]
    assert found["measures"]["abs_rel"]["value"] < 1e-3
    (dpt.desk / "flat").mkdir()
    np.save(dpt.desk / "flat/frame.npy", miniature.depth_m(1))
    assert "no map" in dpt("eval", "depth", *options, "--predictions", "flat", code=1).stderr


def test_the_training_recipe_scores_tiny_alike(
    dpt: FrontDoor, shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))
    from training.truth import depth_errors, read_pairs

    # No truth of these lies beyond the cap, which the recipe applies to the prediction alone.
    folder = shared_data / "depth_gt" / "slambook2_ch5"
    lines = [f"{folder}/color{i}.png\t{folder}/depth{i}.pgm\n" for i in (1, 2)]
    (dpt.desk / "pairs.txt").write_text("".join(lines))
    document = json.loads(
        invoke(
            *("eval", "depth", "--pairs", "pairs.txt", "--truth-scale", "1000", "--cap", "10"),
            *("--model", "tiny", "--device", "cpu", "--json"),
        ).stdout
    )
    tiny = dpt_cli.load("tiny", device="cpu")
    names = ("slambook2_ch5/color1.png", "slambook2_ch5/color2.png")
    pairs = [pair for pair in read_pairs(shared_data / "depth_gt") if pair.name in names]
    expected = np.mean([depth_errors(tiny(pair.rgb).values, pair.depth) for pair in pairs], axis=0)
    measures = document["results"][0]["measures"]
    found = measures["abs_rel"]["value"], measures["delta1"]["value"]
    assert found == pytest.approx(tuple(expected), abs=1e-9)
