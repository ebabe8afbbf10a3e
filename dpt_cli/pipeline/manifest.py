"""The record of what an output folder's files were made from, one line of JSON per event.

It knows no picture, network or file format. dpt may replace a file only if the manifest claims it.
"""

import io
import json
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal, Self

from dpt_cli.errors import InputError, OutputError, errors_as
from dpt_cli.formats.files import open_regular
from dpt_cli.photos.source import Stamp, is_same, stamp_of
from dpt_cli.version import __version__

MANIFEST_NAME = "manifest.jsonl"
LOCK_NAME = ".dpt.lock"
Decision = Literal["do", "skip", "foreign", "edited"]
# Why a run leaves outputs alone.
UNTOUCHED: Mapping[str, str] = {
    "foreign": "output already exists and was not made from this photograph by dpt",
    "edited": "output was changed since dpt made it",
}
Outputs = Mapping[str, Path]  # by format
Facts = Mapping[str, Any]  # JSON values, floats finite
Stamps = Mapping[str, Stamp]  # of outputs, by format

# Raise this when a format writes other bytes for the same map.
WRITTEN_BYTES = 2
_SCHEMA = 1
# The last key: a line that ends with it is complete.
_ENDS = (f', "schema": {_SCHEMA}}}\n', f', "schema": {_SCHEMA}}}')
_INPUT_PATH = ', "input": {"path": "'
# What json.loads, and a look into its result, raise for a line that dpt did not write.
_GARBLED = (ValueError, TypeError, KeyError, AttributeError, RecursionError)


@dataclass(frozen=True)
class Recipe:
    """What decides an output's bytes, besides the photograph.

    Attributes:
        settings: JSON values; not device, batch size or the list of formats.
        weights: The weights in words, for people.
        weights_sha256: Hash of the weights.
        options: What decides the bytes of one format alone, by format.
    """

    settings: Facts
    weights: str
    weights_sha256: str
    options: Mapping[str, Facts] = field(default_factory=dict)

    def of(self, kind: str) -> Facts:
        """Return the settings that decide the bytes of one format."""
        return {**self.settings, **self.options.get(kind, {})}


class Manifest:
    """The record of an output folder, `manifest.jsonl`. While it is open, it locks out other runs.

    A line is a JSON object in ASCII. The last `done` line that names an output counts; lines of any
    other form are ignored. Its keys, in this order, with `schema` (1) last:

    - `state`: `reading` (decoding begins), `begun` (the outputs may exist from now on), `done`,
      `failed`, or `stopped` (the run ended early, and the photograph is not to blame).
    - `outputs`: paths by format, relative to the folder, with `/`; empty except in `begun`, `done`.
      The gallery's page has the format `folder`, and this folder for its `input`.
    - `input`: `path`, absolute, links followed; in `done` also `size`, `mtime_ns`, `sha256`.
    - In `begun` and `done`: `files`, the same three keys for each output.
    - In `done`: `settings`, `weights`, `weights_sha256`; `facts`, which the run reports; `dpt`, the
      version; `written_bytes`, the version of the formats.
    - In `failed`: `error`, in words, and `traceback` for an unexpected error.

    Opening creates the folder. `read_only` is for a dry run: nothing is created, locked or written.
    `num_records` counts lines; `is_locked` is false on a file system without locks.

    Raises:
        OutputError: In use by another run, not writable, or a file that is not a manifest.
    """

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        self.folder = folder
        self.num_records = 0
        self.is_locked = False
        self._path = folder / MANIFEST_NAME
        self._read_only = read_only
        self._mutex = threading.Lock()
        self._is_torn = False
        # By output: its last `done` line and the last claim after it; "" where there is none. They
        # are not parsed, as that would take three times the memory.
        self._lines: dict[str, str] = {}
        self._claims: dict[str, str] = {}
        # By photograph: how often its decoding began and nothing was recorded since.
        self._reading: dict[str, int] = {}

    def __enter__(self) -> Self:
        with (
            errors_as(OutputError, f"cannot write into {self.folder}"),
            ExitStack() as resources,
        ):
            if not self._read_only:
                self.folder.mkdir(parents=True, exist_ok=True)
                lock = _opened(self.folder / LOCK_NAME, "ab")
                resources.callback(lock.close)
                self.is_locked = lock_folder(lock, self.folder)
                # Unbuffered: a line is one write.
                self._file = _opened(self._path, "a+b")
                resources.callback(self._file.close)
                resources.callback(os.fsync, self._file.fileno())
            if os.path.lexists(self._path):
                self._read()
            self._suspects = {path: count for path, count in self._reading.items() if count > 0}
            self._resources = resources.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        with errors_as(OutputError, f"cannot write {self._path}"), self._resources:
            # A killed run does not get here, so that the photographs it was reading stay suspect.
            for path, count in list(self._reading.items()):
                if count > self._suspects.get(path, 0):
                    self._append("stopped", {}, {"path": path})

    @property
    def names(self) -> Iterable[str]:
        """Return the names of all outputs that have ever been claimed."""
        return self._lines.keys()

    def is_of(self, name: str, photograph: Path) -> bool:
        """Return whether an output was last claimed for a photograph.

        The photograph is the same if its path is, or if its content is and the old path is gone.
        """
        record = _parsed(self._lines.get(name) or self._claims.get(name, ""))
        made_of, real = _get(record, "input", "path"), _real(photograph)
        if made_of == real:
            return True
        is_gone = isinstance(made_of, str) and not os.path.lexists(made_of)
        return is_gone and _is_photograph(Path(real), made_of, _get(record, "input"))

    def num_deaths(self, photograph: Path) -> int:
        """Return how often a run was killed between decoding a photograph and recording a result.

        It is counted when the manifest is opened. Photographs in progress beside it count as well.
        """
        return self._suspects.get(_real(photograph), 0)

    def decide(self, photograph: Path, outputs: Outputs, recipe: Recipe) -> Decision:
        """Return what to do with a photograph.

        - `foreign`: an output exists that dpt did not make, or that is another photograph's.
        - `edited`: an output was made by dpt and has changed since.
        - `skip`: all outputs were made from this photograph, unchanged since, by this recipe.
        - `do`: anything else.

        A file is unchanged if its size is the same, and its time or its content.
        """
        names = self._names(outputs)
        # lexists: a dangling link belongs to somebody too.
        there = {kind for kind in names if os.path.lexists(outputs[kind])}
        if any(names[kind] not in self._lines for kind in there):
            return "foreign"
        real = _real(photograph)
        is_photograph: dict[str, bool] = {}
        is_done = there == set(names)
        for kind in there:
            line, claim = self._lines[names[kind]], self._claims.get(names[kind], "")
            record = _parsed(line)
            made_of = _get(_parsed(line or claim), "input", "path")
            if line not in is_photograph:
                is_photograph[line] = _is_photograph(Path(real), made_of, _get(record, "input"))
            # A photograph whose old path is gone was moved or renamed, and keeps its outputs.
            is_elsewhere = isinstance(made_of, str) and made_of != real
            if is_elsewhere and not is_photograph[line] and os.path.lexists(made_of):
                return "foreign"
            is_as_made = _has_stamp(outputs[kind], record, names[kind])
            if not is_as_made and not _has_stamp(outputs[kind], _parsed(claim), names[kind]):
                return "edited"
            is_done &= is_as_made and is_photograph[line] and _is_made_by(record, recipe, kind)
            is_done &= _get(record, "outputs", kind) == names[kind]
        return "skip" if is_done else "do"

    def known(self, output: Path) -> list[Stamp]:
        """Return the stamps that an output may have if dpt wrote it."""
        name = self._names({"": output})[""]
        lines = (self._lines.get(name, ""), self._claims.get(name, ""))
        return [stamp for line in lines if (stamp := _stamp_of(_parsed(line), name))]

    def reading(self, photograph: Path) -> None:
        """Record that decoding begins, so that the next run knows if it kills this process."""
        self._append("reading", {}, {"path": _real(photograph)})

    def begin(self, photograph: Path, outputs: Outputs, files: Stamps) -> None:
        """Claim the outputs before the first one is published; `files` are their stamps."""
        source = {"path": _real(photograph)}
        self._append("begun", outputs, source, files={**files})

    def done(
        self,
        photograph: Path,
        stamp: Stamp,
        outputs: Outputs,
        files: Stamps,
        recipe: Recipe,
        facts: Facts,
    ) -> None:
        """Record outputs; `stamp` is the photograph's, `files` are theirs."""
        settings = {key: value for kind in outputs for key, value in recipe.of(kind).items()}
        made = {
            "settings": settings,
            "weights": recipe.weights,
            "weights_sha256": recipe.weights_sha256,
            "facts": dict(facts),
            "dpt": __version__,
            "written_bytes": WRITTEN_BYTES,
        }
        source = {"path": _real(photograph), **stamp}
        self._append("done", outputs, source, files={**files}, **made)

    def made_as(self, output: Path) -> Facts:
        """Return the last `done` record of an output; an empty one where there is none."""
        return _parsed(self._lines.get(self._names({"": output})[""], ""))

    def made(self) -> Iterator[tuple[str, Facts]]:
        """Yield the name of each output that was finished, and the last `done` record of it."""
        last, record = "", _parsed("")
        for name, line in self._lines.items():
            if line != last:
                last, record = line, _parsed(line)
            if record:
                yield name, record

    def wrote(self, output: Path, stamp: Stamp, state: Literal["begun", "done"]) -> None:
        """Record a file made of the whole folder; `begun` before it gets its name, then `done`."""
        source = {"path": _real(self.folder)}
        self._append(state, {"folder": output}, source, files={"folder": stamp})

    def failed(self, photograph: Path, error: str, traceback: str = "") -> None:
        """Record why a photograph failed; the next run tries again."""
        source = {"path": _real(photograph)}
        more = {"traceback": traceback} if traceback else {}
        self._append("failed", {}, source, error=error, **more)

    def sweep(self, is_temporary: Callable[[Path], bool]) -> int:
        """Remove the temporary files that killed runs left; return how many.

        Files of other runs stay: nothing is removed through links, in output folders further down,
        or on a file system without locks.
        """
        num_removed = 0
        for folder, folders, files in os.walk(self.folder) if self.is_locked else ():
            if LOCK_NAME in files and Path(folder) != self.folder:
                folders[:] = files[:] = []
            for path in filter(is_temporary, (Path(folder, name) for name in files)):
                with suppress(OSError):
                    path.unlink()
                    num_removed += 1
        return num_removed

    def _read(self) -> None:
        is_other = False
        decode = json.JSONDecoder().raw_decode
        with io.TextIOWrapper(
            _opened(self._path, "rb"), encoding="ascii", errors="replace"
        ) as file:
            for line in file:
                self._is_torn = not line.endswith("\n")
                # Parses only the names, in a third of the time; the rest is parsed when needed.
                start, _, rest = line.partition(', "outputs": ')
                try:
                    names, end = decode(rest if line.endswith(_ENDS) else "")
                    state = start.removeprefix('{"state": "')[:-1]
                    path = ""
                    if rest.startswith(_INPUT_PATH, end):
                        path, _ = decode(rest, end + len(_INPUT_PATH) - 1)
                    self._note(state, names.values(), path, line)
                except _GARBLED:
                    is_other |= not _may_be_torn(line)
        if is_other and not self.num_records:
            raise OutputError(
                f"{self._path} is not a manifest of this version of dpt: "
                "move it away, or use another --output folder"
            )

    def _note(self, state: str, names: Iterable[str], photograph: str, line: str) -> None:
        for name in names:
            if state == "done":
                self._lines[name] = line
                self._claims.pop(name, None)
            else:
                # A claim does not undo an earlier result: the outputs themselves decide.
                self._lines.setdefault(name, "")
                self._claims[name] = line
        if state == "reading":
            self._reading[photograph] = self._reading.get(photograph, 0) + 1
        elif state == "stopped":
            self._reading[photograph] = self._reading.get(photograph, 1) - 1
        elif state != "begun":
            self._reading.pop(photograph, None)
        self.num_records += 1

    def _append(self, state: str, outputs: Outputs, source: Facts, **rest: object) -> None:
        names = self._names(outputs)
        record = {"state": state, "outputs": names, "input": source, **rest, "schema": _SCHEMA}
        # ASCII: names that are not UTF-8 survive, and a cut line splits no character.
        line = json.dumps(record, allow_nan=False) + "\n"
        with errors_as(OutputError, f"cannot write {self._path}"):
            with self._mutex:
                # If the folder is gone, the writers would create one without a manifest.
                self._path.stat()
                whole = ("\n" * self._is_torn + line).encode("ascii")
                self._is_torn = True
                if self._file.write(whole) < len(whole):
                    raise OutputError(f"cannot write {self._path}: the disk is full")
                self._is_torn = False
                self._note(state, names.values(), source.get("path", ""), line)
            # A power cut, unlike kill -9, loses what was written without a sync. An output whose
            # claim is lost stays foreign; a lost `done` line costs one photograph only.
            if state == "begun":
                os.fsync(self._file.fileno())

    def _names(self, outputs: Outputs) -> dict[str, str]:
        return {kind: path.relative_to(self.folder).as_posix() for kind, path in outputs.items()}


def _opened(path: Path, mode: str) -> IO[bytes]:
    """Open a file in a folder that others may write to; unbuffered for writing."""
    flags = {
        "rb": os.O_RDONLY,
        "ab": os.O_WRONLY | os.O_APPEND | os.O_CREAT,
        "a+b": os.O_RDWR | os.O_APPEND | os.O_CREAT,
    }[mode]
    return os.fdopen(open_regular(path, flags, OutputError), mode, 0 if "a" in mode else -1)


def _may_be_torn(line: str) -> bool:
    """Return whether a line may be the half of one that a kill or a power cut left."""
    return (line.startswith('{"state": "') and not line.endswith("\n")) or not line.strip("\0\n")


def lock_folder(file: IO[bytes], folder: Path) -> bool:
    """Lock a file, which stays: if it were removed, two runs could each lock a file of that name.

    Returns:
        Whether it is locked; false on a file system without locks.

    Raises:
        OutputError: Another process holds the lock.
    """
    # filelock.lock_descriptor does the same, but takes 0.1 s to import, a fifth of a run that finds
    # everything done.
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError) as error:
        raise OutputError(
            f"another dpt is writing into {folder}: wait for it, or use another --output folder"
        ) from error
    except OSError:
        return False
    return True


def _real(path: Path) -> str:
    try:
        return os.path.realpath(path)
    except ValueError:  # a NUL byte
        return str(path)


def _text(settings: Facts) -> str:
    # Compared as text: in Python True equals 1, and JSON turns a tuple into a list.
    return json.dumps(settings, sort_keys=True)


def _parsed(line: str) -> Facts:
    """Return the record of a line; an empty one for a garbled or missing line."""
    try:
        record = json.loads(line)
    except _GARBLED:
        return {}
    return record if isinstance(record, dict) else {}


def _get(record: Facts, *keys: str) -> Any:
    value: Any = record
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _stamp_of(record: Facts, name: str) -> Stamp | None:
    """Return the stamp of an output in a record."""
    outputs = _get(record, "outputs")
    kinds = [kind for kind in outputs if outputs[kind] == name] if isinstance(outputs, dict) else []
    stamp = _get(record, "files", kinds[0]) if kinds else None
    return stamp if _is_stamp(stamp) else None


def _is_made_by(record: Facts, recipe: Recipe, kind: str) -> bool:
    made, wanted = _get(record, "settings"), recipe.of(kind)
    if not isinstance(made, dict) or record.get("weights_sha256") != recipe.weights_sha256:
        return False
    return _text({key: made.get(key) for key in wanted}) == _text(wanted)


def _is_photograph(path: Path, made_of: object, known: Any) -> bool:
    """Return whether a photograph is that of a record; a moved or copied one by its content."""
    if made_of == str(path) or not _is_stamp(known):
        return _is_file(path, known)
    try:
        is_as_large = bool(path.stat().st_size == known["size"])
        return is_as_large and stamp_of(path)["sha256"] == known["sha256"]
    except (OSError, InputError):
        return False


def _has_stamp(output: Path, record: Facts, name: str) -> bool:
    return _is_file(output, _stamp_of(record, name))


def _is_file(path: Path, known: Any) -> bool:
    return _is_stamp(known) and is_same(path, known)


def _is_stamp(stamp: object) -> bool:
    return isinstance(stamp, dict) and stamp.keys() >= {"size", "mtime_ns", "sha256"}
