"""Which row of weights.toml a command uses."""

from pathlib import Path

from dpt_cli.checkpoint.registry import Registry
from dpt_cli.checkpoint.specs import CheckpointSpec, Task
from dpt_cli.cli.console import say
from dpt_cli.errors import CheckpointError


def choose_model(
    registry: Registry, task: Task, model: str | None, weights: Path | None, *, quiet: bool
) -> CheckpointSpec:
    """Return the row of a name; without a name, the one that a weights file fits, or the default.

    Where the file fits the default row, that is used, whatever else it fits. A file that fits none
    gets the default too: loading it says what is wrong.

    Raises:
        RegistryError: No such name.
    """
    chosen = registry.find(task, model)
    if model is not None or weights is None or not weights.is_file():
        return chosen
    from dpt_cli.checkpoint.load import fitting

    rows = [row for row in registry.of_task(task) if row is not chosen]
    try:
        if any(True for _ in fitting(weights, [chosen.architecture])):
            return chosen
        architectures = list(fitting(weights, dict.fromkeys(row.architecture for row in rows)))
    except CheckpointError:
        return chosen
    fits = [row for row in rows if row.architecture in architectures]
    if not fits:
        return chosen
    if not quiet:
        others = ", ".join(row.name for row in fits[1:])
        remark = f"; it fits {others} as well, for you to name with --model" if others else ""
        say(f"{weights.name} fits {fits[0].name}, which is used{remark}")
    return fits[0]
