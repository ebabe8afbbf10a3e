"""Many photographs: plan every output before anything is loaded, then run, whatever fails.

Knows no terminal, no network and no file format: those come as plain functions in `Stages`.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic

import numpy as np
import numpy.typing as npt

from dpt_cli.engine import RawOutput
from dpt_cli.errors import DptError, InputError, NetworkOutputError, OutputError
from dpt_cli.inputs import Photograph
from dpt_cli.predict import MapT, Prepared

RGB = npt.NDArray[np.uint8]

# The errors that belong to one photograph; any other ends the run.
_OF_ONE_PHOTOGRAPH = (InputError, OutputError, NetworkOutputError)


@dataclass(frozen=True)
class Job:
    """One photograph and where its outputs go, by format."""

    photograph: Path
    outputs: Mapping[str, Path]


@dataclass(frozen=True)
class Stages(Generic[MapT]):
    """What happens to a photograph, step by step."""

    decode: Callable[[Path], RGB]
    prepare: Callable[[RGB], Prepared]
    infer: Callable[[Sequence[Prepared]], list[RawOutput]]
    finish: Callable[[RawOutput, Prepared], MapT]
    write: Callable[[MapT, RGB, Mapping[str, Path]], None]


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


@dataclass
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
        if len(bucket) == self.batch_size:
            return self.by_size.pop(item.prepared.network_hw)
        if waiting >= 2 * self.batch_size:
            return self.by_size.pop(max(self.by_size, key=lambda size: len(self.by_size[size])))
        return []


def plan(photographs: Sequence[Photograph], folder: Path, suffixes: Mapping[str, str]) -> list[Job]:
    """Work out every output path.

    An output is named for its photograph, without the extension. Where two would share a name,
    letter case aside, both keep the extension; where they still would, both get their folder's
    name too.

    Args:
        photographs: The inputs, with their place below the output folder.
        folder: The output folder.
        suffixes: What follows the name, by format: `{"color": "_depth.png"}`.

    Raises:
        OutputError: An output would overwrite an input, or two inputs cannot be told apart.
    """
    stems = _distinct_stems(photographs)
    jobs = [
        Job(
            photograph.path,
            {
                kind: folder / stem.with_name(stem.name + suffix)
                for kind, suffix in suffixes.items()
            },
        )
        for photograph, stem in zip(photographs, stems, strict=True)
    ]
    inputs = {os.path.realpath(job.photograph): job.photograph for job in jobs}
    for job in jobs:
        for output in job.outputs.values():
            if os.path.realpath(output) in inputs:
                raise OutputError(
                    f"{output} would overwrite an input; choose another folder with --output"
                )
    return jobs


def run(
    jobs: Iterable[Job], stages: Stages[MapT], batch_size: int = 1
) -> Iterator["Done[MapT] | Failed"]:
    """Do every job and yield what became of it, in the order they end.

    Photographs of one network size share a batch. An error of one photograph never stops the
    others.

    Raises:
        DptError: Weights, device or memory: nothing more can be done.
    """
    buckets = _Buckets(batch_size)
    for job in jobs:
        try:
            rgb = stages.decode(job.photograph)
            item = _Item(job, rgb, stages.prepare(rgb))
        except _OF_ONE_PHOTOGRAPH as error:
            yield Failed(job, error)
            continue
        yield from _run_batch(buckets.add(item), stages)
    for items in buckets.by_size.values():
        yield from _run_batch(items, stages)


def _run_batch(items: Sequence[_Item], stages: Stages[MapT]) -> "Iterator[Done[MapT] | Failed]":
    if not items:
        return
    try:
        outputs = stages.infer([item.prepared for item in items])
    except NetworkOutputError as error:
        if len(items) == 1:
            yield Failed(items[0].job, error)
        else:
            # One at a time, to find whose it was.
            for item in items:
                yield from _run_batch([item], stages)
        return
    for item, raw in zip(items, outputs, strict=True):
        try:
            result = stages.finish(raw, item.prepared)
            stages.write(result, item.rgb, item.job.outputs)
        except _OF_ONE_PHOTOGRAPH as error:
            yield Failed(item.job, error)
        else:
            yield Done(item.job, result)


def _distinct_stems(photographs: Sequence[Photograph]) -> list[Path]:
    """Return one path a photograph, relative to the output folder, no two equal."""
    candidates = [list(_stem_candidates(photograph)) for photograph in photographs]
    choice = [0] * len(photographs)
    while True:
        by_name = defaultdict(list)
        for index, level in enumerate(choice):
            by_name[str(candidates[index][level]).casefold()].append(index)
        clashing = [indices for indices in by_name.values() if len(indices) > 1]
        if not clashing:
            return [names[level] for names, level in zip(candidates, choice, strict=True)]
        for indices in clashing:
            for index in indices:
                choice[index] += 1
                if choice[index] == len(candidates[index]):
                    first, second = (photographs[i].path for i in indices[:2])
                    raise OutputError(
                        f"{first} and {second} would share an output; "
                        "give each its own --output folder"
                    )


def _stem_candidates(photograph: Photograph) -> Iterator[Path]:
    relative = photograph.relative
    yield relative.with_suffix("")
    yield relative
    # The folders above, nearest first: x/a.jpg and y/a.jpg become x/a.jpg_… and y/a.jpg_….
    above = photograph.path.absolute().parts[1 : -len(relative.parts)]
    for depth in range(1, len(above) + 1):
        yield Path(*above[-depth:], relative)
