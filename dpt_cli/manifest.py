"""Remember what the files of an output folder were made of, one line of JSON an event.

Knows no picture, no network and no file format. Only what is written here makes a file ours.
"""

import hashlib
import json
import os
import stat
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, Self

from dpt_cli.errors import DptError, InputError, OutputError

MANIFEST_NAME = "manifest.jsonl"
LOCK_NAME = ".dpt.lock"
Decision = Literal["do", "skip", "foreign"]
Outputs = Mapping[str, Path]  # by format
Facts = Mapping[str, Any]  # JSON values, floats finite
Stamp = Mapping[str, int | str]  # of a file: size [bytes], mtime_ns, sha256 in hex

_SCHEMA = 1
# As the last key: a line that has it is whole.
_ENDS = (f', "schema": {_SCHEMA}}}\n', f', "schema": {_SCHEMA}}}')
# What json.loads and a look into its answer raise where a line is not what we wrote.
_GARBLED = (ValueError, TypeError, KeyError, AttributeError, RecursionError)


@dataclass(frozen=True)
class Recipe:
    """What decides an output's bytes, besides the photograph."""

    settings: Facts  # JSON values; not device, batch size or the list of formats
    weights: str  # a name, for readers
    weights_sha256: str


def stamp_of(path: Path, kind: type[DptError] = InputError) -> Stamp:
    """Return a file's stamp; take a photograph's before decoding it, so that later changes show.

    Raises:
        kind: It is no file or cannot be read.
    """
    with _in_words(kind, f"cannot read {path}"):
        # Opening a pipe would wait for ever.
        if not stat.S_ISREG(path.stat().st_mode):
            raise kind(f"cannot read {path}: not a file")
        with path.open("rb") as file:
            # Before hashing: what changes meanwhile then has a later time than the stamp.
            now = os.fstat(file.fileno())
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return {"size": now.st_size, "mtime_ns": now.st_mtime_ns, "sha256": sha256}


class Manifest:
    """The memory of an output folder, `manifest.jsonl`; while open, other runs are kept out.

    A line is an object in ASCII. Of the `done` lines that name an output the last one counts;
    lines of any other form are passed over. Its keys, in this order, `schema` (1) the last:

    - `state`: `begun` (the outputs may be there from now on), `done` or `failed`.
    - `outputs`: paths by format, relative to the folder, with `/`; empty in `failed`.
    - `input`: `path`, absolute, links followed; in `done` also `size`, `mtime_ns`, `sha256`.
    - In `done`: `files`, these three of each output; `settings`, `weights`, `weights_sha256`;
      `facts`, whatever the run tells. In `failed`: `error`, in words.

    Opening makes the folder. With `read_only`, for a dry run, nothing is made, locked or written.
    `num_records` counts lines; `is_locked` is false where the file system has no locks.

    Raises:
        OutputError: In use by another run, not writable, or the manifest is not ours.
    """

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        self.folder = folder
        self.num_records = 0
        self.is_locked = False
        self._path = folder / MANIFEST_NAME
        self._read_only = read_only
        self._mutex = threading.Lock()
        self._is_torn = False
        # By output: its last done line, unparsed as that is a third of the size; "" if only begun.
        self._lines: dict[str, str] = {}

    def __enter__(self) -> Self:
        with _in_words(OutputError, f"cannot write into {self.folder}"), ExitStack() as resources:
            if not self._read_only:
                self.folder.mkdir(parents=True, exist_ok=True)
                lock = resources.enter_context((self.folder / LOCK_NAME).open("ab"))
                self.is_locked = _lock(lock, self.folder)
                # Unbuffered: a line is one write.
                self._file = resources.enter_context(self._path.open("ab", buffering=0))
                resources.callback(os.fsync, self._file.fileno())
            if self._path.exists():
                self._read()
            self._resources = resources.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        with _in_words(OutputError, f"cannot write {self._path}"):
            self._resources.close()

    def decide(self, photograph: Path, outputs: Outputs, recipe: Recipe) -> Decision:
        """Return `foreign` if an output exists that is not ours, or another photograph's.

        `skip` if all were made by this recipe of this photograph, and none of these files has
        changed since: same size, and same time or content. Otherwise `do`.
        """
        names = self._names(outputs)
        # lexists: a link that leads nowhere is somebody's, too.
        if any(names[kind] not in self._lines and os.path.lexists(outputs[kind]) for kind in names):
            return "foreign"
        wanted = _text(dict(recipe.settings)), recipe.weights_sha256, os.path.realpath(photograph)
        try:
            for line in {self._lines.get(name, "") for name in names.values()}:
                record = json.loads(line)
                made = _text(record["settings"]), record["weights_sha256"], record["input"]["path"]
                # A photograph that is gone was moved or renamed: its outputs may follow.
                is_others = made[2] != wanted[2] and os.path.lexists(made[2])
                if is_others and any(map(os.path.lexists, outputs.values())):
                    return "foreign"
                if made != wanted or not _is_same(photograph, record["input"]):
                    return "do"
                for kind in (kind for kind in names if self._lines[names[kind]] == line):
                    if not _is_same(outputs[kind], record["files"][kind]):
                        return "do"
        except (*_GARBLED, OSError, InputError):
            return "do"
        return "skip"

    def begin(self, photograph: Path, outputs: Outputs) -> None:
        """Claim the outputs; to be called before the first of them gets its name."""
        self._append("begun", outputs, {"path": os.path.realpath(photograph)})

    def done(
        self, photograph: Path, stamp: Stamp, outputs: Outputs, recipe: Recipe, facts: Facts
    ) -> None:
        """Record outputs, right after writing as they are hashed here; `stamp` is the input's."""
        files = {kind: stamp_of(path, OutputError) for kind, path in outputs.items()}
        made = vars(recipe) | {"settings": dict(recipe.settings), "facts": dict(facts)}
        source = {"path": os.path.realpath(photograph), **stamp}
        self._append("done", outputs, source, files=files, **made)

    def failed(self, photograph: Path, error: str) -> None:
        """Record why a photograph could not be done; the next run tries again."""
        self._append("failed", {}, {"path": os.path.realpath(photograph)}, error=error)

    def sweep(self, is_temporary: Callable[[Path], bool]) -> int:
        """Remove the temporary files that killed runs left and return how many.

        Other runs' files stay: none is removed through links, in output folders further down,
        or where the file system has no locks.
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
        is_of_others = False
        decode = json.JSONDecoder().raw_decode
        with self._path.open(encoding="ascii", errors="replace") as file:
            for line in file:
                self._is_torn = not line.endswith("\n")
                # Only the names, in a third of the time; the rest is parsed when asked for.
                start, _, rest = line.partition(', "outputs": ')
                try:
                    names, _ = decode(rest if line.endswith(_ENDS) else "")
                    self._note(start.endswith('"done"'), names.values(), line)
                except _GARBLED:
                    is_of_others |= line.startswith("{") and line.rstrip().endswith("}")
        if is_of_others and not self.num_records:
            raise OutputError(f"{self._path} is not this dpt's; move it away or use another folder")

    def _note(self, is_done: bool, names: Iterable[str], line: str) -> None:
        for name in names:
            # A claim does not undo what was made: the outputs themselves will tell.
            self._lines[name] = line if is_done else self._lines.get(name, "")
        self.num_records += 1

    def _append(self, state: str, outputs: Outputs, source: Facts, **rest: object) -> None:
        names = self._names(outputs)
        record = {"state": state, "outputs": names, "input": source, **rest, "schema": _SCHEMA}
        # ASCII: names that are no UTF-8 come back as they were, and no cut splits a character.
        line = json.dumps(record, allow_nan=False) + "\n"
        with _in_words(OutputError, f"cannot write {self._path}"):
            with self._mutex:
                # Were the folder gone, the writers would make a new one without a manifest.
                self._path.stat()
                whole = ("\n" * self._is_torn + line).encode("ascii")
                self._is_torn = True
                if self._file.write(whole) < len(whole):
                    raise OutputError(f"cannot write {self._path}: the disk is full")
                self._is_torn = False
                self._note(state == "done", names.values(), line)
            # Kill -9 takes nothing that was written; a power cut does, and an output whose claim
            # is lost stays foreign. Losing a done line costs one photograph: no sync of its own.
            if state == "begun":
                os.fsync(self._file.fileno())

    def _names(self, outputs: Outputs) -> dict[str, str]:
        return {kind: path.relative_to(self.folder).as_posix() for kind, path in outputs.items()}


@contextmanager
def _in_words(kind: type[DptError], what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise kind(f"{what}: {error.strerror or error}") from error


def _lock(file: IO[bytes], folder: Path) -> bool:
    """Lock a file that stays: were it removed, two runs could each lock one of its name."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError) as error:
        raise OutputError(f"another dpt is writing into {folder}; wait, or use another") from error
    except OSError:
        return False
    return True


def _text(settings: Facts) -> str:
    # Text, as in Python True equals 1, and a tuple comes back as a list.
    return json.dumps(settings, sort_keys=True)


def _is_same(path: Path, known: Facts) -> bool:
    now = path.stat()
    if now.st_size != known["size"]:
        return False
    return now.st_mtime_ns == int(known["mtime_ns"]) or stamp_of(path)["sha256"] == known["sha256"]
