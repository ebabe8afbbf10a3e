"""How settings files are read and which of them may set what.

A file in the current folder may have come from anyone: it may say how photographs are turned into
maps, but not where code, weights or files of the user are read from or written to.
"""

import os
import stat
import tomllib
from pathlib import Path
from typing import Any

# A settings file is a screenful; a large pyproject.toml is some 100 kB.
MAX_BYTES = 1_000_000
# tomllib's time grows with the square of a dotted key's parts: 0.5 s for this much.
_MAX_WORK = 10_000_000
_MAX_INT = 2**63

_ELSEWHERE = {
    "registry": "it decides what is downloaded and loaded",
    "weights": "it decides which file is loaded",
    "csv": "it decides which file is written",
    "plot": "it decides which file is written",
}


def is_there(path: Path) -> bool:
    """Return whether there is a settings file, good or bad; a folder is none."""
    try:
        return not stat.S_ISDIR(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def read_settings(path: Path) -> dict[str, Any]:
    """Parse a settings file, in a time and a space that no file can stretch.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not a regular file, too large, too deeply nested or not TOML in UTF-8.
    """
    if not stat.S_ISREG(path.stat().st_mode):  # opening a device may do something already
        raise ValueError("not a regular file")
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
    with os.fdopen(os.open(path, flags | getattr(os, "O_CLOEXEC", 0)), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("not a regular file")
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"larger than {MAX_BYTES:,} bytes")
    text = data.decode("utf-8-sig")  # Windows' editors add the mark.
    dots = [line.count(".") for line in text.splitlines()]
    if max(dots, default=0) * (sum(dots) + len(dots)) > _MAX_WORK:
        raise ValueError("too deeply nested")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("too deeply nested") from None


def unusable(value: Any) -> str:
    """Say why no option can take a value, whatever its type; empty where one may."""
    if isinstance(value, int) and abs(value) >= _MAX_INT:
        return "is too large a number"
    words = value if isinstance(value, list) else [value]
    if any("\0" in word for word in words if isinstance(word, str)):
        return "holds a NUL character"
    return ""


def refusal(key: str, value: Any) -> str:
    """Say why a file in the current folder may not set an option; empty where it may."""
    if key == "output" and _leaves(str(value)):
        return f"{value} lies outside the current folder"
    return _ELSEWHERE.get(key, "")


def _leaves(folder: str) -> bool:
    """Return whether a path leads out of the current folder, by itself or through a link."""
    path = Path(folder)
    if path.anchor or ".." in path.parts:
        return True
    try:
        return not path.resolve().is_relative_to(Path.cwd().resolve())
    except (OSError, RuntimeError, ValueError):  # no current folder, a circle of links
        return True
