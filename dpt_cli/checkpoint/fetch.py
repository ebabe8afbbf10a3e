"""Get weights from the cache, the Hub or the authors' releases, trying each source in turn.

This module does not look into a checkpoint and prints nothing. To keep locating a file quick, what
huggingface_hub needs for a download is imported only then.
"""

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

from huggingface_hub import constants

from dpt_cli.checkpoint.download import require_https
from dpt_cli.checkpoint.hub_cache import bring_checked, bring_from_hub, in_the_way
from dpt_cli.checkpoint.integrity import (
    WeightsFile,
    WrongContentError,
    check,
    expected_path,
    may_be_replaced,
    no_hash,
)
from dpt_cli.checkpoint.specs import CheckpointSpec, Source
from dpt_cli.errors import FetchError

Notify = Callable[[str], None]  # takes one line for the user


def locate(spec: CheckpointSpec) -> tuple[Source, Path] | None:
    """Return the first source whose file is on this disk, unchecked; None if there is none."""
    return next(iter(_on_disk(spec)), None)


def fetch(spec: CheckpointSpec, *, offline: bool = False, notify: Notify) -> WeightsFile:
    """Return a checked weights file from this disk, or else from the first source that has it.

    A file with wrong content is never used: the next source is tried, and `notify` gets a line. It
    is replaced only if it is a damaged copy of the right one, and only once the right one is here.

    Raises:
        FetchError: No source had the right file; the message holds the reason for each.
    """
    _need_sources(spec)
    offline = offline or constants.HF_HUB_OFFLINE
    attempts: list[tuple[str, Source, Callable[[Source], WeightsFile]]] = [
        (f"the copy of {source} on this disk", source, _use) for source, _ in _on_disk(spec)
    ]
    if not offline:
        attempts += [(str(source), source, _bring) for source in spec.sources]
    failures = []
    for number, (name, source, attempt) in enumerate(attempts, start=1):
        try:
            return attempt(source)
        except FetchError as error:
            failures.append(f"{name}: {error}")
            if number < len(attempts):
                notify(f"{failures[-1]}; trying {attempts[number][0]}")
    raise FetchError(_nothing_found(spec, failures, offline))


def verify(spec: CheckpointSpec) -> WeightsFile:
    """Hash the file on this disk again, even if its hash is remembered; nothing is removed.

    Raises:
        FetchError: There is no file, or its content is wrong; the message holds both hashes.
    """
    _need_sources(spec)
    found = locate(spec)
    if found is None:
        raise FetchError(_nothing_found(spec, [], offline=True))
    source, path = found
    try:
        return check(source, path, again=True)
    except WrongContentError as error:
        raise FetchError(f"{error}; {_way_out(source, path, error.sha256)}") from error


def hush_hub(*, progress_bars: bool) -> None:
    """Keep huggingface_hub's warnings, and if wanted its progress bars, off stderr.

    If it is not imported yet, this only sets what it will read: the import takes a quarter of a
    second, and a run whose weights are on this disk never needs it.
    """
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")
    if not progress_bars and constants.HF_HUB_DISABLE_PROGRESS_BARS is None:
        constants.HF_HUB_DISABLE_PROGRESS_BARS = True
    if "huggingface_hub.utils" in sys.modules:
        import logging

        from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]  # lazy

        logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
        if not progress_bars:
            disable_progress_bars()


def _need_sources(spec: CheckpointSpec) -> None:
    if not spec.sources:
        raise FetchError(why_no_download(spec))


def why_no_download(spec: CheckpointSpec) -> str:
    """Return why a row has no sources, and the way out."""
    if not spec.known_files:
        return f"no weights of {spec.id} were ever published; give a file with --weights FILE"
    known = spec.known_files[0]
    reason = (
        "no SHA-256 of its file is published"
        if spec.commercial
        else f"its licence, {spec.licence}, forbids commercial use"
    )
    return (
        f"dpt does not download {spec.id}, as {reason}: get {known.file} from {known.page} and "
        "name it with --weights FILE"
    )


def _on_disk(spec: CheckpointSpec) -> list[tuple[Source, Path]]:
    # In a folder without permission, os.path.isfile returns False, while Path.is_file raises.
    paths = [(source, expected_path(source)) for source in spec.sources]
    return [(source, path) for source, path in paths if os.path.isfile(path)]  # noqa: PTH113


def _nothing_found(spec: CheckpointSpec, failures: list[str], offline: bool) -> str:
    places = [f"{expected_path(source)}  (from {source})" for source in spec.sources]
    where = "on this disk; looked for" if offline else "from any source"
    way_out = (
        "or download the file elsewhere and name it with --weights FILE ('dpt models path' shows "
        "where files belong)."
    )
    first = "Run once with a network, put a file there by hand," if offline else "Try again later,"
    lines = [f"no usable weights of {spec.id} {where}:", *(places if offline else ()), *failures]
    return "\n  ".join(lines) + f"\n{first} {way_out}"


def _use(source: Source) -> WeightsFile:
    path = expected_path(source)
    try:
        return check(source, path)
    except WrongContentError as error:
        raise FetchError(f"{error}; {_way_out(source, path, error.sha256)}") from error


def _way_out(source: Source, path: Path, sha256: str) -> str:
    if source.kind == "bundled":
        return "install dpt again"
    if may_be_replaced(source, path, sha256):
        return f"a download replaces {path}"
    return in_the_way(path, sha256)


def _bring(source: Source) -> WeightsFile:
    """Download one source's file; every failure becomes a FetchError of one line."""
    if source.kind == "bundled":
        raise FetchError(f"{expected_path(source)} is missing; install dpt again")
    from huggingface_hub.errors import HfHubHTTPError

    # HfHubHTTPError's bases are OSError and the HTTP library's own HTTPError: httpx up to
    # huggingface_hub 1, httpx2 since. A bad repo id is a ValueError.
    kinds = (*HfHubHTTPError.__bases__, RuntimeError, ValueError)
    try:
        return bring_from_hub(source) if source.kind == "hub" else _bring_release(source)
    except cast(tuple[type[Exception], ...], kinds) as error:
        raise FetchError(_in_words(error)) from error


def _bring_release(source: Source) -> WeightsFile:
    from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined]  # 2.4: lazy name

    require_https(source.url)
    if not source.sha256 and not source.sha256_prefix:
        raise FetchError(no_hash(source))
    target = expected_path(source)
    part = target.with_name(f"{target.name}.part")
    target.parent.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(target.with_name(f".{target.name}.lock")):
        if target.is_file():
            try:
                return check(source, target)
            except WrongContentError as error:
                if not may_be_replaced(source, target, error.sha256):
                    raise FetchError(in_the_way(target, error.sha256)) from error
        found = bring_checked(source, source.url, part, source.size)
        part.replace(target)
        return found.moved_to(target)


def _in_words(error: BaseException) -> str:
    from huggingface_hub import errors

    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"no space left on the disk of {constants.HF_HOME}"
    if type(error) is errors.HfHubHTTPError:
        return f"the server answered {error.response.status_code} {error.response.reason_phrase}"
    words = {
        "GatedRepoError": "the repository is gated; accept its terms on the Hub and set HF_TOKEN",
        "RepositoryNotFoundError": "no such repository, or it is private and HF_TOKEN is not set",
        "RevisionNotFoundError": "no such revision in the repository",
        "RemoteEntryNotFoundError": "no such file in the repository",
        "ConnectError": "no connection",
        "ConnectTimeout": "no connection in time",
        "ReadTimeout": "no answer in time",
        "ReadError": "the connection broke off",
        "RemoteProtocolError": "the connection broke off",
    }.get(type(error).__name__)
    told = (str(error).strip() or type(error).__name__).splitlines()[0]
    if words is None:
        return told
    return words if isinstance(error, errors.HfHubHTTPError) else f"{words}: {told}"
