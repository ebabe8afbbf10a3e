"""The events of a run, one per photograph."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dpt_cli.errors import DptError
from dpt_cli.pipeline.plan import Job


@dataclass(frozen=True)
class Planned:
    """A photograph that a run would process. Only a dry run yields it."""

    job: Job


@dataclass(frozen=True)
class Mapped:
    """A photograph whose map is saved, and whose other files wait for the range of all maps."""

    job: Job


@dataclass(frozen=True)
class Skipped:
    """A photograph that was already done, with the same settings and weights."""

    job: Job


@dataclass(frozen=True)
class Done:
    """A photograph whose outputs have all been written.

    Attributes:
        job: The photograph and its outputs by format.
        facts: The description of its maps, as `maps.facts` has it; `device`; and `seconds` from
            the start of reading to the last file, waiting included.
    """

    job: Job
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Failed:
    """A photograph that failed, and why."""

    job: Job
    error: DptError


Event = Planned | Mapped | Skipped | Done | Failed
