"""Every output path of a run, worked out before anything is loaded."""

import hashlib
import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dpt_cli.errors import OutputError
from dpt_cli.photos.find import BadInput, Photograph


@dataclass(frozen=True)
class Job:
    """One photograph and where its outputs go, by format."""

    photograph: Path
    outputs: Mapping[str, Path]


def plan(
    photographs: Sequence[Photograph], folder: Path, suffixes: Mapping[str, str]
) -> tuple[list[Job], list[BadInput]]:
    """Work out every output path.

    An output is named for its photograph, without the extension. Where two would share a name,
    letter case aside, both keep the extension; where they still would, both get their folder's
    name too; and where even that does not tell them apart, a few digits of a hash of their path.

    Args:
        photographs: The inputs, with their place below the output folder.
        folder: The output folder.
        suffixes: What follows the name, by format: `{"color": "_depth.png"}`.

    Returns:
        The jobs, and the photographs whose output would overwrite an input.
    """
    stems = _distinct_stems(photographs)
    inputs = {os.path.realpath(photograph.path) for photograph in photographs}
    jobs, failures = [], []
    for photograph, stem in zip(photographs, stems, strict=True):
        outputs = {
            kind: folder / stem.with_name(stem.name + suffix) for kind, suffix in suffixes.items()
        }
        taken = [path for path in outputs.values() if os.path.realpath(path) in inputs]
        if taken:
            reason = f"its output {taken[0]} would overwrite an input; use another --output folder"
            failures.append(BadInput(photograph.path, reason))
        else:
            jobs.append(Job(photograph.path, outputs))
    return jobs, failures


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
    """Return one path per photograph, relative to the output folder, no two equal."""
    candidates = [list(_stem_candidates(photograph)) for photograph in photographs]
    choice = [0] * len(photographs)
    while True:
        by_name = defaultdict(list)
        for index, level in enumerate(choice):
            by_name[_folded(candidates[index][level])].append(index)
        clashing = [indices for indices in by_name.values() if len(indices) > 1]
        if not clashing:
            return [names[level] for names, level in zip(candidates, choice, strict=True)]
        for indices in clashing:
            for index in indices:
                # The last is a hash of the whole path, which no other photograph has.
                choice[index] = min(choice[index] + 1, len(candidates[index]) - 1)


def _folded(name: Path) -> str:
    """Return a name as the most forgiving file systems compare it."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", str(name)).casefold())


def _stem_candidates(photograph: Photograph) -> Iterator[Path]:
    relative = photograph.relative
    yield relative.with_suffix("")
    yield relative
    # The folders above, nearest first: x/a.jpg and y/a.jpg become x/a_… and y/a_….
    absolute = photograph.path.absolute()
    above = absolute.parts[1 : -len(relative.parts)]
    for depth in range(1, len(above) + 1):
        yield Path(*above[-depth:], relative.with_suffix(""))
        yield Path(*above[-depth:], relative)
    # IMG_1.JPG beside IMG_1.jpg. Of its own path alone, so that no twin changes it.
    for path, num_digits in ((relative, 6), (absolute, 6), (absolute, 64)):
        digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:num_digits]
        yield relative.with_name(f"{relative.name}~{digest}")
