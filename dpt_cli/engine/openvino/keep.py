"""Write a conversion to the disk whole or not at all, so that no other user may change it."""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dpt_cli.engine.openvino.files import MODEL_FILE, RECORD_FILE, WEIGHTS_FILE, Conversion


def seal(folder: Path, of: Mapping[str, str], **facts: Any) -> Conversion:
    """Write the record of a folder's files last, and sync everything to the disk.

    Args:
        folder: The folder that `export` or `int8` filled.
        of: What the network was made of: weights, architecture and precision.
        facts: Further facts to record.

    Raises:
        OSError: It cannot be written.
    """
    files = {}
    for name in (MODEL_FILE, WEIGHTS_FILE):
        path = folder / name
        _make_own(path, 0o644)
        with path.open("rb+") as stream:
            os.fsync(stream.fileno())
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            files[name] = {"sha256": sha256, "size": stream.tell()}
    record = {"of": dict(of), "files": files, **facts}
    write_record(folder / RECORD_FILE, record)
    _make_own(folder, 0o755)
    return Conversion(folder, record)


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record that only this user may change, whole or not at all."""
    write_durably(path, json.dumps(record).encode())


def write_durably(path: Path, content: memoryview | bytes) -> None:
    """Write a file that only this user may change, whole or not at all.

    Raises:
        OSError: It cannot be written.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with draft.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        _make_own(draft, 0o644)
        draft.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
    _sync_folder(path.parent)


def move_in(part: Path, folder: Path) -> None:
    """Give a sealed folder its name; if another process was faster, its conversion stays.

    Raises:
        OSError: It cannot be moved, and there is no conversion in its place.
    """
    _sync_folder(part)
    try:
        part.rename(folder)
    except OSError:
        if not (folder / RECORD_FILE).is_file():
            raise
    _sync_folder(folder.parent)


def remove(folder: Path) -> None:
    """Remove a damaged conversion, or what is in its place; a link's target stays.

    Raises:
        OSError: It cannot be removed.
    """
    # Renamed first, so that no other process sees it half removed.
    with tempfile.TemporaryDirectory(
        dir=folder.parent, prefix=f"{folder.name}.", ignore_cleanup_errors=True
    ) as trash:
        folder.rename(Path(trash, "damaged"))


def _make_own(path: Path, mode: int) -> None:
    """Forbid others to write, whatever the umask allows."""
    # On a file system without permissions this fails, and the files are not trusted later.
    with contextlib.suppress(OSError):
        path.chmod(mode)


def _sync_folder(folder: Path) -> None:
    """Sync a folder's entries to the disk, if the system can."""
    with contextlib.suppress(OSError):
        file = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)
