"""Whether a weights file is the one its source promises: SHA-256, size, and the memory of both.

Never touches the network and never looks into a checkpoint.
"""

import contextlib
import hashlib
import json
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import constants

from dpt_cli.errors import FetchError
from dpt_cli.specs import Source

_PACKAGE = Path(__file__).parents[1]
_CONVERSION = 2  # to be raised whenever the network's arithmetic or its export changes
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class WeightsFile:
    """A weights file on this disk whose content was checked.

    Attributes:
        path: The file.
        source: Where it came from.
        sha256: Hash of its content, 64 hex digits.
        checked: In words, what that hash was compared with.
    """

    path: Path
    source: Source
    sha256: str
    checked: str


def expected_path(source: Source) -> Path:
    """Return where this source's file lies, or would lie, on this disk."""
    if source.kind == "bundled":
        return _PACKAGE / source.file
    if source.kind == "release":
        return _home() / "weights" / Path(source.file).name
    folder = "--".join((f"{source.repo_type}s", *source.repo.split("/")))
    repository = Path(constants.HF_HUB_CACHE).absolute() / folder
    try:
        commit = (repository / "refs" / source.revision).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        commit = source.revision
    return repository / "snapshots" / commit / source.file


def converted_path(sha256: str, architecture: object, precision: str = "fp32") -> Path:
    """Return the folder of a weights file as another engine's own files; safe to delete.

    Its name tells weights, architecture and how they are converted, so that none is out of date.
    """
    shape = hashlib.sha256(repr(architecture).encode()).hexdigest()
    return _home() / "converted" / f"{sha256[:16]}-{shape[:8]}-{precision}-{_CONVERSION}"


def _home() -> Path:
    return Path(constants.HF_HOME).absolute() / "dpt"


def check(
    source: Source,
    path: Path,
    *,
    announced: str = "",
    final: Path | None = None,
    again: bool = False,
) -> WeightsFile:
    """Compare a file's size and hash with what its source promises, and remove a wrong one.

    Args:
        source: Holds the hash, its first digits, or neither.
        path: The file.
        announced: The ETag the Hub gave for it, if it was asked.
        final: The name the file will get once it is found good, if another.
        again: Hash it whatever is remembered of it, and leave it there if it is wrong.

    Raises:
        FetchError: The file cannot be read, or is another one.
    """
    expected, checked = _expectation(source, path, announced)
    try:
        stamp = _Stamp.of(path, final or path)
        known = None if again else stamp.recall()
        sha256 = known["sha256"] if known else _sha256(path)
    except OSError as error:
        raise FetchError(f"cannot read {path}: {error.strerror}") from error
    if sha256.startswith(expected) and source.size in (None, stamp.size):
        # The ETag is heard only at the download, and it may have been all there was.
        checked = known["checked"] if known and not expected else checked
        if not known:
            stamp.remember(sha256, checked)
        return WeightsFile(path, source, sha256, checked)
    stamp.forget()
    promised, size = (
        (expected, "")
        if source.size is None
        else (f"{expected} ({source.size} bytes)", f" ({stamp.size} bytes)")
    )
    raise FetchError(
        f"wrong content: expected sha256 {promised}, found {sha256}{size}; "
        + (f"the next run replaces {path}" if again else _remove(source, path))
    )


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a user's own file, remembered while the file stays the same.

    Raises:
        FetchError: The file cannot be read.
    """
    try:
        stamp = _Stamp.of(path, path)
        known = stamp.recall()
        if known:
            return known["sha256"]
        sha256 = _sha256(path)
    except OSError as error:
        raise FetchError(f"cannot read the weights {path}: {error.strerror}") from error
    stamp.remember(sha256, "nothing (a file of your own)")
    return sha256


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _expectation(source: Source, path: Path, announced: str) -> tuple[str, str]:
    """Return the digits the hash must begin with, and in words where they come from."""
    if source.sha256:
        return source.sha256.lower(), "sha256"
    if source.sha256_prefix:
        prefix = source.sha256_prefix.lower()
        return prefix, f"first {len(prefix)} digits of sha256"
    # The Hub's ETag of a large file is its sha256, and the cache names the blob by the ETag.
    etag = path.readlink().name if path.is_symlink() else announced
    if source.kind == "hub" and _SHA256.fullmatch(etag):
        return etag, "the Hub's own sha256"
    return "", "nothing (no sha256 is recorded for this file)"


def _remove(source: Source, path: Path) -> str:
    """Unlink a cached file and, where it is a link, what it stands for; say what was done.

    The Hub's cache links pointer to blob, and blob to a store shared by repositories. A link
    that a user made to a file of his own leads out of the caches: his file stays.
    """
    if source.kind == "bundled":
        return "install dpt again"
    caches = (Path(constants.HF_HUB_CACHE).resolve(), (_home() / "weights").resolve())
    chain = [path]
    try:
        while chain[-1].is_symlink():
            chain.append(chain[-1].parent / chain[-1].readlink())
        for link in chain:
            if any(link.parent.resolve().is_relative_to(cache) for cache in caches):
                link.unlink(missing_ok=True)
    except OSError as error:
        return f"remove {path} by hand ({error.strerror})"
    return "that file is removed"


@dataclass(frozen=True)
class _Stamp:
    """What was found of a file, on disk, valid while its path, size and time stay the same."""

    file: Path
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path, final: Path) -> "_Stamp":
        """Return the stamp of a file as it is now, which will be called `final`."""
        status = path.stat()
        return cls(final.resolve(), status.st_size, status.st_mtime_ns)

    @property
    def _path(self) -> Path:
        key = hashlib.sha256(os.fsencode(self.file)).hexdigest()[:16]
        return _home() / "verified" / f"{self.file.name}-{key}.json"

    @property
    def _facts(self) -> dict[str, Any]:
        return {"path": str(self.file), "size": self.size, "mtime_ns": self.mtime_ns}

    def recall(self) -> dict[str, str] | None:
        """Return the hash and how it was checked; None if anything is amiss."""
        try:
            known = json.loads(self._path.read_bytes())
            whole = self._facts.items() <= known.items() and _SHA256.fullmatch(known["sha256"])
            return {key: str(known[key]) for key in ("sha256", "checked")} if whole else None
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None

    def remember(self, sha256: str, checked: str) -> None:
        """Write the stamp, whole or not at all."""
        # A stamp only saves time, so failing to write one is no failure.
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self._path.parent) as folder:
                draft = Path(folder, self._path.name)
                draft.write_text(json.dumps({**self._facts, "sha256": sha256, "checked": checked}))
                draft.replace(self._path)

    def forget(self) -> None:
        """Remove the stamp."""
        with contextlib.suppress(OSError):
            self._path.unlink()
