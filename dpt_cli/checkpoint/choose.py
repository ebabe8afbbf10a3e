"""Which row of weights.toml is meant by a model's name, a weights file, or neither."""

from collections.abc import Sequence
from pathlib import Path

from dpt_cli.checkpoint.registry import Registry
from dpt_cli.checkpoint.specs import CheckpointSpec, Task
from dpt_cli.errors import CheckpointError, FetchError, RegistryError


def choose_model(
    registry: Registry, task: Task, model: str | None, weights: Path | None
) -> tuple[CheckpointSpec, str]:
    """Return a model by its name; without a name, the one a weights file fits, or the default.

    A published file is known by its hash. For any other, its tensors decide. Several models may
    share an architecture: the one whose published file has the same name comes first, then the
    default. A file that fits none gets the default, and loading it reports why.

    Returns:
        The row, and a line for the user where a weights file changed the choice; otherwise empty.

    Raises:
        RegistryError: There is no model of that name, or the file fits architectures that its
            tensors cannot tell apart.
        CheckpointError: The file is published for another model than the one that is named.
    """
    default = registry.find(task, model)
    if weights is None or not weights.is_file():
        return default, ""
    if model is not None:
        _refuse_anothers(registry.of_task(task), default, weights)
        return default, ""
    rows = sorted(registry.of_task(task), key=lambda row: row is not default)
    try:
        fits = _published(rows, weights) or _fitting(rows, weights)
    except (CheckpointError, FetchError):
        return default, ""
    if not fits or fits[0] is default:
        return default, ""
    if any(row.architecture != fits[0].architecture for row in fits):
        names = ", ".join(row.name for row in fits)
        raise RegistryError(
            f"{weights.name} fits several models whose files have the same tensors: {names}. "
            "Choose one with --model"
        )
    return fits[0], f"using the model {fits[0].name}, which {weights.name} fits{_others(fits[1:])}"


def _refuse_anothers(rows: Sequence[CheckpointSpec], row: CheckpointSpec, weights: Path) -> None:
    """Refuse a file that is published for other rows of the task, but not for this one.

    Its tensors may fit all the same: relative depth would then pass for metres.
    """
    owners = [it.name for it in _published(rows, weights)]
    if owners and row.name not in owners:
        raise CheckpointError(
            f"{weights} is the published file of {' and '.join(owners)}, not of {row.name}: "
            f"use --model {owners[0]}, or leave out --model"
        )


def _published(rows: Sequence[CheckpointSpec], weights: Path) -> list[CheckpointSpec]:
    """Return the rows whose published file this is, by its content."""
    if not any(row.sha256s for row in rows):
        return []
    from dpt_cli.checkpoint.integrity import sha256_of

    sha256 = sha256_of(weights)
    return [row for row in rows if sha256 in row.sha256s]


def _fitting(rows: Sequence[CheckpointSpec], weights: Path) -> list[CheckpointSpec]:
    """Return the rows that a file fits; only those of its name, if there are any."""
    from dpt_cli.checkpoint.load import fitting

    architectures = set(fitting(weights, dict.fromkeys(row.architecture for row in rows)))
    fits = [row for row in rows if row.architecture in architectures]
    return [row for row in fits if weights.name in row.file_names][:1] or fits


def _others(rows: Sequence[CheckpointSpec]) -> str:
    names = ", ".join(row.name for row in rows)
    return f"; it also fits {names}: choose one with --model" if names else ""
