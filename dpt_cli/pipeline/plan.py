"""Every output path of a run, determined before anything is loaded."""

import hashlib
import itertools
import os
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
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
    photographs: Sequence[Photograph],
    folder: Path,
    suffixes: Mapping[str, str],
    is_named: Callable[[Path, Path], bool] | None = None,
) -> tuple[list[Job], list[BadInput]]:
    """Determine every output path.

    An output is named after its photograph, without the extension. Where two would share a name,
    ignoring letter case, both keep the extension; where they still would, both get the name of
    their folder too; and as a last resort a few digits of a hash of their path. A photograph whose
    outputs have such a name already keeps it, whatever comes or goes beside it.

    Args:
        photographs: The inputs, with their place below the output folder.
        folder: The output folder.
        suffixes: What follows the name, by format: `{"color": "_depth.png"}`.
        is_named: Returns whether outputs of a photograph (its path) have a stem already; None where
            there are no outputs yet.

    Returns:
        The jobs, and the photographs whose output would overwrite an input.
    """
    stems = _distinct_stems(photographs, is_named)
    inputs = {os.path.realpath(photograph.path) for photograph in photographs}
    jobs, failures = [], []
    for photograph, stem in zip(photographs, stems, strict=True):
        outputs = {kind: folder / f"{stem}{suffix}" for kind, suffix in suffixes.items()}
        taken = [path for path in outputs.values() if os.path.realpath(path) in inputs]
        if taken:
            lost = f"its output {taken[0]} would overwrite an input"
            if os.path.realpath(photograph.path) in map(os.path.realpath, taken):
                lost = "its output would overwrite the file itself"
            reason = f"{lost}; use another --output folder"
            failures.append(BadInput(photograph.path, reason))
        else:
            jobs.append(Job(photograph.path, outputs))
    return jobs, failures


def check_folder(folder: Path) -> None:
    """Check that an output folder can be written, before any work is done.

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


def _distinct_stems(
    photographs: Sequence[Photograph], is_named: Callable[[Path, Path], bool] | None
) -> list[Path]:
    """Return one path per photograph, relative to the output folder, no two equal."""
    choices = [_Stems(photograph) for photograph in photographs]
    _tell_apart(choices, kept={})
    if is_named is not None:
        kept: dict[str, _Stems] = {}
        for choice, photograph in zip(choices, photographs, strict=True):
            for level, stem in enumerate(choice):
                if is_named(stem, photograph.path) and _folded(stem) not in kept:
                    kept[_folded(stem)], choice.level = choice, level
                    break
        _tell_apart(choices, kept)
    return [choice.chosen for choice in choices]


class _Stems:
    """The stems that a photograph may have, shortest first, computed as they are needed."""

    def __init__(self, photograph: Photograph) -> None:
        self.level = 0
        self._more = _stem_candidates(photograph)
        self._known = [next(self._more)]

    def __iter__(self) -> Iterator[Path]:
        yield from self._known
        for stem in self._more:
            self._known.append(stem)
            yield stem

    @property
    def chosen(self) -> Path:
        return self._known[self.level]

    def lengthen(self) -> None:
        """Choose the next; the last is a hash of the whole path, which nothing else has."""
        if self.level + 1 == len(self._known):
            self._known += itertools.islice(self._more, 1)
        self.level = min(self.level + 1, len(self._known) - 1)


def _tell_apart(choices: Sequence[_Stems], kept: Mapping[str, _Stems]) -> None:
    """Lengthen stems until all differ; those that are kept stay."""
    clashing = [list(choices)]
    while clashing:
        by_name = defaultdict(list)
        for choice in choices:
            by_name[_folded(choice.chosen)].append(choice)
        clashing = [alike for alike in by_name.values() if len(alike) > 1]
        for choice in itertools.chain.from_iterable(clashing):
            if kept.get(_folded(choice.chosen)) is not choice:
                choice.lengthen()


def _folded(name: Path) -> str:
    """Return a name as the least strict file systems compare it."""
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
    # For IMG_1.JPG beside IMG_1.jpg. The hash is of its own path, so that no twin changes it.
    for path, num_digits in ((relative, 6), (absolute, 6), (absolute, 64)):
        digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:num_digits]
        yield relative.with_name(f"{relative.name}~{digest}")
