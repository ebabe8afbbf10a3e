"""Download a file of the Hub into the Hugging Face cache, which other programs share.

A name that the server sends is used on this disk only if it is a plain one. A file gets its name in
the cache only after its content was checked.
"""

import contextlib
import os
import re
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import constants

from dpt_cli.checkpoint.download import BUSY, NUM_RETRIES, download, patience
from dpt_cli.checkpoint.integrity import (
    WeightsFile,
    WrongContentError,
    check,
    is_sha256,
    may_be_replaced,
    no_hash,
)
from dpt_cli.checkpoint.specs import Source
from dpt_cli.errors import FetchError

_COMMIT = re.compile(r"[0-9a-f]{40}")
# A hash of any kind. It has no separator and no leading dot, so no file system reads more into it.
_ETAG = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{7,127}")


@dataclass(frozen=True)
class Announced:
    """The names that the Hub gives for a file, found to be plain.

    Attributes:
        etag: Its hash: SHA-256 where it is large, git's otherwise.
        commit: The commit it belongs to.
        size: Its length [bytes], if the Hub sends one.
    """

    etag: str
    commit: str
    size: int | None


def bring_from_hub(source: Source) -> WeightsFile:
    """Download a file of the Hub, check it, and only then put it into the cache.

    Raises:
        FetchError: It cannot be downloaded, is another file, or a sound file is in its place.
        Exception: An error of the HTTP library or the disk.
    """
    from huggingface_hub import hf_hub_url
    from huggingface_hub.utils import (  # type: ignore[attr-defined]  # 2.4: lazy names
        WeakFileLock,
        build_hf_headers,
    )

    repo, file, kind, revision = source.repo, source.file, source.repo_type, source.revision
    url = hf_hub_url(repo, file, repo_type=kind, revision=revision)
    announced = _announced(url, source)
    folder = "--".join((f"{kind}s", *repo.split("/")))
    cache = Path(constants.HF_HUB_CACHE).absolute()
    repository = cache / folder
    blob = repository / "blobs" / announced.etag
    pointer = repository / "snapshots" / announced.commit / file
    part = blob.with_name(f"{announced.etag}.dpt.incomplete")
    for path in (blob, pointer, cache / ".locks" / folder / "lock"):
        path.parent.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(cache / ".locks" / folder / f"{announced.etag}.lock"):
        if _is_right(source, pointer, announced.etag):
            return check(source, pointer, announced=announced.etag)
        if not _is_right(source, blob, announced.etag):
            size = announced.size if source.size is None else source.size
            found = bring_checked(source, url, part, size, build_hf_headers(), announced.etag)
            part.replace(blob)
        else:
            found = check(source, blob, announced=announced.etag)
        _link(blob, pointer)
        _note_reference(repository, revision, announced.commit)
        return found.moved_to(pointer)


def bring_checked(
    source: Source,
    url: str,
    part: Path,
    size: int | None,
    headers: dict[str, str] | None = None,
    etag: str = "",
) -> WeightsFile:
    """Download a file under a temporary name, and remove it if its content is wrong.

    Raises:
        WrongContentError: It is another file, and is removed.
        Exception: An error of `download`.
    """
    has_begun = part.is_file()
    while True:
        download(url, part, size, headers)
        try:
            return check(source, part, announced=etag, note=False)
        except WrongContentError as error:
            part.unlink()
            if not has_begun:
                raise WrongContentError(f"{error}; that file is removed", error.sha256) from error
            has_begun = False  # the partial file was the beginning of another one


def _announced(url: str, source: Source) -> Announced:
    """Ask the Hub for the file's facts; refuse unsafe names and what contradicts the source."""
    from huggingface_hub import get_hf_file_metadata
    from huggingface_hub.errors import HfHubHTTPError

    for num_retries in range(NUM_RETRIES + 1):
        try:
            metadata = get_hf_file_metadata(url)
            break
        except HfHubHTTPError as error:
            if error.response.status_code not in BUSY or num_retries == NUM_RETRIES:
                raise
            time.sleep(patience(error.response, num_retries))
    etag, commit = metadata.etag or "", metadata.commit_hash or ""
    if not _ETAG.fullmatch(etag):
        raise FetchError(f"the server gives the file the hash {etag[:80]!r}, which cannot be one")
    is_pinned = _COMMIT.fullmatch(source.revision)
    if not _COMMIT.fullmatch(commit) or (is_pinned and commit != source.revision):
        raise FetchError(
            f"the server says it is of commit {commit[:80]!r}, which is not {source.revision}"
        )
    promised = (source.sha256 or source.sha256_prefix or "").lower()
    if is_sha256(etag) and not etag.startswith(promised):
        raise FetchError(
            f"wrong content: expected sha256 {promised}, found {etag} as the server says; "
            "not downloaded"
        )
    if not promised and not is_sha256(etag):
        raise FetchError(no_hash(source))
    if None not in (source.size, metadata.size) and source.size != metadata.size:
        raise FetchError(
            f"wrong content: expected sha256 {promised} ({source.size} bytes), "
            f"found {etag} ({metadata.size} bytes) as the server says; not downloaded"
        )
    return Announced(etag, commit, metadata.size)


def _is_right(source: Source, path: Path, etag: str) -> bool:
    """Return whether the right file is there already; False if nothing or a damaged file is.

    Raises:
        FetchError: Another file is there that we may not replace.
    """
    if not os.path.lexists(path):
        return False
    try:
        check(source, path, announced=etag)
    except WrongContentError as error:
        if not may_be_replaced(source, path, error.sha256):
            raise FetchError(in_the_way(path, error.sha256)) from error
        return False
    except FetchError:
        return False  # a link to nothing
    return True


def in_the_way(path: Path, sha256: str) -> str:
    """Say that a file we may not remove is where the right one belongs."""
    return f"{path} is another file (sha256 {sha256}) and stays; to replace it, remove it by hand"


def _link(blob: Path, pointer: Path) -> None:
    """Link a commit's name to a blob; where links are not possible, move the blob."""
    if pointer.is_symlink() and pointer.resolve() == blob.resolve():
        return
    if not constants.HF_HUB_DISABLE_SYMLINKS:
        draft = pointer.with_name(f".{uuid.uuid4().hex[:8]}.link")
        with contextlib.suppress(OSError):
            draft.symlink_to(os.path.relpath(blob, pointer.parent))
            draft.replace(pointer)
            return
    blob.replace(pointer)


def _note_reference(repository: Path, revision: str, commit: str) -> None:
    if revision == commit:
        return
    place = repository / "refs" / revision
    place.parent.mkdir(parents=True, exist_ok=True)
    draft = place.with_name(f"{place.name}.{uuid.uuid4().hex[:8]}.tmp")
    draft.write_text(commit, encoding="utf-8")
    draft.replace(place)
