"""Photographs paired with their truth: by name, or by a list."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dpt_cli.errors import InputError
from dpt_cli.evaluation.truth import Truth
from dpt_cli.photos.find import BadInput, find_photographs
from dpt_cli.pipeline.made import MadeByDpt

_ARRAY_SUFFIXES = frozenset({".npy", ".npz", ".pfm", ".exr"})


@dataclass(frozen=True)
class Pair:
    """A photograph and its truth.

    Attributes:
        name: What it is called in reports, such as its path below the data set.
        photograph: The photograph's file; inside a container, the container and a number.
        truth: Where the truth lies and how it is read.
    """

    name: str
    photograph: Path
    truth: Truth


@dataclass(frozen=True)
class Pairs:
    """What is to be scored.

    Attributes:
        pairs: Photographs with their truth.
        failures: Photographs that cannot be scored, most for want of a truth, and why.
        remark: What was left out, in words; empty where nothing was.
    """

    pairs: tuple[Pair, ...]
    failures: tuple[BadInput, ...] = ()
    remark: str = ""

    def __post_init__(self) -> None:
        """Refuse a photograph that is there twice: one of its scores would be lost.

        Raises:
            InputError: With the photograph.
        """
        counts = Counter(pair.photograph for pair in self.pairs)
        twice = [path for path, count in counts.items() if count > 1]
        if twice:
            raise InputError(f"{twice[0]} has two truths")


def pair_by_name(
    photographs: Path, truths: Path, suffixes: Sequence[str], truth_of: Callable[[Path], Truth]
) -> Pairs:
    """Pair two folders: a truth has its photograph's path, except for the suffix.

    Two files are paired whatever their names.

    Args:
        photographs: A folder, or one photograph.
        truths: A folder, or one truth.
        suffixes: What a truth's name may end in.
        truth_of: Says how a truth is read.

    Raises:
        InputError: A folder or file is missing, or no photograph has a truth.
    """
    for path in (photographs, truths):
        if not path.exists():
            raise InputError(f"{path}: there is no such file or folder")
    if photographs.is_dir() != truths.is_dir():
        raise InputError(f"{photographs} and {truths} must be two folders or two files")
    if not photographs.is_dir():
        return Pairs((Pair(photographs.name, photographs, truth_of(truths)),))
    found = find_photographs((photographs,))
    by_stem = _by_stem(truths, suffixes)
    pairs, failures = [], list(found.failures)
    for photograph in found.photographs:
        stem = photograph.relative.with_suffix("")
        candidates = by_stem.pop(stem, [])
        if len(candidates) == 1:
            name = photograph.relative.as_posix()
            pairs.append(Pair(name, photograph.path, truth_of(candidates[0])))
        elif candidates:
            names = ", ".join(path.name for path in candidates)
            failures.append(BadInput(photograph.path, f"has several truths in {truths}: {names}"))
        else:
            expected = f"{stem}{{{','.join(suffixes)}}}"
            failures.append(BadInput(photograph.path, f"has no truth: {truths / expected}"))
    if not pairs:
        raise InputError(
            f"no photograph of {photographs} has a truth of its name in {truths} "
            f"({', '.join(suffixes)}); pair them in a list instead: --pairs FILE"
        )
    rest = sum(map(len, by_stem.values()))
    return Pairs(tuple(pairs), tuple(failures), f"{rest} truths have no photograph" if rest else "")


def pair_by_list(path: Path, truth_of: Callable[[Path], Truth]) -> Pairs:
    """Pair the photographs and truths of a list, two paths per line, relative to the list.

    Paths are separated by a tab, or else by blanks. Empty lines and those after # are passed over.

    Raises:
        InputError: The list cannot be read, or a line does not have two paths.
    """
    pairs = []
    for number, line in enumerate(read_lines(path), 1):
        if not line or line.startswith("#"):
            continue
        words = line.split("\t") if "\t" in line else line.split()
        if len(words) != 2:
            raise InputError(f"{path}, line {number}: expected a photograph and a truth: {line!r}")
        photograph, truth = (path.parent / word.strip() for word in words)
        pairs.append(Pair(words[0].strip(), photograph, truth_of(truth)))
    if not pairs:
        raise InputError(f"{path} lists no pair")
    return Pairs(tuple(pairs))


def without_maps(pairs: Pairs, *, are_predictions_given: bool) -> Pairs:
    """Turn each pair whose first file is its own truth, or a map, into a failure.

    The network would make a map of the map, and its scores would look plausible.

    Args:
        pairs: The user's own pairs.
        are_predictions_given: Whether saved maps are scored, so that no network runs on the files.
    """
    is_made = MadeByDpt()
    kept, failures = [], list(pairs.failures)
    for pair in pairs.pairs:
        path, reason = pair.photograph, ""
        if os.path.realpath(path) == os.path.realpath(pair.truth.path):
            reason = "is both the photograph and its truth; give the truth in a folder of its own"
        elif are_predictions_given:
            pass
        elif is_made(path):
            reason = "is a map made by dpt; score saved maps with --predictions FOLDER"
        elif path.suffix.lower() in _ARRAY_SUFFIXES:
            reason = "is an array, not a photograph; score saved maps with --predictions FOLDER"
        if reason:
            failures.append(BadInput(path, reason))
        else:
            kept.append(pair)
    return Pairs(tuple(kept), tuple(failures), pairs.remark)


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text, stripped.

    Raises:
        InputError: It cannot be read.
    """
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path}: not a text in UTF-8") from error


def _by_stem(folder: Path, suffixes: Sequence[str]) -> dict[Path, list[Path]]:
    """Return the files of a folder by their path below it, without the suffix."""
    found: dict[Path, list[Path]] = {}
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(place, name)
            if path.suffix.lower() in suffixes and not name.startswith("."):
                found.setdefault(path.relative_to(folder).with_suffix(""), []).append(path)
    return found
