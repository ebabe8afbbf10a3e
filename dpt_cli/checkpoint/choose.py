"""Which row of weights.toml is meant by a model's name, a weights file, or neither."""

from collections.abc import Sequence
from pathlib import Path

from dpt_cli.checkpoint.registry import Registry
from dpt_cli.checkpoint.specs import CheckpointSpec, Task
from dpt_cli.errors import CheckpointError


def choose_model(
    registry: Registry, task: Task, model: str | None, weights: Path | None
) -> tuple[CheckpointSpec, str]:
    """Return a model by its name; without a name, the one a weights file fits, or the default.

    Several models may share an architecture. The one whose published file has the same name comes
    first, then the default. A file that fits none gets the default, and loading it reports why.

    Returns:
        The row, and a line for the user where a weights file changed the choice; otherwise empty.

    Raises:
        RegistryError: There is no model of that name.
    """
    default = registry.find(task, model)
    if model is not None or weights is None or not weights.is_file():
        return default, ""
    from dpt_cli.checkpoint.load import fitting

    def rank(row: CheckpointSpec) -> tuple[bool, bool]:
        return weights.name not in _file_names(row), row is not default

    rows = sorted(registry.of_task(task), key=rank)
    architectures = dict.fromkeys(row.architecture for row in rows)
    try:
        fits = next(fitting(weights, architectures), None)
    except CheckpointError:
        return default, ""
    same = [row for row in rows if row.architecture == fits]
    if not same or same[0] is default:
        return default, ""
    others = "" if weights.name in _file_names(same[0]) else _others(same[1:])
    return same[0], f"using the model {same[0].name}, which {weights.name} fits{others}"


def _file_names(row: CheckpointSpec) -> set[str]:
    return {source.file.rpartition("/")[2] for source in row.sources}


def _others(rows: Sequence[CheckpointSpec]) -> str:
    names = ", ".join(row.name for row in rows)
    return f"; it also fits {names}: choose one with --model" if names else ""
