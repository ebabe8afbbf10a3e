"""Every output path of a run, worked out before anything is loaded."""

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dpt_cli.errors import OutputError
from dpt_cli.inputs import Photograph


@dataclass(frozen=True)
class Job:
    """One photograph and where its outputs go, by format."""

    photograph: Path
    outputs: Mapping[str, Path]


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


def check_folder(folder: Path) -> None:
    """Refuse an output folder that cannot be written, before any work is done.

    Raises:
        OutputError: It is a file, or neither it nor the nearest folder above it can be written.
    """
    there = folder.absolute()
    while not os.path.lexists(there):
        there = there.parent
    if not there.is_dir():
        raise OutputError(f"cannot write into {folder}: {there} is not a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write into {folder}: no permission in {there}")


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
    # The folders above, nearest first: x/a.jpg and y/a.jpg become x/a_… and y/a_….
    above = photograph.path.absolute().parts[1 : -len(relative.parts)]
    for depth in range(1, len(above) + 1):
        yield Path(*above[-depth:], relative.with_suffix(""))
        yield Path(*above[-depth:], relative)
