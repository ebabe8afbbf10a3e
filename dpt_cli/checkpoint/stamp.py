"""What is known about a file's content, valid while the file stays the same.

It is kept on this disk, so that a checkpoint of a gigabyte is not hashed at every start.
"""

import contextlib
import hashlib
import json
import os
import re
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import constants

_SHA256 = re.compile(r"[0-9a-f]{64}")
# The coarsest file system clock in use. A second change within one tick leaves no trace.
TICK_NS = 2_000_000_000


def own_folder() -> Path:
    """Return the folder in which this program keeps its files."""
    return Path(constants.HF_HOME).absolute() / "dpt"


def verified_folder() -> Path:
    """Return the folder of the stamps."""
    return own_folder() / "verified"


def moments_of(status: os.stat_result) -> dict[str, int]:
    """Return the facts of a file that change whenever its content does."""
    return {
        "size": status.st_size,
        "mtime_ns": status.st_mtime_ns,
        "ctime_ns": status.st_ctime_ns,
        "inode": status.st_ino,
    }


def verified_sha256(path: Path, status: os.stat_result) -> str | None:
    """Return the remembered hash of an unchanged file; None if it must be read.

    Args:
        path: The file.
        status: Status of the open file, which may be another one than the path names.
    """
    return Stamp(path.resolve(), status, time.time_ns()).recall()


def is_known_finite(sha256: str) -> bool:
    """Return whether every number of the content with that hash was found finite before."""
    return bool(sha256) and _finite_mark(sha256).is_file()


def note_finite(sha256: str) -> None:
    """Remember that every number of the content with that hash is finite."""
    with contextlib.suppress(OSError):
        if sha256:
            verified_folder().mkdir(parents=True, exist_ok=True)
            _finite_mark(sha256).touch()


def _finite_mark(sha256: str) -> Path:
    return verified_folder() / f"{sha256}.finite"


@dataclass(frozen=True)
class Stamp:
    """The state of a file before its content was read.

    Attributes:
        file: Its path, with links resolved.
        status: Its size, times and inode.
        seen_ns: When the status was read.
    """

    file: Path
    status: os.stat_result
    seen_ns: int

    @classmethod
    def of(cls, path: Path) -> "Stamp":
        """Return the stamp of a file as it is now."""
        seen_ns = time.time_ns()
        return cls(path.resolve(), path.stat(), seen_ns)

    @property
    def size(self) -> int:
        """The file's length [bytes]."""
        return self.status.st_size

    @property
    def _facts(self) -> dict[str, Any]:
        return {"path": str(self.file), **moments_of(self.status)}

    def recall(self) -> str | None:
        """Return the hash found before; None if the file or the record may have changed."""
        known = _read(self.file)
        is_same = known.get("settled") is True and self._facts.items() <= known.items()
        return str(known["sha256"]) if is_same else None

    @classmethod
    def recorded(cls, path: Path) -> tuple[str, str] | None:
        """Return the last verified hash at a path and how it was checked, current or not."""
        known = _read(path.resolve())
        return (str(known["sha256"]), str(known["checked"])) if known else None

    def remember(self, sha256: str, checked: str) -> None:
        """Write the stamp, whole or not at all."""
        last_change = max(self.status.st_mtime_ns, self.status.st_ctime_ns)
        self._write({"sha256": sha256, "checked": checked}, self.seen_ns - last_change >= TICK_NS)

    def distrust(self) -> None:
        """Force a new hash next time, although the file looks unchanged."""
        if known := _read(self.file):
            self._write({key: known[key] for key in ("sha256", "checked")}, settled=False)

    def _write(self, found: dict[str, str], settled: bool) -> None:
        place = _place(self.file)
        content = json.dumps({**self._facts, **found, "settled": settled})
        # A stamp only saves time, so failing to write one is no failure.
        with contextlib.suppress(OSError):
            place.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=place.parent) as folder:
                draft = Path(folder, place.name)
                draft.write_text(content)
                draft.replace(place)


def _place(file: Path) -> Path:
    key = hashlib.sha256(os.fsencode(file)).hexdigest()[:16]
    return verified_folder() / f"{file.name}-{key}.json"


def _read(file: Path) -> dict[str, Any]:
    """Return a file's stamp; empty where there is none, or a damaged one."""
    try:
        known = json.loads(_place(file).read_bytes())
        is_whole = (
            isinstance(known, dict)
            and known["path"] == str(file)
            and isinstance(known["checked"], str)
            and _SHA256.fullmatch(known["sha256"])
        )
    except (OSError, ValueError, TypeError, KeyError):
        return {}
    return known if is_whole else {}
