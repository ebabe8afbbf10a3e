"""`dpt_cli.run`: a folder from Python, and stages that work in another process."""

import multiprocessing
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import dpt_cli
from dpt_cli.checkpoint.registry import load_registry
from dpt_cli.errors import DptError, OutputError
from dpt_cli.formats.table import formats_of
from dpt_cli.pipeline.events import Done, Failed, Skipped
from dpt_cli.pipeline.lazy_engine import LazyEngine
from dpt_cli.pipeline.plan import Job
from dpt_cli.pipeline.settings import EngineSettings
from dpt_cli.pipeline.stages import Finish, Infer, Prepare, decode
from front_door import FrontDoor, paths


def test_it_makes_the_files_of_the_command(dpt: FrontDoor) -> None:
    dpt.photograph("photos/a.png")
    dpt.photograph("photos/b.png")
    Path("photos/c.png").write_text("no picture")
    events = list(
        dpt_cli.run("depth", "photos", output="py", formats=["color", "npy"], registry=dpt.registry)
    )
    assert sorted(type(event).__name__ for event in events) == ["Done", "Done", "Failed"]
    (failed,) = (event for event in events if isinstance(event, Failed))
    assert failed.job.photograph == Path("photos/c.png")
    assert isinstance(failed.error, DptError)
    done = [event for event in events if isinstance(event, Done)]
    assert done[0].job.outputs == {
        "color": Path("py/a_depth.png"),
        "npy": Path("py/a_depth.npy"),
    }
    assert (done[0].facts["model"], done[0].facts["unit"]) == ("depth/small", "relative")
    assert done[0].facts["seconds"] > 0
    dpt("depth", "photos", "-o", "cli", "--format", "color,npy", code=3)
    for name in ("a_depth.png", "a_depth.npy", "b_depth.png", "b_depth.npy"):
        assert Path("py", name).read_bytes() == Path("cli", name).read_bytes()


def test_it_continues_after_a_loop_that_was_left(dpt: FrontDoor) -> None:
    names = [f"photos/{number}.png" for number in range(6)]
    for name in names:
        dpt.photograph(name)
    events = dpt_cli.run("depth", "photos", output="out", registry=dpt.registry)
    assert isinstance(next(events), Done)
    events.close()
    made = set(Path("out").glob("*.png"))
    assert 0 < len(made) < 6
    rest = list(dpt_cli.run("depth", "photos", output="out", registry=dpt.registry))
    skipped = {event.job.outputs["color"] for event in rest if isinstance(event, Skipped)}
    assert skipped == made
    assert len(rest) == len(set(Path("out").glob("*.png"))) == 6


def test_segment_takes_its_options(dpt: FrontDoor) -> None:
    photograph = dpt.photograph("a.png")
    (event,) = dpt_cli.run(
        "segment", photograph, output="py", opacity=0.2, classes=("sky",), registry=dpt.registry
    )
    assert isinstance(event, Done)
    dpt("segment", photograph, "-o", "cli", "--opacity", "0.2", "--classes", "sky")
    assert Path("py/a_segment.png").read_bytes() == Path("cli/a_segment.png").read_bytes()


@pytest.mark.parametrize("wrong", [{"formats": ["jpeg"]}, {"colourmap": "jet"}])
def test_unknown_names_are_refused_before_anything_is_made(
    dpt: FrontDoor, wrong: dict[str, Any]
) -> None:
    photograph = dpt.photograph("a.png")
    with pytest.raises(ValueError, match=r"jpeg|colourmap"):
        dpt_cli.run("depth", photograph, output="out", registry=dpt.registry, **wrong)
    assert not Path("out").exists()


def _elsewhere(pickled: bytes, data: bytes, queue: Any) -> None:
    prepare, infer, finish, entry = pickle.loads(pickled)
    job = Job(Path("a.png"), {})
    prepared = prepare(decode(data, job))
    result = finish(infer([prepared])[0], prepared, job)

    class Bytes:
        def __init__(self) -> None:
            self.data = b""

        def write(self, data: bytes | memoryview, /) -> int:
            self.data += bytes(data)
            return len(data)

    file = Bytes()
    entry.write(file, result, None, {})
    queue.put(file.data)


def test_stages_are_sent_to_a_process_that_knows_nothing_else(dpt: FrontDoor) -> None:
    photograph = dpt.photograph("a.png", 130, 97)
    spec = load_registry(dpt.registry).find("depth")
    engine = LazyEngine(spec, EngineSettings(dpt.weights(), engine="torch"), print)
    stages = (Prepare(spec, None, 16), Infer(engine), Finish(spec, engine))
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    pickled = pickle.dumps((*stages, formats_of("depth")["npy"]))
    process = context.Process(target=_elsewhere, args=(pickled, photograph.read_bytes(), queue))
    process.start()
    made = queue.get(timeout=60)
    process.join()
    dpt("depth", photograph, "-o", "out", "--format", "npy", "--weights", dpt.weights())
    assert made == Path("out/a_depth.npy").read_bytes()
    values: npt.NDArray[np.float32] = np.load("out/a_depth.npy")
    assert values.shape == (97, 130)


@pytest.mark.parametrize(
    ("task", "file", "options", "kind"),
    [
        ("depth", "map.npy", {}, "npy"),
        ("depth", "new/map.PFM", {}, "pfm"),
        ("depth", "map.png", {"colormap": "gray"}, "color"),
        ("depth", "map.png", {"format": "png16"}, "png16"),
        ("segment", "map.npy", {}, "npy"),
        ("segment", "map.png", {"format": "labels"}, "labels"),
        ("segment", "map.png", {"opacity": 0.2, "photograph": True}, "overlay"),
    ],
)
def test_a_map_is_saved_as_the_command_writes_it(
    dpt: FrontDoor, task: Any, file: str, options: dict[str, Any], kind: str
) -> None:
    photograph = dpt.photograph("a.png")
    rgb = dpt_cli.read_rgb(photograph)
    result: Any = dpt_cli.load(task=task, registry=dpt.registry)(photograph)
    if "photograph" in options:
        options = options | {"photograph": rgb}
    dpt_cli.save(result, file, **options)
    flags = [f"--{name}={options[name]}" for name in ("colormap", "opacity") if name in options]
    (expected,) = paths(dpt(task, photograph, "-o", "out", "--format", kind, *flags))
    assert Path(file).read_bytes() == Path(expected).read_bytes()
    with pytest.raises(OutputError):
        dpt_cli.save(result, file, **options)
    dpt_cli.save(result, file, overwrite=True, **options)


@pytest.mark.parametrize(
    ("file", "options"),
    [("map.jpeg", {}), ("map", {}), ("map.png", {"format": "jpg"}), ("map.png", {"gamma": 2})],
)
def test_what_cannot_be_saved_is_refused(
    dpt: FrontDoor, file: str, options: dict[str, Any]
) -> None:
    depth_map = dpt_cli.DepthMap(np.ones((2, 2), np.float32), "depth")
    with pytest.raises(ValueError, match="there are"):
        dpt_cli.save(depth_map, file, **options)
    assert not Path(file).exists()
