"""The scores of a folder, one line of JSON per picture, so that an evaluation can be continued.

A line counts while the photograph and the truth have the size and time that it records, and the
truth is read in the same way.
"""

import hashlib
import json
import os
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from dpt_cli.errors import OutputError, errors_as
from dpt_cli.evaluation.pairs import Pair
from dpt_cli.formats.files import open_regular
from dpt_cli.pipeline.manifest import LOCK_NAME, lock_folder

SCORES_NAME = "scores.jsonl"
# To be raised with every change of the scores of the same map and truth.
_SCHEMA = 1
_ENDS = f', "schema": {_SCHEMA}}}\n'

Scores = Mapping[str, Any]  # JSON values


class ScoreStore:
    """The scores of an output folder; while open, other evaluations are kept out.

    Raises:
        OutputError: The folder is in use, cannot be written, or its file is none of ours.
    """

    def __init__(self, folder: Path) -> None:
        """Name the folder; it is made when the store is opened."""
        self.folder = folder
        self._path = folder / SCORES_NAME
        # Unparsed, by recipe and photograph: a data set may have many thousands.
        self._lines: dict[tuple[str, str], str] = {}
        self._mutex = threading.Lock()

    def __enter__(self) -> Self:
        with errors_as(OutputError, f"cannot write into {self.folder}"), ExitStack() as resources:
            self.folder.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT
            locked = os.fdopen(open_regular(self.folder / LOCK_NAME, flags, OutputError), "ab")
            resources.callback(locked.close)
            lock_folder(locked, self.folder)
            self._file = os.fdopen(open_regular(self._path, flags, OutputError), "a+b", 0)
            resources.callback(self._file.close)
            resources.callback(os.fsync, self._file.fileno())
            self._read()
            self._resources = resources.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        with errors_as(OutputError, f"cannot write {self._path}"), self._resources:
            pass

    def find(self, pair: Pair, recipe: str) -> Scores | None:
        """Return the scores of a pair by the same recipe, None where they must be made (again)."""
        line = self._lines.get((recipe, os.path.realpath(pair.photograph)))
        if line is None:
            return None
        record = json.loads(line)
        if record["truth"] != repr(pair.truth) or record["files"] != self._stamps(pair):
            return None
        scores: Scores = record["scores"]
        return scores

    def add(self, pair: Pair, recipe: str, scores: Scores) -> None:
        """Record the scores of a pair."""
        record: dict[str, Any] = {
            "recipe": recipe,
            "photograph": os.path.realpath(pair.photograph),
            "truth": repr(pair.truth),
            "files": self._stamps(pair),
            "scores": scores,
            "schema": _SCHEMA,
        }
        # ASCII: names that are no UTF-8 come back as they were.
        line = json.dumps(record, allow_nan=False) + "\n"
        with errors_as(OutputError, f"cannot write {self._path}"), self._mutex:
            self._file.write(line.encode("ascii"))
            self._lines[recipe, record["photograph"]] = line

    def _read(self) -> None:
        self._file.seek(0)
        content = self._file.read().decode("ascii", "replace")
        for line in content.splitlines(keepends=True):
            if not line.endswith(_ENDS):
                continue
            try:
                record = json.loads(line)
                self._lines[record["recipe"], record["photograph"]] = line
            except (ValueError, KeyError, TypeError):
                continue
        if content.strip() and not self._lines and '"recipe"' not in content:
            raise OutputError(
                f"{self._path} holds no scores of this dpt; move it away or use another folder"
            )
        if content and not content.endswith("\n"):  # what a kill left of a line
            self._file.write(b"\n")

    def _stamps(self, pair: Pair) -> list[list[int]]:
        """Return size and time of the photograph and the truth; of a container, its own."""
        return [self._stamp(pair.photograph), self._stamp(pair.truth.path)]

    def _stamp(self, path: Path) -> list[int]:
        try:
            status = path.stat()
        except OSError:
            return []
        return [status.st_size, status.st_mtime_ns]


def recipe_of(**decides: Any) -> str:
    """Return a short name for everything, besides the two files, that decides a score."""
    text = json.dumps(decides, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
