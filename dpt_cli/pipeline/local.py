"""Many photographs at once on threads: decode ahead, run the network in batches, write behind.

It knows no terminal, network or file format. Those are the functions in `Stages`.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, Self, TypeVar

import numpy as np
import numpy.typing as npt

from dpt_cli.engine import RawOutput
from dpt_cli.errors import (
    DptError,
    InputError,
    NetworkOutputError,
    OutOfMemoryError,
    OutputError,
    UnexpectedError,
)
from dpt_cli.host import num_cores
from dpt_cli.photos.decode import Photo
from dpt_cli.pipeline.budget import BYTES_PER_PIXEL, MemoryBudget, decoding_bytes
from dpt_cli.pipeline.events import Done, Failed
from dpt_cli.pipeline.plan import Job
from dpt_cli.predict.predictor import MapT, Prepared

RGB = npt.NDArray[np.uint8]
A = TypeVar("A")
B = TypeVar("B")

# Errors that concern one photograph. Any other DptError ends the run.
_OF_ONE_PHOTOGRAPH = (InputError, OutputError, NetworkOutputError, OutOfMemoryError)
# Each thread that decodes or writes holds a photograph in several forms: 0.4 GB for 12 megapixels.
_MAX_WORKERS = 8


@dataclass(frozen=True)
class Stages(Generic[MapT]):
    """The steps of a photograph, each a function.

    `load` runs once, before the first `infer`, in the caller's thread, where an interrupt reaches
    it. It returns how many calls of `infer` keep the network busy at once. If that is one, `infer`
    runs in the caller's thread too. `write` returns the facts to report. It receives the pixels
    only with `keeps_photographs`, as they take 3 bytes each while they wait.
    """

    read: Callable[[Job], bytes]
    decode: Callable[[bytes, Job], Photo]
    prepare: Callable[[Photo], Prepared]
    load: Callable[[], int]
    infer: Callable[[Sequence[Prepared]], list[RawOutput]]
    finish: Callable[[RawOutput, Prepared, Job], MapT]
    write: Callable[[MapT, RGB | None, Job], Mapping[str, Any]]
    keeps_photographs: bool = False


@dataclass(frozen=True)
class _Item:
    job: Job
    rgb: RGB | None
    prepared: Prepared


@dataclass
class _Buckets:
    """Prepared photographs that wait for others of their network size."""

    batch_size: int
    by_size: dict[tuple[int, int], list[_Item]] = field(default_factory=lambda: defaultdict(list))

    def add(self, item: _Item) -> list[_Item]:
        """Add a photograph; return a full batch, the fullest if too many wait, or an empty one."""
        bucket = self.by_size[item.prepared.network_hw]
        bucket.append(item)
        waiting = sum(len(items) for items in self.by_size.values())
        if len(bucket) >= self.batch_size:
            return self.by_size.pop(item.prepared.network_hw)
        if waiting >= 2 * self.batch_size:
            return self.by_size.pop(max(self.by_size, key=lambda size: len(self.by_size[size])))
        return []


def run(
    jobs: Iterable[Job],
    stages: Stages[MapT],
    batch_size: int = 1,
    *,
    alone: Sequence[Job] = (),
    budget: MemoryBudget | None = None,
) -> Generator[Done | Failed, None, None]:
    """Process every job and yield its event, batch by batch.

    Photographs of one network size share a batch. Batches are formed in the order of the jobs, so
    that results do not depend on the threads. An error of one photograph never stops the others. A
    batch that does not fit into memory is halved, and later ones start at that size. Closing the
    iterator completes the files being written and drops the rest.

    Args:
        jobs: The photographs.
        stages: Their steps.
        batch_size: How many photographs share a batch.
        alone: Jobs to process after all others, one at a time.
        budget: The memory that decoding and writing may use.

    Raises:
        DptError: The weights or the device cannot be used.
    """
    budget = budget or MemoryBudget()
    buckets = _Buckets(batch_size)
    num_workers = min(_MAX_WORKERS, max(2, num_cores() // 2))
    num_ahead = batch_size + num_workers
    with (
        _threads("decode", num_workers) as decoders,
        _threads("write", num_workers) as writers,
        _Network(stages, buckets, writers, budget) as network,
    ):

        def prepare(job: Job) -> _Item | Failed:
            return guarded(job, lambda: _prepare(job, stages, budget))

        for item in _ahead(decoders, prepare, jobs, num_ahead):
            if isinstance(item, Failed):
                yield item
                continue
            network.start(buckets.add(item))
            yield from network.ended(num_writing=num_ahead)
        for items in buckets.by_size.values():
            network.start(items)
            yield from network.ended(num_writing=num_ahead)
        yield from network.ended(num_writing=0)
        for job in alone:
            item = prepare(job)
            if isinstance(item, Failed):
                yield item
                continue
            network.start([item])
            yield from network.ended(num_writing=0)


@contextmanager
def _threads(name: str, num_threads: int) -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(num_threads, name)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _ahead(
    pool: ThreadPoolExecutor, function: Callable[[A], B], values: Iterable[A], num_ahead: int
) -> Iterator[B]:
    """Map in order, at most `num_ahead` values ahead."""
    pending: deque[Future[B]] = deque()
    for value in values:
        pending.append(pool.submit(function, value))
        if len(pending) > num_ahead:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


class _Network(Generic[MapT]):
    """The batches in progress, in the network and in the threads that write."""

    def __init__(
        self,
        stages: Stages[MapT],
        buckets: _Buckets,
        writers: ThreadPoolExecutor,
        budget: MemoryBudget,
    ) -> None:
        self._stages: Stages[MapT] = stages
        self._buckets, self._writers, self._budget = buckets, writers, budget
        self._num_at_once = 0
        self._threads = ExitStack()
        self._pool: ThreadPoolExecutor | None = None
        self._batches: deque[Future[list[Future[Done | Failed]]]] = deque()
        self._writing: deque[Future[Done | Failed]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._threads.close()

    def start(self, items: Sequence[_Item]) -> None:
        """Give a batch to the network; ignore an empty one."""
        if not items:
            return
        if not self._num_at_once:
            self._num_at_once = self._stages.load()
            if self._num_at_once > 1:
                self._pool = self._threads.enter_context(_threads("network", self._num_at_once))
        if self._pool is None:
            # On a CPU the network is slower in other threads, whose heaps are smaller.
            self._writing.extend(self._infer(items))
        else:
            self._batches.append(self._pool.submit(self._infer, items))

    def ended(self, num_writing: int) -> Iterator[Done | Failed]:
        """Yield events, waiting until at most `num_writing` photographs are being written.

        The network keeps the batches that it runs at once and one that waits; with a `num_writing`
        of 0 it keeps none.
        """
        num_batches = self._num_at_once + 1 if num_writing else 0
        while len(self._batches) > num_batches or _has_ended(self._batches):
            self._writing.extend(self._batches.popleft().result())
        while len(self._writing) > num_writing or _has_ended(self._writing):
            yield self._writing.popleft().result()

    def _infer(self, items: Sequence[_Item]) -> list[Future[Done | Failed]]:
        outputs = _infer(items, self._stages, self._buckets)
        return [
            self._writers.submit(_finish, item, raw, self._stages, self._budget)
            for item, raw in outputs
        ]


def _has_ended(futures: Sequence[Future[A]]) -> bool:
    return bool(futures) and futures[0].done()


def guarded(job: Job, step: Callable[[], A]) -> A | Failed:
    """Run a step of one photograph; an error there fails this photograph alone."""
    try:
        return step()
    except _OF_ONE_PHOTOGRAPH as error:
        return Failed(job, error)
    except DptError:
        raise
    except MemoryError:
        return Failed(job, OutOfMemoryError("not enough memory"))
    except Exception as error:  # noqa: BLE001  # one photograph must not cost the others
        return Failed(job, UnexpectedError(error))


def _prepare(job: Job, stages: Stages[MapT], budget: MemoryBudget) -> _Item:
    data = stages.read(job)
    with budget.take(decoding_bytes(data)):
        photo = stages.decode(data, job)
        prepared = stages.prepare(photo)
    return _Item(job, photo.rgb if stages.keeps_photographs else None, prepared)


def _infer(
    items: Sequence[_Item], stages: Stages[MapT], buckets: _Buckets
) -> Iterator[tuple[_Item, RawOutput | Failed]]:
    outputs = guarded(items[0].job, lambda: stages.infer([item.prepared for item in items]))
    if not isinstance(outputs, Failed):
        yield from zip(items, outputs, strict=True)
    elif len(items) == 1:
        yield items[0], outputs
    else:
        # In halves, until each fits into memory or the photograph to blame is alone.
        half = len(items) // 2
        if isinstance(outputs.error, OutOfMemoryError):
            buckets.batch_size = min(buckets.batch_size, half)
        yield from _infer(items[:half], stages, buckets)
        yield from _infer(items[half:], stages, buckets)


def _finish(
    item: _Item, raw: RawOutput | Failed, stages: Stages[MapT], budget: MemoryBudget
) -> Done | Failed:
    if isinstance(raw, Failed):
        return raw

    def write() -> Done:
        height, width = item.prepared.photo_hw
        with budget.take(height * width * BYTES_PER_PIXEL):
            facts = stages.write(stages.finish(raw, item.prepared, item.job), item.rgb, item.job)
        return Done(item.job, facts)

    return guarded(item.job, write)
