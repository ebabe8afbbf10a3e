"""`dpt models`: list, pull, verify, path, clean."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from dpt_cli.checkpoint.registry import load_registry
from dpt_cli.checkpoint.specs import TASKS, CheckpointSpec
from dpt_cli.cli.complete import complete_weights
from dpt_cli.cli.options import debug_option, registry_option
from dpt_cli.cli.settings import SettingsCommand
from dpt_cli.errors import FetchError

_PLAIN_WIDTH = 200

_names = click.argument(
    "names", nargs=-1, required=True, metavar="NAME...", shell_complete=complete_weights
)
_some_names = click.argument(
    "names", nargs=-1, metavar="[NAME...]", shell_complete=complete_weights
)
_task = click.option("--task", type=click.Choice(TASKS), help="Only the weights of this task.")


@click.group()
def models() -> None:
    """List, download, check and locate weights.

    NAME is a model's name (in every task that has it) or TASK/NAME.
    """


def _select(
    names: tuple[str, ...], task: str | None, registry: Path | None
) -> tuple[CheckpointSpec, ...]:
    rows = load_registry(registry).select(names)
    chosen = tuple(row for row in rows if task in (None, row.task))
    if not chosen:
        raise click.UsageError(f"no weights of {', '.join(names)} for {task}")
    return chosen


@models.command("list", cls=SettingsCommand, has_table=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON array instead of a table.")
@_task
@registry_option
@debug_option
def list_models(as_json: bool, task: str | None, registry: Path | None) -> None:
    """List the weights: task, name, size, licence, whether they are here, what they mean.

    CHECK is "weak" where no whole SHA-256 of the file is published: a forger can match the rest.

    Example: dpt models list --json
    """
    rows = [_facts(row) for row in _select((), task, registry)]
    if as_json:
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in (
        "TASK",
        "NAME",
        "PARAMETERS",
        "ON DISK",
        "CHECK",
        "LICENCE",
        "NUMBERS",
        "WEIGHTS",
    ):
        table.add_column(column, no_wrap=column != "WEIGHTS")
    for row in rows:
        name = f"{row['name']} *" if row["default"] else str(row["name"])
        size = row["bytes"]
        on_disk = f"{size / 1e6:,.0f} MB" if isinstance(size, int) else "no"
        parameters = f"{row['parameters'] / 1e6:.0f} M"
        table.add_row(
            *(row["task"], name, parameters, on_disk, row["check"] or "none"),
            *(row["licence"], row["meaning"], row["title"]),
        )
    # A pipe has no width: lines are not to be folded for it.
    Console(width=None if sys.stdout.isatty() else _PLAIN_WIDTH).print(table)
    click.echo("* used where no --model is named", err=True)


def _facts(row: CheckpointSpec) -> dict[str, Any]:
    from dpt_cli.checkpoint.fetch import locate

    found = locate(row)
    source = found[0] if found else next(iter(row.sources), None)
    return {
        "task": row.task,
        "name": row.name,
        "title": row.title,
        "default": row.is_default,
        "parameters": row.num_parameters,
        "cached": found is not None,
        "path": str(found[1]) if found else None,
        "bytes": found[1].stat().st_size if found else None,
        "licence": row.licence,
        "quantity": row.output.quantity,
        "meaning": row.meaning,
        "reported": row.reported,
        "sources": [str(source) for source in row.sources],
        "check": None if source is None else "weak" if source.is_weak else "sha256",
    }


@models.command(cls=SettingsCommand, has_table=False)
@_names
@_task
@registry_option
@debug_option
def pull(names: tuple[str, ...], task: str | None, registry: Path | None) -> None:
    """Download weights and check them; print where they lie.

    Example: dpt models pull depth/large
    """
    from dpt_cli.checkpoint.fetch import hush_hub
    from dpt_cli.predict.load import find_weights

    hush_hub(progress_bars=True)
    for row in _select(names, task, registry):
        click.echo(f"{row.id}: {row.title}", err=True)
        weights = find_weights(row, notify=lambda line: click.echo(line, err=True))
        click.echo(f"sha256 {weights.sha256} (checked against: {weights.checked})", err=True)
        click.echo(weights.path)


@models.command(cls=SettingsCommand, has_table=False)
@_some_names
@_task
@registry_option
@debug_option
def verify(names: tuple[str, ...], task: str | None, registry: Path | None) -> None:
    """Hash the weights on this disk again; without NAME, all that are here.

    Example: dpt models verify
    """
    from dpt_cli.checkpoint.fetch import locate
    from dpt_cli.checkpoint.fetch import verify as verify_row

    num_bad = 0
    rows = _select(names, task, registry)
    here = [row for row in rows if locate(row)] if not names else list(rows)
    for row in here:
        try:
            weights = verify_row(row)
        except FetchError as error:
            num_bad += 1
            click.echo(f"{row.id}: {error}", err=True)
        else:
            click.echo(f"ok {row.id} {weights.sha256} (checked against: {weights.checked})")
    if not here:
        click.echo("no weights on this disk yet; see 'dpt models pull'", err=True)
    if num_bad:
        raise FetchError(f"{num_bad} of {len(here)} are missing or wrong")


@models.command(cls=SettingsCommand, has_table=False)
@click.argument("name", shell_complete=complete_weights)
@_task
@registry_option
@debug_option
def path(name: str, task: str | None, registry: Path | None) -> None:
    """Print where weights lie; where they do not, say where to put them and fail.

    Example: dpt models path depth/hybrid
    """
    from dpt_cli.checkpoint.fetch import locate
    from dpt_cli.checkpoint.integrity import expected_path

    missing = []
    for row in _select((name,), task, registry):
        found = locate(row)
        if found:
            click.echo(found[1])
            continue
        missing.append(row.id)
        if not row.sources:
            click.echo(f"no weights of {row.id} were ever published", err=True)
        for source in row.sources:
            click.echo(f"{row.id} would lie in {expected_path(source)}  (from {source})", err=True)
    if missing:
        raise FetchError(f"not on this disk: {', '.join(missing)}; see 'dpt models pull'")


@models.command(cls=SettingsCommand, has_table=False)
@click.option("--yes", is_flag=True, help="Remove what is listed.")
@registry_option
@debug_option
def clean(yes: bool, registry: Path | None) -> None:
    """List what killed downloads and conversions left, with sizes; with --yes, remove it.

    Weights are never removed, nor what another process works on.

    Example: dpt models clean --yes
    """
    from dpt_cli.checkpoint.leftovers import find_leftovers, remove

    rows = _select((), None, registry)
    leftovers = find_leftovers(source for row in rows for source in row.sources)
    num_bytes = num_gone = 0
    for leftover in leftovers:
        if yes and not remove(leftover):
            click.echo(f"left, as it is in use or may not be removed: {leftover.path}", err=True)
            continue
        num_gone += 1
        num_bytes += leftover.num_bytes
        click.echo(f"{leftover.num_bytes / 1e6:10,.1f} MB  {leftover.path}  ({leftover.what})")
    if not leftovers:
        click.echo("nothing to remove")
        return
    done = "removed" if yes else "can be removed; 'dpt models clean --yes' removes them"
    click.echo(f"{num_gone} of {len(leftovers)}, {num_bytes / 1e6:,.1f} MB, {done}", err=True)
