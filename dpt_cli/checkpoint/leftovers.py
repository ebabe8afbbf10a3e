"""Find and remove what killed downloads and conversions left behind.

A file whose lock is held, and a folder changed within the last hour, count as in use.
"""

import contextlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import constants

from dpt_cli.checkpoint.integrity import conversion_is_current
from dpt_cli.checkpoint.specs import Source
from dpt_cli.checkpoint.stamp import own_folder, verified_folder

_IN_USE_S = 3600.0
_CONVERSION = re.compile(r"[0-9a-f]{16}-[0-9a-f]{8}-\w+-\d+")


@dataclass(frozen=True)
class Leftover:
    """A file or folder that can be removed.

    Attributes:
        path: Its path.
        what: A description.
        num_bytes: Its size.
        lock: The lock file of whoever works on it; None if there is no lock.
    """

    path: Path
    what: str
    num_bytes: int
    lock: Path | None = None


def find_leftovers(sources: Iterable[Source]) -> list[Leftover]:
    """Return what can be removed and is not in use, largest first.

    Args:
        sources: The sources whose downloads are considered.
    """
    found = [*_downloads(sources), *_conversions(), *_stamps()]
    free = [it for it in found if _is_free(it)]
    return sorted(free, key=lambda it: (-it.num_bytes, str(it.path)))


def remove(leftover: Leftover) -> bool:
    """Remove it unless it is in use by now; return whether it is gone."""
    if not _is_free(leftover):
        return False
    with contextlib.ExitStack() as stack:
        if leftover.lock is not None and leftover.lock.exists():
            try:
                stack.enter_context(_lock(leftover.lock))
            except TimeoutError:
                return False
        try:
            if leftover.path.is_dir() and not leftover.path.is_symlink():
                shutil.rmtree(leftover.path)
            else:
                leftover.path.unlink()
        except OSError:
            return False
    return True


def _downloads(sources: Iterable[Source]) -> Iterator[Leftover]:
    own = own_folder() / "weights"
    for part in _entries(own, ".part"):
        lock = own / f".{part.name.removesuffix('.part')}.lock"
        yield Leftover(part, "a download that broke off", _size(part), lock)
    cache = Path(constants.HF_HUB_CACHE).absolute()
    repos = {"--".join((f"{it.repo_type}s", *it.repo.split("/"))) for it in sources if it.repo}
    for repo in sorted(repos):
        for part in _entries(cache / repo / "blobs", ".incomplete"):
            lock = cache / ".locks" / repo / f"{part.name.partition('.')[0]}.lock"
            yield Leftover(part, "a download that broke off", _size(part), lock)


def _conversions() -> Iterator[Leftover]:
    for folder in _entries(own_folder() / "converted"):
        name, dot, _ = folder.name.partition(".")
        if not folder.is_dir() or not _CONVERSION.fullmatch(name):
            continue
        if dot:
            yield Leftover(folder, "a conversion that broke off", _size(folder))
        elif not conversion_is_current(name):
            yield Leftover(folder, "a conversion of an earlier dpt", _size(folder))


def _stamps() -> Iterator[Leftover]:
    for stamp in _entries(verified_folder()):
        if stamp.is_dir() and stamp.name.startswith("tmp"):
            yield Leftover(stamp, "a note that was never finished", _size(stamp))
        elif stamp.suffix == ".json" and _is_of_nothing(stamp):
            yield Leftover(stamp, "what is known of a file that is gone", _size(stamp))


def _is_of_nothing(stamp: Path) -> bool:
    try:
        place = json.loads(stamp.read_bytes())["path"]
        return not os.path.lexists(place)
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _entries(folder: Path, suffix: str = "") -> list[Path]:
    """Return the entries of a folder, except links."""
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return []
    return [it for it in entries if it.name.endswith(suffix) and not it.is_symlink()]


def _below(path: Path) -> Iterator[os.stat_result]:
    with contextlib.suppress(OSError):
        yield path.lstat()
        if path.is_dir() and not path.is_symlink():
            for entry in path.iterdir():
                yield from _below(entry)


def _size(path: Path) -> int:
    return sum(status.st_size for status in _below(path))


def _is_free(leftover: Leftover) -> bool:
    if leftover.lock is None:
        if leftover.path.suffix == ".json":
            return True
        newest = max((status.st_mtime for status in _below(leftover.path)), default=0.0)
        return time.time() - newest > _IN_USE_S
    if not leftover.lock.exists():
        return True
    try:
        with _lock(leftover.lock):
            return True
    except TimeoutError:
        return False


def _lock(path: Path) -> AbstractContextManager[object]:
    from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined]  # 2.4: lazy name

    lock: AbstractContextManager[object] = WeakFileLock(path, timeout=0)
    return lock
