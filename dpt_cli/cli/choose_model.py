"""Which row of weights.toml a command uses."""

from collections.abc import Sequence
from pathlib import Path

from dpt_cli.checkpoint.registry import Registry
from dpt_cli.checkpoint.specs import CheckpointSpec, Task
from dpt_cli.cli.console import say
from dpt_cli.errors import CheckpointError


def choose_model(
    registry: Registry, task: Task, model: str | None, weights: Path | None, *, quiet: bool
) -> CheckpointSpec:
    """Return the row of a name; without a name, the one that a weights file fits, or the default.

    Several rows may share an architecture: the one whose own file has the same name comes first,
    then the default. A file that fits none gets the default: loading it says what is wrong.

    Raises:
        RegistryError: No such name.
    """
    default = registry.find(task, model)
    if model is not None or weights is None or not weights.is_file():
        return default
    from dpt_cli.checkpoint.load import fitting

    def rank(row: CheckpointSpec) -> tuple[bool, bool]:
        return weights.name not in _file_names(row), row is not default

    rows = sorted(registry.of_task(task), key=rank)
    architectures = dict.fromkeys(row.architecture for row in rows)
    try:
        fits = next(fitting(weights, architectures), None)
    except CheckpointError:
        return default
    same = [row for row in rows if row.architecture == fits]
    if not same or same[0] is default:
        return default
    if not quiet:
        others = "" if weights.name in _file_names(same[0]) else _others(same[1:])
        say(f"{weights.name} fits {same[0].name}, which is used{others}")
    return same[0]


def _file_names(row: CheckpointSpec) -> set[str]:
    return {source.file.rpartition("/")[2] for source in row.sources}


def _others(rows: Sequence[CheckpointSpec]) -> str:
    names = ", ".join(row.name for row in rows)
    return f"; it fits {names} as well, for you to name with --model" if names else ""
