"""Many photographs side by side: nothing lost, nothing mixed up, no further ahead than needed."""

import dataclasses
import struct
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dpt_cli.engine import RawOutput
from dpt_cli.errors import (
    DeviceError,
    FetchError,
    InputError,
    NetworkOutputError,
    OutOfMemoryError,
    OutputError,
)
from dpt_cli.maps import DepthMap
from dpt_cli.photos.decode import Photo
from dpt_cli.pipeline import local as batch
from dpt_cli.pipeline.budget import MemoryBudget
from dpt_cli.pipeline.events import Done, Failed
from dpt_cli.pipeline.local import RGB, Stages, run
from dpt_cli.pipeline.plan import Job
from dpt_cli.predict.predictor import Prepared

JOBS = [Job(Path(f"{number}.png"), {}) for number in range(12)]


at_once = pytest.mark.parametrize("num_at_once", [1, 2])


class Run:
    """Stages over numbers: photograph N decodes to N, and its map holds N."""

    def __init__(self, sizes: Sequence[int] = (16,), num_at_once: int = 1) -> None:
        self.batches: list[list[int]] = []
        self.written: list[int] = []
        self.decoded = 0
        self.fail: dict[str, Callable[[int], None]] = {}
        self.limit = 99
        self.keeps_photographs = False
        self.num_at_once = num_at_once
        self.num_loads = 0
        self._sizes = sizes

    def _may_fail(self, stage: str, number: int) -> None:
        if stage in self.fail:
            self.fail[stage](number)

    def read(self, job: Job) -> bytes:
        self._may_fail("read", int(job.photograph.stem))
        return b""

    def decode(self, _data: bytes, job: Job) -> Photo:
        number = int(job.photograph.stem)
        self.decoded += 1
        self._may_fail("decode", number)
        return Photo(np.full((1, 1, 3), number, np.uint8))

    def prepare(self, photo: Photo) -> Prepared:
        number = int(photo.rgb[0, 0, 0])
        self._may_fail("prepare", number)
        side = self._sizes[number % len(self._sizes)]
        return Prepared(np.full((3, side, 16), number, np.float32), (1, 1))

    def load(self) -> int:
        assert threading.current_thread() is threading.main_thread()
        self.num_loads += 1
        self._may_fail("load", 0)
        return self.num_at_once

    def infer(self, batch: Sequence[Prepared]) -> list[RawOutput]:
        numbers = [int(prepared.image[0, 0, 0]) for prepared in batch]
        assert len({prepared.network_hw for prepared in batch}) == 1
        if len(batch) > self.limit:
            raise OutOfMemoryError("too many")
        for number in numbers:
            self._may_fail("infer", number)
        self.batches.append(numbers)
        return [RawOutput(np.full((1, 1), number, np.float32), "fp32") for number in numbers]

    def finish(self, raw: RawOutput, prepared: Prepared, _job: Job) -> DepthMap:
        assert prepared.image[0, 0, 0] == raw.values[0, 0]
        return DepthMap(raw.values, "inverse_depth")

    def write(self, result: DepthMap, rgb: RGB | None, _job: Job) -> dict[str, int]:
        number = int(result.values[0, 0])
        assert (rgb is not None) == self.keeps_photographs
        assert rgb is None or rgb[0, 0, 0] == number
        self._may_fail("write", number)
        self.written.append(number)
        return {"number": number}

    def stages(self) -> Stages[DepthMap]:
        return Stages(
            *(self.read, self.decode, self.prepare, self.load, self.infer, self.finish, self.write),
            keeps_photographs=self.keeps_photographs,
        )

    def __call__(self, batch_size: int = 1) -> dict[int, str]:
        """Run every job; return what became of each."""
        outcomes = list(run(JOBS, self.stages(), batch_size))
        for outcome in outcomes:
            if isinstance(outcome, Done):
                assert outcome.facts == {"number": int(outcome.job.photograph.stem)}
        assert len(outcomes) == len(JOBS)
        return {
            int(outcome.job.photograph.stem): "done"
            if isinstance(outcome, Done)
            else str(outcome.error)
            for outcome in outcomes
        }


class Inside:
    """A stage that takes a while and counts how many are inside."""

    def __init__(self) -> None:
        self.most = self._now = 0
        self._lock = threading.Lock()

    def __call__(self, _number: int) -> None:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        time.sleep(0.03)
        with self._lock:
            self._now -= 1


def raises(error: Exception, *numbers: int) -> Callable[[int], None]:
    def fail(number: int) -> None:
        if number in numbers:
            raise error

    return fail


@pytest.mark.parametrize("batch_size", [1, 3, 5, 50])
@pytest.mark.parametrize("sizes", [(16,), (16, 32), (16, 32, 48, 64, 80)])
@at_once
def test_every_photograph_is_done_once(
    batch_size: int, sizes: tuple[int, ...], num_at_once: int
) -> None:
    it = Run(sizes, num_at_once)
    assert it(batch_size) == dict.fromkeys(range(12), "done")
    assert sorted(it.written) == list(range(12))
    assert all(len(batch) <= batch_size for batch in it.batches)


def test_batches_are_made_up_in_the_order_of_the_jobs() -> None:
    it = Run((16, 32))
    it.fail["decode"] = lambda number: time.sleep(0.02 if number % 3 == 0 else 0)
    it(3)
    assert it.batches == [[0, 2, 4], [1, 3, 5], [6, 8, 10], [7, 9, 11]]


@pytest.mark.parametrize(
    ("stage", "error"),
    [
        ("read", InputError("no file")),
        ("read", KeyError("unforeseen")),
        ("decode", InputError("no image")),
        ("decode", ValueError("unforeseen")),
        ("prepare", ZeroDivisionError()),
        ("infer", RuntimeError("unforeseen")),
        ("write", KeyError()),
        ("decode", MemoryError()),
        ("prepare", MemoryError()),
        ("infer", NetworkOutputError("NaN")),
        ("infer", OutOfMemoryError("too large")),
        ("write", OutputError("disk full")),
        ("write", MemoryError()),
    ],
)
@pytest.mark.parametrize("batch_size", [1, 4])
@at_once
def test_one_photograph_fails_alone(
    stage: str, error: Exception, batch_size: int, num_at_once: int
) -> None:
    it = Run(num_at_once=num_at_once)
    it.fail[stage] = raises(error, 5)
    outcomes = it(batch_size)
    assert {number for number, outcome in outcomes.items() if outcome != "done"} == {5}
    assert sorted(it.written) == [number for number in range(12) if number != 5]


@at_once
def test_a_batch_that_does_not_fit_is_halved_and_so_are_the_next(num_at_once: int) -> None:
    it = Run(num_at_once=num_at_once)
    it.limit = 2
    assert it(8) == dict.fromkeys(range(12), "done")
    assert max(map(len, it.batches)) == 2


@pytest.mark.parametrize(
    ("stage", "error"), [("infer", FetchError("none")), ("write", DeviceError("gone"))]
)
@at_once
def test_an_error_of_weights_or_device_ends_the_run(
    stage: str, error: Exception, num_at_once: int
) -> None:
    it = Run(num_at_once=num_at_once)
    it.fail[stage] = raises(error, 5)
    with pytest.raises(type(error)):
        it()


def test_little_is_decoded_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "num_cores", lambda: 2)
    it = Run()
    outcomes = run(JOBS, it.stages())
    next(outcomes)
    time.sleep(0.05)
    # One in the network, one a batch, two a pool of threads, and the one asked for.
    assert it.decoded <= 8
    outcomes.close()


@pytest.mark.parametrize(("num_cores", "num_threads"), [(1, 2), (12, 6), (96, 8)])
@pytest.mark.parametrize("stage", ["decode", "write"])
def test_more_cores_decode_and_write_more_at_once(
    monkeypatch: pytest.MonkeyPatch, stage: str, num_cores: int, num_threads: int
) -> None:
    monkeypatch.setattr(batch, "num_cores", lambda: num_cores)
    it = Run()
    inside = Inside()
    it.fail[stage] = inside
    it()
    assert inside.most == num_threads


@at_once
@pytest.mark.parametrize("batch_size", [1, 2])
def test_the_network_gets_as_many_batches_at_once_as_it_takes(
    num_at_once: int, batch_size: int
) -> None:
    it = Run(num_at_once=num_at_once)
    inside = Inside()
    it.fail["infer"] = lambda number: inside(number) if number % batch_size == 0 else None
    assert it(batch_size) == dict.fromkeys(range(12), "done")
    assert inside.most == num_at_once


def test_the_network_is_loaded_once_and_only_for_a_photograph_that_decodes() -> None:
    it = Run()
    it(4)
    assert it.num_loads == 1
    it = Run()
    it.fail["decode"] = raises(InputError("no image"), *range(12))
    it()
    assert it.num_loads == 0


def test_weights_that_cannot_be_had_end_the_run() -> None:
    it = Run()
    it.fail["load"] = raises(FetchError("none"), 0)
    with pytest.raises(FetchError):
        it()
    assert not it.written


@at_once
def test_closing_lets_begun_files_end_and_drops_the_rest(num_at_once: int) -> None:
    it = Run(num_at_once=num_at_once)
    began = threading.Event()

    def slow(_number: int) -> None:
        began.set()
        time.sleep(0.1)

    it.fail["write"] = slow
    outcomes: Any = run(JOBS, it.stages())
    next(outcomes)
    outcomes.close()
    num_written = len(it.written)
    time.sleep(0.2)
    assert began.is_set()
    assert len(it.written) == num_written < 12


def test_decode_and_write_run_beside_the_network() -> None:
    it = Run()
    meanwhile = {"decode": 0, "write": 0}
    inside = threading.Event()

    def note(stage: str) -> Callable[[int], None]:
        def notice(_number: int) -> None:
            meanwhile[stage] += inside.is_set()

        return notice

    def infer(_number: int) -> None:
        inside.set()
        time.sleep(0.02)
        inside.clear()

    it.fail = {"decode": note("decode"), "write": note("write"), "infer": infer}
    it()
    assert min(meanwhile.values()) > 0
    assert not any(isinstance(outcome, Failed) for outcome in run([], it.stages()))


@pytest.mark.parametrize("keeps", [True, False])
def test_photographs_are_kept_only_where_they_are_wanted(keeps: bool) -> None:
    it = Run((16, 32))
    it.keeps_photographs = keeps
    assert it(3) == dict.fromkeys(range(12), "done")


def test_jobs_that_are_to_be_alone_come_last_with_nothing_beside_them() -> None:
    it = Run()
    under_way = Inside()
    it.fail = {"decode": under_way, "write": under_way}
    outcomes = list(run(JOBS[2:], it.stages(), 4, alone=JOBS[:2]))
    numbers = [int(outcome.job.photograph.stem) for outcome in outcomes]
    assert numbers[-2:] == [0, 1]
    assert sorted(numbers) == list(range(12))
    assert under_way.most > 1
    under_way.most = 0
    list(run([], it.stages(), 4, alone=JOBS))
    assert under_way.most == 1
    assert it.batches[-12:] == [[number] for number in range(12)]


def png_of_size(width: int, height: int) -> bytes:
    """Return the beginning of a PNG, which is enough to know its size."""
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4s2I", 13, b"IHDR", width, height)


def test_large_photographs_are_decoded_one_after_the_other() -> None:
    it, inside = Run(), Inside()
    it.fail["decode"] = inside
    stages = dataclasses.replace(it.stages(), read=lambda _job: png_of_size(10_000, 10_000))
    # A quarter of it is to be used: 2.5 GB, and one of them takes 1 GB.
    outcomes = list(run(JOBS, stages, budget=MemoryBudget(lambda: 10 * 10**9)))
    assert inside.most == 2
    inside.most = 0
    outcomes += run(JOBS, stages, budget=MemoryBudget(lambda: 2 * 10**9))
    assert inside.most == 1
    assert all(isinstance(outcome, Done) for outcome in outcomes)


def test_a_photograph_that_cannot_fit_into_memory_fails_before_it_is_decoded() -> None:
    it = Run()

    def read(job: Job) -> bytes:
        return png_of_size(30_000, 30_000) if job.photograph.stem == "3" else b""

    stages = dataclasses.replace(it.stages(), read=read)
    outcomes = list(run(JOBS, stages, budget=MemoryBudget(lambda: 8 * 10**9)))
    (failed,) = (outcome for outcome in outcomes if isinstance(outcome, Failed))
    assert failed.job.photograph.stem == "3"
    assert "memory" in str(failed.error)
    assert it.decoded == 11
