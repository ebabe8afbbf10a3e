"""Look up a file in the manifest of a folder above it, which `pipeline.manifest` writes."""

import json
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from dpt_cli.formats.table import formats_of
from dpt_cli.photos.source import is_same

_MANIFEST_NAME = "manifest.jsonl"  # as in `pipeline.manifest`, which may not be imported here


def recorded_facts(path: Path) -> dict[str, Any]:
    """Return the recorded facts of an output; an empty dict if it changed or is unknown."""
    absolute = Path(os.path.abspath(path))  # noqa: PTH100  # does not follow links
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
    """Return the format and last record of each output; size and time are keys of the cache."""
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
            continue  # a line that a killed run left unfinished
    return found


def _facts(path: Path, kind: str, record: Mapping[str, Any]) -> dict[str, Any]:
    files, facts = record.get("files"), record.get("facts")
    stamp = files.get(kind) if isinstance(files, dict) else None
    if not isinstance(stamp, dict) or not isinstance(facts, dict):
        return {}
    settings = record.get("settings")
    settings = settings if isinstance(settings, dict) else {}
    # The only option of an array that its numbers do not show.
    more = {"label_base": settings.get("label_base"), **_levels(kind, facts, settings)}
    try:
        return facts | more if is_same(path, stamp) else {}
    except KeyError:
        return {}


def _levels(kind: str, facts: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the levels of a 16-bit file stand for, as its text would say."""
    if "step" not in facts:
        return {}
    if facts.get("quantity") == "depth":
        entry = formats_of("depth").get(kind)
        steps = dict(entry.fixed).get("steps_per_metre", 1000) if entry else None
        return {} if steps is None else {"steps_per_metre": steps}
    low, high = settings.get("range") or (facts.get("min"), facts.get("max"))
    return {} if low is None or high is None else {"low": low, "high": high}
