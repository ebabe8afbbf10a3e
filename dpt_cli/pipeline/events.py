"""What becomes of each photograph of a run, one event each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dpt_cli.errors import DptError
from dpt_cli.pipeline.plan import Job


@dataclass(frozen=True)
class Planned:
    """A photograph that a run would do; only of a dry run."""

    job: Job


@dataclass(frozen=True)
class Skipped:
    """A photograph that was done before, with the same settings and weights."""

    job: Job


@dataclass(frozen=True)
class Done:
    """A photograph whose outputs are all written.

    Attributes:
        job: The photograph and its outputs by format.
        facts: The description of its maps, as `maps.facts` has it; `device`; and `seconds` from
            the start of reading to the last file, waiting included.
    """

    job: Job
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Failed:
    """A photograph that could not be done, and why."""

    job: Job
    error: DptError


Event = Planned | Skipped | Done | Failed
