"""Many photographs side by side: decode ahead, run in batches, write behind, whatever fails.

Knows no terminal, no network and no file format: those come as plain functions in `Stages`.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from dpt_cli.engine import RawOutput
from dpt_cli.errors import (
    DptError,
    InputError,
    NetworkOutputError,
    OutOfMemoryError,
    OutputError,
)
from dpt_cli.plan import Job
from dpt_cli.predict import MapT, Prepared

RGB = npt.NDArray[np.uint8]
A = TypeVar("A")
B = TypeVar("B")

# The errors that belong to one photograph; any other ends the run.
_OF_ONE_PHOTOGRAPH = (InputError, OutputError, NetworkOutputError, OutOfMemoryError)
# Decoding and writing each get this many threads: both let go of Python's lock while they work.
_NUM_WORKERS = 2


@dataclass(frozen=True)
class Stages(Generic[MapT]):
    """What happens to a photograph, step by step.

    `decode`, `prepare`, `finish` and `write` run in threads of their own; `infer` in the caller's.
    """

    decode: Callable[[Job], RGB]
    prepare: Callable[[RGB], Prepared]
    infer: Callable[[Sequence[Prepared]], list[RawOutput]]
    finish: Callable[[RawOutput, Prepared], MapT]
    write: Callable[[MapT, RGB, Job], None]


@dataclass(frozen=True)
class Done(Generic[MapT]):
    """A photograph whose outputs are all written."""

    job: Job
    result: MapT


@dataclass(frozen=True)
class Failed:
    """A photograph that could not be done, and why."""

    job: Job
    error: DptError


@dataclass(frozen=True)
class _Item:
    job: Job
    rgb: RGB
    prepared: Prepared


@dataclass
class _Buckets:
    """Prepared photographs waiting for others of their network size."""

    batch_size: int
    by_size: dict[tuple[int, int], list[_Item]] = field(default_factory=lambda: defaultdict(list))

    def add(self, item: _Item) -> list[_Item]:
        """Add one; return a batch that is full, or the fullest where too many wait, or none."""
        bucket = self.by_size[item.prepared.network_hw]
        bucket.append(item)
        waiting = sum(len(items) for items in self.by_size.values())
        if len(bucket) >= self.batch_size:
            return self.by_size.pop(item.prepared.network_hw)
        if waiting >= 2 * self.batch_size:
            return self.by_size.pop(max(self.by_size, key=lambda size: len(self.by_size[size])))
        return []


def run(
    jobs: Iterable[Job], stages: Stages[MapT], batch_size: int = 1
) -> Generator[Done[MapT] | Failed, None, None]:
    """Do every job and yield what became of it, in the order they end.

    Photographs of one network size share a batch, made up in the order of the jobs, so that
    results do not depend on the threads. An error of one photograph never stops the others. A
    batch that does not fit into memory is halved, and so are those after it. Closing the iterator
    lets the files being written end and drops the rest.

    Raises:
        DptError: Weights or device: nothing more can be done.
    """
    buckets = _Buckets(batch_size)
    writing: deque[Future[Done[MapT] | Failed]] = deque()
    with _threads("decode") as decoders, _threads("write") as writers:

        def infer(items: Sequence[_Item]) -> Iterator[Failed]:
            for item, raw in _infer(items, stages, buckets):
                if isinstance(raw, Failed):
                    yield raw
                else:
                    writing.append(writers.submit(_finish, item, raw, stages))

        def written(num_left: int) -> Iterator[Done[MapT] | Failed]:
            while len(writing) > num_left or (writing and writing[0].done()):
                yield writing.popleft().result()

        for item in _ahead(decoders, lambda job: _prepare(job, stages), jobs, batch_size):
            if isinstance(item, Failed):
                yield item
                continue
            yield from infer(buckets.add(item))
            yield from written(batch_size + _NUM_WORKERS)
        for items in buckets.by_size.values():
            yield from infer(items)
        yield from written(0)


@contextmanager
def _threads(name: str) -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(_NUM_WORKERS, name)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _ahead(
    pool: ThreadPoolExecutor, function: Callable[[A], B], values: Iterable[A], batch_size: int
) -> Iterator[B]:
    """Map in order, no further ahead than the next batch and what the threads hold."""
    pending: deque[Future[B]] = deque()
    for value in values:
        pending.append(pool.submit(function, value))
        if len(pending) > batch_size + _NUM_WORKERS:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


def _prepare(job: Job, stages: Stages[MapT]) -> _Item | Failed:
    try:
        rgb = stages.decode(job)
        return _Item(job, rgb, stages.prepare(rgb))
    except _OF_ONE_PHOTOGRAPH as error:
        return Failed(job, error)
    except MemoryError:
        return Failed(job, OutOfMemoryError("not enough memory to prepare it"))


def _infer(
    items: Sequence[_Item], stages: Stages[MapT], buckets: _Buckets
) -> Iterator[tuple[_Item, RawOutput | Failed]]:
    if not items:
        return
    try:
        yield from zip(items, stages.infer([item.prepared for item in items]), strict=True)
    except (NetworkOutputError, OutOfMemoryError) as error:
        if len(items) == 1:
            yield items[0], Failed(items[0].job, error)
            return
        # Halves: until each fits into memory, or the one whose numbers are wrong stands alone.
        half = len(items) // 2
        if isinstance(error, OutOfMemoryError):
            buckets.batch_size = min(buckets.batch_size, half)
        yield from _infer(items[:half], stages, buckets)
        yield from _infer(items[half:], stages, buckets)


def _finish(item: _Item, raw: RawOutput, stages: Stages[MapT]) -> Done[MapT] | Failed:
    try:
        result = stages.finish(raw, item.prepared)
        stages.write(result, item.rgb, item.job)
    except _OF_ONE_PHOTOGRAPH as error:
        return Failed(item.job, error)
    except MemoryError:
        return Failed(item.job, OutOfMemoryError("not enough memory to write it"))
    return Done(item.job, result)
