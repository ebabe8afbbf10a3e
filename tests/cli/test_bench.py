"""`dpt bench`: what it measures, what it prints, and what it never does."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from click.testing import Result
from PIL import Image

import dpt_cli
from dpt_cli.bench import forecast
from dpt_cli.bench.peaks import Peaks
from dpt_cli.cli.bench.values import Resolutions
from dpt_cli.engine import RawOutput
from dpt_cli.engine.torch.engine import TorchEngine
from dpt_cli.errors import OutOfMemoryError
from front_door import FrontDoor
from small_models import SCALE, SHIFT, files, row

PEAK = 1e9  # of matrix products and convolutions [operations/s]

TOP_KEYS = [
    "schema", "machine", "engine", "cuda_graphs", "peaks", "photographs", "interrupted", "rows",
    "advice",
]  # fmt: skip
ROW_KEYS = [
    "task", "model", "target_hw", "network_hw", "batch_size", "precision", "device", "weights",
    "status", "note", "num_runs", "median_s", "p5_s", "p95_s", "pictures_per_second",
    "host_peak_bytes", "host_growth_bytes", "gpu_peak_bytes", "gflop", "share_of_peak", "drift",
    "drift_measure",
]  # fmt: skip

Images = npt.NDArray[np.float32]


@pytest.fixture(autouse=True)
def known_peaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the probing of peaks, which takes a second."""
    monkeypatch.setattr("dpt_cli.cli.bench.run.measure_peaks", lambda *_: Peaks(PEAK, PEAK))


class Bench:
    """`dpt bench` with one timed run, and a weights file that a test may give."""

    def __init__(self, dpt: FrontDoor) -> None:
        self.dpt = dpt
        self.weights = ("--weights", dpt.weights())

    def __call__(self, *arguments: str | Path, code: int = 0) -> Result:
        return self.dpt("bench", "--runs", "1", *arguments, code=code)

    def json(self, *arguments: str | Path, code: int = 0) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self(*arguments, "--json", code=code).stdout)
        return document

    def rows(self, *arguments: str | Path, code: int = 0) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.json(*arguments, code=code)["rows"]
        return rows

    def sizes(self, *arguments: str | Path) -> list[list[int]]:
        """Return the network sizes that are measured, (width, height)."""
        return [row["network_hw"][::-1] for row in self.rows("--no-drift", *arguments)]


@pytest.fixture
def bench(dpt: FrontDoor) -> Bench:
    return Bench(dpt)


def on_call(
    monkeypatch: pytest.MonkeyPatch, act: Callable[[tuple[int, ...]], object]
) -> list[tuple[int, ...]]:
    """Do something at every call of the engine; return the shapes of all calls, as they come."""
    shapes: list[tuple[int, ...]] = []
    plain = TorchEngine.__call__

    def call(engine: TorchEngine, images: Images) -> list[RawOutput]:
        shapes.append(images.shape)
        act(images.shape)
        return plain(engine, images)

    monkeypatch.setattr(TorchEngine, "__call__", call)
    return shapes


# The range


@pytest.mark.parametrize(
    ("words", "sizes"),
    [
        (("--resolution", "64"), [[64, 64]]),
        (("--resolution", "64,96"), [[64, 64], [96, 96]]),
        (("--resolution", "64,", "96"), [[64, 64], [96, 96]]),
        (("--resolution", "96,64,96"), [[64, 64], [96, 96]]),
        (("--resolution", "128x64"), [[128, 64]]),
        (("--resolution", "64", "to", "128", "step", "32"), [[64, 64], [96, 96], [128, 128]]),
        (("--resolution=64", "to", "96", "step", "32"), [[64, 64], [96, 96]]),
        (("--resolution", "64 TO 96 step 32"), [[64, 64], [96, 96]]),
        (("--resolution", "48", "to", "64", "--batch-size", "1"), [[48, 48], [64, 64]]),
        (
            ("--resolution", "32,", "64", "to", "100", "step", "16"),
            [[32, 32], [64, 64], [80, 80], [96, 96]],
        ),
        (("--resolution", "90,96"), [[96, 96]]),
        ((), [[96, 96]]),
    ],
    ids=lambda value: " ".join(map(str, value)),
)
def test_a_range_is_typed_without_quotes(
    bench: Bench, words: tuple[str, ...], sizes: list[list[int]]
) -> None:
    # 90 and 100 are rounded to whole patches, and no size is measured twice.
    assert bench.sizes(*words) == sizes


@pytest.mark.parametrize(
    ("text", "sides"),
    [
        ("384 to 1024", [384, 512, 640, 768, 896, 1024]),
        ("384 to 1000", [384, 512, 640, 768, 896, 1000]),
        ("384 to 384", [384]),
        ("384 to 640 step 256", [384, 640]),
        ("384 to 400 step 1000", [384, 400]),
    ],
)
def test_a_range_holds_its_end_and_has_a_step(text: str, sides: list[int]) -> None:
    assert Resolutions().convert(text, None, None) == tuple((side, side) for side in sides)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("384 too 1024", "'384 too 1024' is not a resolution: write 384, "),
        ("384 to", "'384 to' is not a resolution"),
        ("384 1024", "'384 1024' is not a resolution"),
        ("384 to 1024 by 64", "is not a resolution"),
        ("384 to 1024 step", "is not a resolution"),
        ("384 to 1024 step 64 64", "is not a resolution"),
        ("384 to 1e3", "is not a resolution"),
        ("384 to 1216x352", "is not a resolution"),
        ("384,", "'384,' is not a resolution"),
        ("photo.jpg", "'photo.jpg' is neither a side (384) nor"),
        ("384 photo.jpg", "is not a resolution"),
        ("1024 to 384", "1024 to 384: the range must go up: 384 to 1024"),
        ("384 to 1024 step 0", "the step must be at least 1 px"),
        ("8 to 64", "8: a side is 16 to 16384 px"),
        ("384 to 99999", "99999: a side is 16 to 16384 px"),
        ("384,8", "8: a side is 16 to 16384 px"),
    ],
)
def test_a_range_that_cannot_be_is_usage(bench: Bench, text: str, message: str) -> None:
    result = bench("--resolution", *text.split(), code=2)
    assert result.stdout == ""
    assert f"Invalid value for '--resolution': {message}" in result.stderr or (
        "--resolution" in result.stderr and message in result.stderr
    )


def test_words_that_follow_no_range_are_usage(bench: Bench) -> None:
    assert "unexpected extra arguments (to 1024)" in bench("to", "1024", code=2).stderr
    stderr = bench("--resolution", "64", "--batch-size", "1", "to", "96", code=2).stderr
    assert "unexpected extra arguments (to 96)" in stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--batch-size", "0"), "'0' is not a list of positive whole numbers"),
        (("--batch-size", "1,x"), "'1,x' is not a list"),
        (("--batch-size", "1,"), "'1,' is not a list"),
        (
            ("--precision", "fp8"),
            "unknown precision 'fp8'. There are: auto, fp32, fp16, bf16, int8.",
        ),
        (("--engine", "tensorflow"), "'tensorflow' is not"),
        (("--runs", "0"), "0 is not in the range"),
        (("--task", "depht"), "'depht' is not one of"),
        (("--model", "smal"), "Did you mean 'small'?"),
        (("--model", "small,"), "no model"),
        (("-o", "plot.jpg"), "plot.jpg: the plot is a PNG file"),
        (("--csv", "."), "is a directory"),
        (("--device", "gpu"), "'gpu' is not one of"),
        (("--model", "small,metric", "--weights", "w.pt"), "--weights is a file for one model"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_value_that_cannot_be_is_usage(
    bench: Bench, arguments: tuple[str, ...], message: str
) -> None:
    result = bench(*arguments, code=2)
    assert result.stdout == ""
    assert message in result.stderr


# Output


def test_json_is_one_object_whose_keys_are_always_there(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forecast, "free_bytes", lambda _device: 100_000_000)
    document = bench.json(*bench.weights, "--resolution", "64,1024")
    assert list(document) == TOP_KEYS
    assert [list(it) for it in document["rows"]] == [ROW_KEYS, ROW_KEYS]
    measured, skipped = document["rows"]
    assert (measured["status"], skipped["status"]) == ("measured", "skipped")
    assert document["schema"] == 1
    assert document["interrupted"] is False
    assert document["machine"]["cpu"]
    assert document["peaks"] == {
        "fp32": {"matrix_gflop_per_s": 1.0, "convolution_gflop_per_s": 1.0}
    }
    assert document["photographs"] == ["astronaut.jpg", "coffee.jpg", "rocket.jpg"]


def test_the_numbers_of_a_row_belong_together(bench: Bench) -> None:
    (it,) = bench.rows("--no-drift", "--runs", "3", "--batch-size", "2", "--resolution", "64x32")
    assert (it["task"], it["model"], it["device"]) == ("depth", "small", "cpu")
    assert (it["target_hw"], it["network_hw"]) == ([32, 64], [32, 64])
    assert (it["batch_size"], it["precision"], it["num_runs"]) == (2, "fp32", 3)
    assert it["p5_s"] <= it["median_s"] <= it["p95_s"]
    assert it["pictures_per_second"] == pytest.approx(2 / it["median_s"])
    # Two pictures at the peaks of the fixture, over the time they took.
    least_s = 2 * it["gflop"] * 1e9 / PEAK
    assert it["share_of_peak"] == pytest.approx(least_s / it["median_s"])
    assert it["gpu_peak_bytes"] is None


def test_a_batch_is_two_pictures_and_the_operations_are_of_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = on_call(monkeypatch, lambda _shape: None)
    one, four = bench.rows("--no-drift", "--batch-size", "4,1", "--resolution", "64")
    assert (one["batch_size"], four["batch_size"]) == (1, 4)
    assert one["gflop"] == four["gflop"] > 0
    # A warm-up and one run each, after the smallest network.
    assert shapes[-4:] == [(1, 3, 64, 64)] * 2 + [(4, 3, 64, 64)] * 2


@pytest.mark.parametrize("runs", [1, 4])
def test_as_many_runs_as_asked(bench: Bench, monkeypatch: pytest.MonkeyPatch, runs: int) -> None:
    shapes = on_call(monkeypatch, lambda _shape: None)
    (it,) = bench.rows("--no-drift", "--runs", str(runs), "--resolution", "64")
    assert it["num_runs"] == runs
    assert shapes.count((1, 3, 64, 64)) == runs + 1


def test_without_a_number_there_are_at_least_three_runs_and_an_end(
    dpt: FrontDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def num_runs() -> int:
        result = dpt("bench", "--no-drift", "--resolution", "32", "--json")
        return int(json.loads(result.stdout)["rows"][0]["num_runs"])

    monkeypatch.setattr("dpt_cli.bench.loaded._ENOUGH_S", 1e9)
    assert num_runs() == 20
    monkeypatch.setattr("dpt_cli.bench.loaded._ENOUGH_S", 0.0)
    assert num_runs() == 3


def test_the_table_has_a_line_a_setting_and_ends_in_advice(bench: Bench) -> None:
    result = bench(*bench.weights, "--resolution", "64", "to", "96", "step", "32")
    header, first, second, blank, *_, advice = result.stdout.splitlines()
    assert header.split()[:4] == ["MODEL", "SIZE", "BATCH", "PRECISION"]
    assert header.split()[-1] == "DRIFT"
    assert first.split()[:4] == ["small", "64×64", "1", "fp32"]
    assert second.split()[:4] == ["small", "96×96", "1", "fp32"]
    assert second.endswith(" 0.0000")
    assert "drift: AbsRel of depth after the best scale and shift, against fp32" in result.stdout
    assert blank == ""
    assert advice.startswith("For speed ")
    assert "machine: " in result.stdout
    assert "peak in fp32: matrix product 1 GFLOP/s, convolution 1 GFLOP/s" in result.stdout
    # Progress goes to standard error.
    assert "\n2 of 2: small 96×96, batch 1, fp32\n" in result.stderr
    assert "small 96×96, batch 1, fp32" not in result.stdout


def test_what_rows_have_in_common_makes_way_where_a_terminal_is_narrow(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dpt_cli.cli.bench.table._PLAIN_WIDTH", 80)
    lines = bench("--no-drift", "--batch-size", "1,2", "--resolution", "32").stdout.splitlines()
    assert lines[0].split()[:3] == ["SIZE", "BATCH", "MEDIAN"]
    assert [line.split()[:2] for line in lines[1:3]] == [["32×32", "1"], ["32×32", "2"]]


def test_one_setting_gets_little_advice(bench: Bench) -> None:
    advice = bench.json("--no-drift")["advice"]
    assert "nothing to compare" in advice


def test_several_models_precisions_and_batches(bench: Bench) -> None:
    arguments = ("--precision", "fp32,bf16,auto", "--batch-size", "1,2", "--resolution", "32")
    rows = bench.rows("--no-drift", "--model", "small,metric", "--model", "small", *arguments)
    assert [(it["model"], it["precision"], it["batch_size"]) for it in rows] == [
        (model, precision, batch_size)
        for model in ("small", "metric")
        for precision in ("fp32", "bf16")
        for batch_size in (1, 2)
    ]


def test_what_half_precision_spoils_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = TorchEngine._infer

    def infer(engine: TorchEngine, images: Images, precision: str) -> Images:
        result = plain(engine, images, precision)
        return np.full_like(result, np.nan) if precision == "bf16" else result

    monkeypatch.setattr(TorchEngine, "_infer", infer)
    (it,) = bench.rows("--no-drift", "--precision", "bf16", "--resolution", "64")
    assert it["note"] == "bf16 gave NaN or infinity; times include the fp32 run that replaced it"


# Drift


@pytest.mark.parametrize("task", ["depth", "segment"])
def test_there_is_no_drift_at_the_weights_own_resolution_in_fp32(bench: Bench, task: str) -> None:
    name = "authors.pt" if task == "depth" else "dpt.safetensors"
    weights = bench.dpt.weights(name, files("depth" if task == "depth" else "segment")[name])
    photograph = bench.dpt.photograph("a.png", 120, 80)
    chosen = ("--task", task, "--weights", weights, "--images", photograph)
    rows = bench.rows(*chosen, "--resolution", "64,96", "--precision", "fp32,bf16")
    drifts = {(it["network_hw"][0], it["precision"]): it["drift"] for it in rows}
    assert drifts.pop((96, "fp32")) == 0
    assert len(drifts) == 3
    assert all(0 < drift < 1 for drift in drifts.values())
    measure = "aligned AbsRel" if task == "depth" else "share of pixels that changed"
    assert {it["drift_measure"] for it in rows} == {measure}


def test_the_table_tells_the_agreement_of_a_segmentation(bench: Bench) -> None:
    weights = bench.dpt.weights("s.pt", files("segment")["authors.pt"])
    photograph = bench.dpt.photograph("a.png", 120, 80)
    chosen = ("--task", "segment", "--weights", weights, "--images", photograph)
    header, small, own, *rest = bench(*chosen, "--resolution", "64,96").stdout.splitlines()
    assert header.endswith("AGREES")
    assert own.endswith(" 100.00 %")
    assert 0 < float(small.split()[-2]) < 100
    assert any(line.startswith("agreement: ") for line in rest)


def test_the_drift_of_relative_depth_by_hand(bench: Bench) -> None:
    photograph = bench.dpt.photograph("a.png", 120, 80)
    (it,) = bench.rows(*bench.weights, "--resolution", "64", "--images", photograph)
    rgb = dpt_cli.read_rgb(photograph)
    own, other = (
        dpt_cli.load(weights=bench.weights[1], registry=bench.dpt.registry, resolution=side)(
            rgb
        ).values.astype(np.float64)
        for side in (96, 64)
    )
    columns = np.stack([other.ravel(), np.ones(other.size)], axis=1)
    line = np.linalg.lstsq(columns, own.ravel(), rcond=None)[0]
    floor = own.max() / 20
    depth = 1 / np.maximum(columns @ line, floor)
    own_depth = 1 / np.maximum(own.ravel(), floor)
    expected = np.mean(np.abs(depth - own_depth) / own_depth)
    assert expected > 1e-3
    assert it["drift"] == pytest.approx(expected, rel=1e-6)


def test_the_drift_of_metres_is_plain(bench: Bench) -> None:
    photograph = bench.dpt.photograph("a.png", 120, 80)
    arguments = ("--model", "metric", "--resolution", "64", "--images", photograph)
    (it,) = bench.rows(*bench.weights, *arguments)
    rgb = dpt_cli.read_rgb(photograph)
    own_m, other_m = (
        dpt_cli.load(
            "metric", weights=bench.weights[1], registry=bench.dpt.registry, resolution=side
        )(rgb).values.astype(np.float64)
        for side in (96, 64)
    )
    assert own_m.max() <= 1 / SHIFT
    assert SCALE > 0
    assert it["drift"] == pytest.approx(np.mean(np.abs(other_m - own_m) / own_m), rel=1e-6)
    assert it["drift_measure"] == "AbsRel"


def test_drift_is_the_mean_over_the_photographs(bench: Bench) -> None:
    one, two = bench.dpt.photograph("p/a.png", 120, 80), bench.dpt.photograph("p/bcd.png", 80, 130)

    def drift(*images: Path) -> float:
        given = [word for path in images for word in ("--images", str(path))]
        return float(bench.rows(*bench.weights, "--resolution", "64", *given)[0]["drift"])

    alone = drift(one), drift(two)
    assert alone[0] != alone[1]
    assert drift(one, two) == pytest.approx(np.mean(alone))
    assert drift(Path("p")) == pytest.approx(np.mean(alone))


def test_a_photograph_that_cannot_be_read_is_named_and_left_out(bench: Bench) -> None:
    good = bench.dpt.photograph("a.png")
    Path("bad.png").write_bytes(b"no picture")
    arguments = (*bench.weights, "--images", "bad.png", "--images", good, "--json")
    result = bench(*arguments, code=3)
    assert "Failed: bad.png: not an image" in result.stderr
    document = json.loads(result.stdout)
    assert document["photographs"] == [str(good)]
    assert document["rows"][0]["drift"] == 0


@pytest.mark.parametrize("name", ["bad.png", "nowhere.png", "empty"])
def test_without_any_photograph_it_ends_before_any_work(bench: Bench, name: str) -> None:
    Path("bad.png").write_bytes(b"no picture")
    Path("empty").mkdir()
    result = bench(*bench.weights, "--images", name, code=1)
    assert result.stdout == ""
    assert name in result.stderr


# Weights


def test_random_weights_are_said_and_nothing_is_downloaded(bench: Bench, home: Path) -> None:
    result = bench()
    assert "depth/small: its weights are not on this disk and are not downloaded" in result.stderr
    assert "depth/small: measured with random weights" in result.stdout
    assert "'dpt models pull depth/small'" in result.stdout
    assert result.stdout.splitlines()[1].endswith("–")
    (it,) = bench.rows()
    assert (it["weights"], it["drift"], it["drift_measure"]) == ("random", None, None)
    assert it["status"] == "measured"
    assert bench.dpt.hub.requests == []
    assert bench.dpt.weights_in(home) == []


def test_weights_on_this_disk_are_used_and_the_hub_is_not_asked(bench: Bench) -> None:
    bench.dpt("models", "pull", "depth/small")
    bench.dpt.hub.requests.clear()
    (it,) = bench.rows()
    assert it["weights"].startswith("depth/small from Somebody/small-dpt@")
    assert it["drift"] == 0
    assert bench.dpt.hub.requests == []


def test_weights_that_are_damaged_are_not_downloaded_again(bench: Bench) -> None:
    bench.dpt("models", "pull", "depth/small")
    place = Path(bench.dpt("models", "path", "depth/small").stdout.strip()).resolve()
    place.write_bytes(place.read_bytes()[:-1])
    bench.dpt.hub.requests.clear()
    assert "wrong content" in bench(code=4).stderr
    assert bench.dpt.hub.requests == []


def test_only_a_model_without_weights_has_none(bench: Bench) -> None:
    bench.dpt("models", "pull", "depth/small")
    document = bench.json("--model", "small,metric", "--resolution", "64")
    with_weights, without = document["rows"]
    assert with_weights["drift"] > 0
    assert (without["weights"], without["drift"]) == ("random", None)


def test_no_drift_measures_none(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = on_call(monkeypatch, lambda _shape: None)
    document = bench.json(*bench.weights, "--no-drift", "--resolution", "64")
    assert document["rows"][0]["drift"] is None
    assert document["photographs"] == []
    assert set(shapes) == {(1, 3, 32, 32), (1, 3, 64, 64)}


def test_weights_that_are_missing_or_do_not_fit(bench: Bench) -> None:
    assert "no weights file nowhere.pt" in bench("--weights", "nowhere.pt", code=4).stderr
    damaged = bench.dpt.weights("bad.pt", b"no weights")
    result = bench("--weights", damaged, code=4)
    assert result.stdout == ""
    assert "is not a weights file" in result.stderr


def test_what_was_measured_before_a_model_that_fails_is_kept(bench: Bench) -> None:
    source = bench.dpt.hub_source("depth/model.safetensors")
    good = row("depth", [source], default=True)
    unfit = row("depth", [source], architecture={**good["architecture"], "features": 16})
    bench.dpt.rows(depth={"small": good, "unfit": unfit}, segment={})
    bench.dpt("models", "pull", "depth/small")
    result = bench("--model", "small,unfit", "--no-drift", "--json", code=4)
    assert [it["model"] for it in json.loads(result.stdout)["rows"]] == ["small"]
    assert "does not fit" in result.stderr


# Interruption and memory


def interrupt_at(side: int) -> Callable[[tuple[int, ...]], None]:
    def act(shape: tuple[int, ...]) -> None:
        if shape[-1] == side:
            raise KeyboardInterrupt

    return act


def test_an_interrupted_run_keeps_what_was_measured(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_call(monkeypatch, interrupt_at(96))
    arguments = ("--no-drift", "--resolution", "48,64,96", "--csv", "rows.csv", "-o", "plot.png")
    result = bench(*arguments, "--json", code=130)
    document = json.loads(result.stdout)
    assert [it["network_hw"] for it in document["rows"]] == [[48, 48], [64, 64]]
    assert document["interrupted"] is True
    assert result.stderr.endswith("Interrupted: 2 of 3 measured.\n")
    assert len(Path("rows.csv").read_text().splitlines()) == 3
    assert Path("plot.png").is_file()
    assert [
        line.split()[1] for line in bench(*arguments, "--force", code=130).stdout.splitlines()[1:3]
    ] == [
        "48×48",
        "64×64",
    ]


def test_a_row_interrupted_in_its_drift_keeps_its_times(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    photograph = bench.dpt.photograph("a.png", 128, 96)
    on_call(monkeypatch, interrupt_at(128))
    arguments = (*bench.weights, "--resolution", "64", "--images", photograph)
    (it,) = bench.rows(*arguments, code=130)
    assert it["num_runs"] == 1
    assert it["drift"] is None


def test_interrupted_before_the_first_row(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    on_call(monkeypatch, interrupt_at(32))
    assert bench.json("-o", "plot.png", "--csv", "rows.csv", code=130)["rows"] == []
    assert "Nothing was measured." in bench("-o", "plot.png", code=130).stdout
    assert not Path("plot.png").exists()
    assert not Path("rows.csv").exists()


def test_what_will_not_fit_is_skipped_and_never_tried(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forecast, "free_bytes", lambda _device: 100_000_000)
    shapes = on_call(monkeypatch, lambda _shape: None)
    result = bench("--no-drift", "--resolution", "64,1024,2048", "--json")
    document = json.loads(result.stdout)
    assert [it["status"] for it in document["rows"]] == ["measured", "skipped", "skipped"]
    assert max(shape[-1] for shape in shapes) == 64
    note = document["rows"][1]["note"]
    assert note.startswith("it would need about ")
    assert note.endswith(" GB of memory, and 0.1 GB are free")
    assert document["rows"][1]["median_s"] is None
    assert document["rows"][1]["gflop"] > document["rows"][0]["gflop"]
    assert document["advice"].endswith("Does not fit into memory: 1024×1024 and 2048×2048.")
    assert f"small 1024×1024, batch 1, fp32: skipped, {note}" in result.stderr
    table = bench("--no-drift", "--resolution", "64,1024").stdout
    assert table.splitlines()[2].split()[1:5] == ["1024×1024", "1", "fp32", "skipped"]
    assert "small 1024×1024, batch 1, fp32: it would need about" in table


@pytest.mark.parametrize("free", [1, 1_000_000])
def test_where_nothing_fits_it_is_an_error(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, free: int
) -> None:
    # Not even the weights, 0.5 MB, fit into one byte.
    monkeypatch.setattr(forecast, "free_bytes", lambda _device: free)
    result = bench("--no-drift", "--resolution", "512", "--json", code=1)
    (it,) = json.loads(result.stdout)["rows"]
    assert it["status"] == "skipped"
    assert ("weights" in it["note"]) is (free == 1)
    assert f"Error: nothing could be measured: {it['note']}" in result.stderr


def test_a_photograph_that_will_not_fit_costs_the_drift_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The row is timed, and then memory runs out.
    shapes = on_call(monkeypatch, lambda _shape: None)
    monkeypatch.setattr(
        forecast, "free_bytes", lambda _device: 10**5 if (1, 3, 64, 64) in shapes else 10**9
    )
    (it,) = bench.rows(*bench.weights, "--resolution", "64")
    assert it["status"] == "measured"
    assert it["drift"] is None
    assert it["note"].startswith("no drift: it would need about ")


def test_out_of_memory_ends_a_row_and_not_the_run(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def act(shape: tuple[int, ...]) -> None:
        if shape == (2, 3, 64, 64):
            raise OutOfMemoryError("out of memory on cpu")

    on_call(monkeypatch, act)
    document = bench.json("--no-drift", "--resolution", "64,96", "--batch-size", "1,2")
    statuses = [it["status"] for it in document["rows"]]
    assert statuses == ["measured", "out of memory", "measured", "measured"]
    assert document["rows"][1]["note"] == "out of memory on cpu"
    assert "Does not fit into memory: 64×64 in batches of 2." in document["advice"]


# Files


def test_csv_holds_what_json_holds(bench: Bench) -> None:
    arguments = ("--resolution", "64x32,96", "--csv", "out/rows.csv")
    result = bench(*bench.weights, *arguments, "--json")
    assert "wrote out/rows.csv" in result.stderr
    with Path("out/rows.csv").open(encoding="utf-8", newline="") as file:
        written = list(csv.DictReader(file))
    rows = json.loads(result.stdout)["rows"]
    assert len(written) == len(rows) == 2
    for flat, it in zip(written, rows, strict=True):
        for name in ("target", "network"):
            height, width = it.pop(f"{name}_hw")
            assert (flat.pop(f"{name}_height"), flat.pop(f"{name}_width")) == (
                str(height),
                str(width),
            )
        assert flat == {key: "" if value is None else str(value) for key, value in it.items()}


def test_the_plot_is_a_png_with_something_on_it(bench: Bench) -> None:
    result = bench("--no-drift", "--resolution", "32,64", "--batch-size", "1,2", "-o", "out/p.png")
    assert "wrote out/p.png" in result.stderr
    assert Path("out/p.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    with Image.open("out/p.png") as image:
        assert image.width > 1000
        colors = image.convert("RGB").getcolors(2**24)
    # One line per batch size, in matplotlib's first two colours.
    assert colors is not None
    assert {(31, 119, 180), (255, 127, 14)} <= {color for _, color in colors}


def test_a_plot_that_cannot_be_written_does_not_cost_the_table(bench: Bench) -> None:
    Path("out").touch()
    result = bench("--no-drift", "-o", "out/p.png", code=1)
    assert result.stdout.startswith("MODEL")
    assert "cannot write out/p.png" in result.stderr


@pytest.mark.parametrize("option", ["--csv", "--plot"])
@pytest.mark.parametrize("kind", ["file", "link", "dangling link"])
def test_no_file_is_replaced_without_force(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, option: str, kind: str
) -> None:
    shapes = on_call(monkeypatch, lambda _: None)
    target, given = Path("mine.png"), Path("mine.png" if kind == "file" else "link.png")
    if kind != "dangling link":
        target.write_text("mine")
    if kind != "file":
        given.symlink_to(target)
    result = bench("--no-drift", "--resolution", "32", option, given, code=1)
    (error,) = result.stderr.splitlines()
    assert (str(given) in error, "--force" in error) == (True, True)
    assert shapes == []  # before anything is measured
    bench("--no-drift", "--resolution", "32", option, given, "--force")
    assert given.is_file()
    # A link is replaced, not followed.
    assert kind == "file" or not target.exists() or target.read_text() == "mine"
    assert not given.is_symlink()


def test_a_file_that_appears_while_it_measures_is_left(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_call(monkeypatch, lambda _: Path("rows.csv").write_text("mine"))
    result = bench("--no-drift", "--resolution", "32", "--csv", "rows.csv", code=1)
    assert Path("rows.csv").read_text() == "mine"
    assert "rows.csv" in result.stderr
    assert result.stdout.startswith("MODEL")


def test_two_files_of_one_name_are_usage(bench: Bench) -> None:
    Path("sub").mkdir()
    assert "--csv" in bench("--csv", "a.png", "--plot", "sub/../a.png", code=2).stderr


# Settings


def test_settings_reach_bench(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("dpt.toml").write_text(
        'precision = "bf16"\nno-drift = true\n'
        '[bench]\nmodel = ["small", "metric"]\nbatch-size = "1,2"\n'
    )
    monkeypatch.setenv("DPT_BENCH_RESOLUTION", "32 to 48 step 16")
    rows = bench.rows()
    assert len(rows) == 8
    assert {it["model"] for it in rows} == {"small", "metric"}
    assert {it["network_hw"][0] for it in rows} == {32, 48}
    assert {it["precision"] for it in rows} == {"bf16"}


def test_what_suits_depth_suits_bench(bench: Bench) -> None:
    Path("dpt.toml").write_text('model = "metric"\nresolution = 64\nbatch-size = 2\noutput = "o"\n')
    (it,) = bench.rows("--no-drift")
    assert (it["model"], it["network_hw"], it["batch_size"]) == ("metric", [64, 64], 2)


def test_a_model_that_is_unknown_names_its_place(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DPT_MODEL", "small,smal")
    stderr = bench(code=2).stderr
    assert "no model 'smal' for depth." in stderr
    assert stderr.endswith("(--model is set by DPT_MODEL)\n")


def test_our_own_photographs_are_small_and_their_licence_is_told() -> None:
    folder = Path(dpt_cli.__file__).parent / "bundled" / "photographs"
    pictures = sorted(folder.glob("*.jpg"))
    assert {path.name for path in pictures} == {"astronaut.jpg", "coffee.jpg", "rocket.jpg"}
    assert sum(path.stat().st_size for path in pictures) < 150_000
    told = (folder / "README.md").read_text(encoding="utf-8")
    for path in pictures:
        assert max(dpt_cli.read_rgb(path).shape[:2]) <= 512
        assert f"`{path.name}`" in told


@pytest.mark.parametrize(("peak", "is_above"), [(1e5, True), (1e18, False)])
def test_a_share_above_the_peak_gets_a_remark(
    dpt: FrontDoor, monkeypatch: pytest.MonkeyPatch, peak: float, is_above: bool
) -> None:
    monkeypatch.setattr("dpt_cli.cli.bench.run.measure_peaks", lambda *_: Peaks(peak, peak))
    result = dpt("bench", "--device", "cpu", "--runs", "1", "--no-drift")
    assert ("PEAK above 100 %" in result.stdout) == is_above
