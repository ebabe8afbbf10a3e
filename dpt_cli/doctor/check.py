"""One thing that was checked, and what of it may be shown to others."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Status = Literal["pass", "fail", "not run"]

# Hugging Face's tokens, and the user and password of an address.
_SECRET = re.compile(r"\bhf_\w+|(?<=://)[^/@\s]+@")


@dataclass(frozen=True)
class Check:
    """One thing that was checked.

    Attributes:
        group: `weights`, `engines`, `published values`, `network` or `output folder`.
        name: What was checked.
        status: How it ended.
        found: What was found, or why it was not run.
        fix: What to do; empty where it passed.
        facts: Measured numbers and their limits, as JSON values.
    """

    group: str
    name: str
    status: Status
    found: str
    fix: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "group": self.group,
            "name": self.name,
            "status": self.status,
            "found": self.found,
            "fix": self.fix or None,
            **self.facts,
        }


def without_secrets(value: Any) -> Any:
    """Return JSON values without tokens and passwords, the home folder written as `~`."""
    if isinstance(value, Mapping):
        return {key: without_secrets(it) for key, it in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_secrets(it) for it in value]
    if not isinstance(value, str):
        return value
    for home in _homes():
        value = re.sub(rf"{re.escape(home)}(?![\w.-])", "~", value)
    return _SECRET.sub("", value)


def _homes() -> list[str]:
    """Return the home folder's names, the longest first; none where it is the root."""
    try:
        home = str(Path.home())
    except RuntimeError:  # no home
        return []
    return sorted({it for it in (home, os.path.realpath(home)) if it != os.sep}, key=len)[::-1]
