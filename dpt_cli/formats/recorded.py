"""What a manifest above a file says of it; `pipeline.manifest` writes those lines."""

import json
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from dpt_cli.photos.source import is_same

_MANIFEST_NAME = "manifest.jsonl"  # as in `pipeline.manifest`, which stands above this folder


def recorded_facts(path: Path) -> dict[str, Any]:
    """Return the facts of an output as they were recorded; none where it changed or is unknown."""
    absolute = Path(os.path.abspath(path))  # noqa: PTH100  # links keep their own name
    for folder in absolute.parents:
        manifest = folder / _MANIFEST_NAME
        try:
            status = manifest.stat()
        except OSError:
            continue
        lines = _done_lines(manifest, status.st_size, status.st_mtime_ns)
        line = lines.get(absolute.relative_to(folder).as_posix())
        if line is not None:
            return _facts(absolute, *line)
    return {}


@lru_cache(maxsize=8)
def _done_lines(
    manifest: Path, _size: int, _mtime_ns: int
) -> Mapping[str, tuple[str, dict[str, Any]]]:
    """Return the last line about each output, with its format; size and time key the cache."""
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    try:
        text = manifest.read_text(encoding="ascii", errors="replace")
    except OSError:
        return found
    for line in text.splitlines():
        if not line.startswith('{"state": "done"'):
            continue
        try:
            record = json.loads(line)
            found |= {name: (kind, record) for kind, name in record["outputs"].items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            continue  # half a line, which a kill left
    return found


def _facts(path: Path, kind: str, record: Mapping[str, Any]) -> dict[str, Any]:
    files, facts = record.get("files"), record.get("facts")
    stamp = files.get(kind) if isinstance(files, dict) else None
    if not isinstance(stamp, dict) or not isinstance(facts, dict):
        return {}
    settings = record.get("settings")
    # The one option of a bare array that its numbers do not show.
    base = settings.get("label_base") if isinstance(settings, dict) else None
    try:
        return facts | {"label_base": base} if is_same(path, stamp) else {}
    except KeyError:
        return {}
