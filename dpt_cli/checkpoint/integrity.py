"""Check whether a weights file is the one its source promises, by SHA-256 and size.

This module makes no requests, does not look into a checkpoint and never removes one.
"""

import hashlib
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

from huggingface_hub import constants

from dpt_cli.checkpoint.specs import Source
from dpt_cli.checkpoint.stamp import Stamp, moments_of, own_folder
from dpt_cli.errors import FetchError

_PACKAGE = Path(__file__).parents[1]
_CONVERSION = 3  # to be raised whenever the network's arithmetic or its export changes
_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_OWN_FILE = "nothing (a file of your own)"
_HUBS_OWN = "the Hub's own sha256, weak"


class WrongContentError(FetchError):
    """A weights file whose content is not what its source promises.

    Attributes:
        sha256: Its actual hash.
    """

    def __init__(self, message: str, sha256: str) -> None:
        super().__init__(message)
        self.sha256 = sha256


@dataclass(frozen=True)
class WeightsFile:
    """A weights file on this disk whose content was checked.

    Attributes:
        path: The file.
        source: Where it came from.
        sha256: Hash of its content, 64 hex digits.
        checked: In words, what the hash was compared with; `weak` if a forger could match it.
    """

    path: Path
    source: Source
    sha256: str
    checked: str

    def moved_to(self, path: Path) -> "WeightsFile":
        """Return the file under its new path, and remember its hash."""
        Stamp.of(path).remember(self.sha256, self.checked)
        return replace(self, path=path)


def expected_path(source: Source) -> Path:
    """Return where this source's file is, or would be, on this disk."""
    if source.kind == "bundled":
        return _PACKAGE / source.file
    if source.kind == "release":
        return own_folder() / "weights" / Path(source.file).name
    folder = "--".join((f"{source.repo_type}s", *source.repo.split("/")))
    repository = Path(constants.HF_HUB_CACHE).absolute() / folder
    try:
        commit = (repository / "refs" / source.revision).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        commit = ""
    if not _COMMIT.fullmatch(commit):
        commit = source.revision
    return repository / "snapshots" / commit / source.file


def converted_path(sha256: str, architecture: object, precision: str = "fp32") -> Path:
    """Return the folder of a weights file's conversion for another engine; it is safe to delete.

    Its name depends on the weights, the architecture and the way of converting, so that no
    conversion is out of date.
    """
    shape = hashlib.sha256(repr(architecture).encode()).hexdigest()
    return own_folder() / "converted" / f"{sha256[:16]}-{shape[:8]}-{precision}-{_CONVERSION}"


def conversion_is_current(name: str) -> bool:
    """Return whether a folder's name is one `converted_path` would give."""
    return name.endswith(f"-{_CONVERSION}")


def check(
    source: Source, path: Path, *, announced: str = "", again: bool = False, note: bool = True
) -> WeightsFile:
    """Compare a file's size and hash with what its source promises.

    Args:
        source: It has the hash, its first digits, or neither.
        path: The file.
        announced: The ETag that the Hub sent for it, if the Hub was asked.
        again: Hash the file even if its hash is remembered.
        note: Remember the result; False for a file that will be renamed.

    Raises:
        WrongContentError: Its content is not what the source promises.
        FetchError: It cannot be read, or there is no hash to compare with.
    """
    try:
        stamp = Stamp.of(path)
        known = None if again else stamp.recall()
        expected, checked = _expectation(source, path, announced)
        sha256 = known or _sha256(path, stamp)
    except OSError as error:
        raise FetchError(f"cannot read {path}: {error.strerror}") from error
    if not expected:
        raise FetchError(no_hash(source))
    if sha256.startswith(expected) and source.size in (None, stamp.size):
        if not known and note:
            stamp.remember(sha256, checked)
        return WeightsFile(path, source, sha256, checked)
    if again:
        stamp.distrust()
    promised, size = (
        (expected, "")
        if source.size is None
        else (f"{expected} ({source.size} bytes)", f" ({stamp.size} bytes)")
    )
    message = f"wrong content: expected sha256 {promised}, found {sha256}{size}"
    raise WrongContentError(message, sha256)


def is_sha256(text: str) -> bool:
    """Return whether a text is a whole SHA-256 in lower case."""
    return _SHA256.fullmatch(text) is not None


def no_hash(source: Source) -> str:
    """Return the message that a source's file cannot be checked, with the way out."""
    return (
        f"neither the registry nor the server has a sha256 of {source.file}; add it to the "
        "registry's row, or give the file with --weights FILE"
    )


def may_be_replaced(source: Source, path: Path, sha256: str) -> bool:
    """Return whether a file with the wrong content is damaged and may be replaced.

    A sound file that another registry expects, or that a user put there, is left alone. A file of
    the Hub's cache is named by its hash; for others, the original hash is remembered.
    """
    if source.kind == "bundled":
        return False
    place = path.resolve()
    if _SHA256.fullmatch(place.name):
        is_in_cache = place.is_relative_to(Path(constants.HF_HUB_CACHE).resolve())
        return is_in_cache and place.name != sha256
    recorded = Stamp.recorded(path)
    if source.kind == "release":
        return recorded is None or recorded[0] != sha256
    return recorded is not None and recorded[0] != sha256


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a user's own file; it is remembered while the file stays the same.

    Raises:
        FetchError: The file cannot be read.
    """
    try:
        stamp = Stamp.of(path)
        known = stamp.recall()
        if known:
            return known
        sha256 = _sha256(path, stamp)
    except OSError as error:
        raise FetchError(f"cannot read the weights {path}: {error.strerror}") from error
    stamp.remember(sha256, _OWN_FILE)
    return sha256


def _sha256(path: Path, stamp: Stamp) -> str:
    """Return the hash of exactly the file that was stamped."""
    with path.open("rb") as stream:
        before = os.fstat(stream.fileno())
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        after = os.fstat(stream.fileno())
    if not moments_of(before) == moments_of(after) == moments_of(stamp.status):
        raise FetchError(f"{path} changed while it was hashed; run again once nothing writes to it")
    return sha256


def _expectation(source: Source, path: Path, announced: str) -> tuple[str, str]:
    """Return the digits that the hash must begin with, and in words where they come from."""
    if source.sha256:
        return source.sha256.lower(), "sha256"
    if source.sha256_prefix:
        prefix = source.sha256_prefix.lower()
        return prefix, f"first {len(prefix)} digits of sha256, weak"
    if source.kind != "hub":
        return "", ""
    # The Hub's ETag of a large file is its sha256, and the cache names the blob by the ETag.
    # Without links, the ETag is known only at the download, and remembered.
    recorded = Stamp.recorded(path)
    noted = recorded[0] if recorded and _HUBS_OWN.startswith(recorded[1]) else ""
    etag = path.readlink().name if path.is_symlink() else announced or noted
    return (etag, _HUBS_OWN) if _SHA256.fullmatch(etag) else ("", "")
