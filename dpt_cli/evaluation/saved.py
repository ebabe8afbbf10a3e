"""Maps that were saved before, by dpt or by another program, scored without a network."""

from collections import Counter
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from dpt_cli.errors import InputError
from dpt_cli.evaluation.pairs import Pair, Pairs
from dpt_cli.evaluation.run import Scored, failed, guarded
from dpt_cli.evaluation.truth import Quantity, measured, read_array
from dpt_cli.formats.read import read_map
from dpt_cli.formats.table import formats_of
from dpt_cli.maps import DepthMap, LabelMap
from dpt_cli.maps.types import Provenance
from dpt_cli.pipeline.events import Failed

# Floats before numbers that are rounded.
_EXTENSIONS = (".npy", ".npz", ".exr", ".tiff", ".pfm", ".png")
_PICTURES = ("color", "overlay", "side", "gray")


@dataclass(frozen=True)
class Others:
    """How the maps of another program are read.

    Attributes:
        quantity: What their numbers are.
        scale: Stored steps per metre, or per unit of inverse depth; None for 1, which whole numbers
            do not take.
    """

    quantity: Quantity
    scale: float | None = 1.0


@dataclass
class SavedMaps:
    """The maps of a folder, to be scored on pairs.

    Attributes:
        folder: Where the maps lie, named for their photographs.
        task: `depth` or `segment`.
        pairs: What to score.
        score: Scores a map.
        others: How bare numbers are read; None for maps of dpt, which say what they are.
        made_by: What made the maps that were read, each once.
    """

    folder: Path
    task: Any
    pairs: Pairs
    score: Callable[[Any, tuple[int, int] | None, Pair], Mapping[str, Any]]
    others: Others | None = None
    made_by: Counter[Provenance] = field(default_factory=Counter)

    def events(self) -> Generator[Scored | Failed, None, None]:
        """Score every pair and yield what became of it.

        Raises:
            InputError: There is no such folder.
        """
        if not self.folder.is_dir():
            raise InputError(f"{self.folder}: there is no such folder of maps")
        yield from map(failed, self.pairs.failures)
        shared = Counter(tail for pair in self.pairs.pairs for tail in _tails(pair))
        for pair in self.pairs.pairs:
            unique = [tail for tail in _tails(pair) if shared[tail] == 1]

            def score(pair: Pair = pair, tails: list[PurePath] = unique) -> Mapping[str, Any]:
                return self.score(self._map_of(pair, tails), None, pair)

            yield guarded(pair, score)

    def _map_of(self, pair: Pair, tails: list[PurePath]) -> DepthMap | LabelMap:
        """Return the map of a photograph.

        Raises:
            InputError: There is none, or it cannot be read.
        """
        suffixes = [] if self.others else self._suffixes()
        candidates = [
            self.folder / tail.with_name(tail.name + suffix)
            for tail in tails
            for suffix in (*suffixes, *_EXTENSIONS)
        ]
        path = next((path for path in candidates if path.is_file()), None)
        if path is None:
            names = f"{pair.photograph.stem}{{{','.join([*suffixes, *_EXTENSIONS])}}}"
            raise InputError(f"no map of it in {self.folder}: {names}")
        result = read_map(path) if self.others is None else _bare(path, self.others)
        made_by = result.provenance
        key = Provenance(
            made_by.weights,
            precision=made_by.precision,
            model=made_by.model,
            weights_sha256=made_by.weights_sha256,
            engine=made_by.engine,
        )
        self.made_by[key] += 1
        return result

    def _suffixes(self) -> list[str]:
        known = [it for it in formats_of(self.task).values() if it.extension in _EXTENSIONS]
        known.sort(key=lambda it: _EXTENSIONS.index(it.extension))
        return list(dict.fromkeys(it.suffix for it in known if it.name not in _PICTURES))


def _tails(pair: Pair) -> list[PurePath]:
    """Return the ends of a photograph's path without its suffix, the longest first.

    A run over a data set names its maps below the folder that it was given, which may be any.
    """
    path = PurePath(pair.name).with_suffix("")
    return [PurePath(*path.parts[start:]) for start in range(len(path.parts))]


def _bare(path: Path, others: Others) -> DepthMap:
    stored = read_array(path)
    if stored.ndim != 2:
        raise InputError(f"{path}: expected one number per pixel, got {stored.shape}")
    if others.scale is None and stored.dtype.kind in "ui":
        raise InputError(
            f"{path} holds whole numbers ({stored.dtype}), and nothing is aligned: say how many of "
            "them are one metre with --predicted-scale, such as 1000 for millimetres"
        )
    values = stored.astype(np.float64) / (others.scale or 1.0)
    if others.quantity == "depth":
        # Zero is how pictures say that there is no depth, not a depth of zero.
        return DepthMap(measured(values).astype(np.float32), "depth")
    return DepthMap(values.astype(np.float32), "inverse_depth")
