"""`dpt models`: list, show, pull, verify, path, clean."""

import json
import shutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from dpt_cli.checkpoint.registry import load_registry
from dpt_cli.checkpoint.specs import TASKS, CheckpointSpec
from dpt_cli.cli.complete import complete_weights
from dpt_cli.cli.console import printable, put, put_path, say
from dpt_cli.cli.options import debug_option, registry_option
from dpt_cli.cli.settings import OneRunOption, SettingsCommand
from dpt_cli.cli.values import Resolution
from dpt_cli.errors import FetchError

_HEADINGS = (
    *("TASK", "NAME", "PARAMETERS", "ETH3D", "ON DISK", "CHECK", "LICENCE", "NUMBERS", "WEIGHTS"),
)
_NUM_SHORT = 6  # columns of a narrow terminal
_GAP = "  "

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
@click.option("--commercial", is_flag=True, help="Only weights that may be used commercially.")
@_task
@registry_option
@debug_option
def list_models(as_json: bool, commercial: bool, task: str | None, registry: Path | None) -> None:
    """List the weights: task, name, size, quality, licence, whether they are here, their meaning.

    ETH3D is the error (AbsRel) in MiDaS's table, lower is better; "-" where that has none. CHECK is
    "weak" where no whole SHA-256 of the file is published: a forger can match the rest.

    Example: dpt models list --commercial
    """
    chosen = _select((), task, registry)
    rows = [_facts(row) for row in chosen if not commercial or _is_free(row)]
    if as_json:
        # ASCII: any terminal can show it.
        put(json.dumps(rows, indent=2), keep_lines=True)
        return
    # A pipe has no width: lines are not to be folded for it.
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in _table([_cells(row) for row in rows], width):
        put(line)
    say("* used where no --model is named")


def _is_free(row: CheckpointSpec) -> bool:
    """Return whether there are weights, and their licence allows commercial use."""
    return row.commercial and bool(row.sources or row.known_files)


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    size = row["bytes"]
    return (
        row["task"],
        f"{row['name']} *" if row["default"] else str(row["name"]),
        f"{row['parameters'] / 1e6:.0f} M",
        f"{row['eth3d_abs_rel']:.3f}" if row["eth3d_abs_rel"] else "-",
        f"{size / 1e6:,.0f} MB" if isinstance(size, int) else "no",
        row["check"] or "none",
        row["licence"],
        row["meaning"],
        row["title"],
    )


def _table(rows: Sequence[tuple[str, ...]], width: int | None) -> list[str]:
    """Return the table's lines; on a narrow terminal the last columns stand below their row."""
    cells = [_HEADINGS, *(tuple(map(printable, row)) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    padded = [[cell.ljust(n) for cell, n in zip(row, widths, strict=True)] for row in cells]
    lines = [_GAP.join(row).rstrip() for row in padded]
    if width is None or max(map(len, lines)) <= width:
        return lines
    indent = " " * (widths[0] + len(_GAP))
    folded = []
    for row, (*_, licence, meaning, title) in zip(padded, cells, strict=True):
        folded.append(_GAP.join(row[:_NUM_SHORT]).rstrip())
        if row is not padded[0]:
            folded += textwrap.wrap(
                f"{title}, {licence}: {meaning}",
                width,
                initial_indent=indent,
                subsequent_indent=indent,
                break_on_hyphens=False,
            )
    return folded


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
        "commercial": _is_free(row),
        "eth3d_abs_rel": row.eth3d_abs_rel,
        "quantity": row.output.quantity,
        "meaning": row.meaning,
        "reported": row.reported,
        "sources": [str(source) for source in row.sources],
        "check": None if source is None else "weak" if source.is_weak else "sha256",
    }


@models.command(cls=SettingsCommand, has_table=False)
@_names
@click.option(
    "--resolution",
    cls=OneRunOption,
    type=Resolution(),
    metavar="N|WxH",
    help="Count operations at the network size for this, aspect ratio 1.  [default: its own]",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON array instead of text.")
@_task
@registry_option
@debug_option
def show(
    names: tuple[str, ...],
    resolution: tuple[int, int] | None,
    as_json: bool,
    task: str | None,
    registry: Path | None,
) -> None:
    """Show a model's architecture, its cost, its input, and what the papers report of it.

    Example: dpt models show depth/hybrid
    """
    from dpt_cli.cli.show import facts_of_model, show_model

    found = [facts_of_model(row, resolution) for row in _select(names, task, registry)]
    if as_json:
        put(json.dumps(found, indent=2), keep_lines=True)
        return
    for number, facts in enumerate(found):
        if number:
            put("")
        show_model(facts)


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
        say(f"{row.id}: {row.title}")
        weights = find_weights(row, notify=say)
        say(f"sha256 {weights.sha256} (checked against: {weights.checked})")
        put_path(weights.path)


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
            # It lists what was looked for, one line each.
            say(f"{row.id}: {error}", keep_lines=True)
        else:
            put(f"ok {row.id} {weights.sha256} (checked against: {weights.checked})")
    if not here:
        say("no weights on this disk yet; see 'dpt models pull'")
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
    from dpt_cli.checkpoint.fetch import locate, why_no_download
    from dpt_cli.checkpoint.integrity import expected_path

    missing, hint = [], ""
    for row in _select((name,), task, registry):
        found = locate(row)
        if found:
            put_path(found[1])
            continue
        missing.append(row.id)
        if not row.sources:
            say(why_no_download(row))
        for source in row.sources:
            hint = "; see 'dpt models pull'"
            say(f"{row.id} would lie in {expected_path(source)}  (from {source})")
    if missing:
        raise FetchError(f"not on this disk: {', '.join(missing)}{hint}")


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
            say(f"left, as it is in use or may not be removed: {leftover.path}")
            continue
        num_gone += 1
        num_bytes += leftover.num_bytes
        put(f"{leftover.num_bytes / 1e6:10,.1f} MB  {leftover.path}  ({leftover.what})")
    if not leftovers:
        put("nothing to remove")
        return
    done = "removed" if yes else "can be removed; 'dpt models clean --yes' removes them"
    say(f"{num_gone} of {len(leftovers)}, {num_bytes / 1e6:,.1f} MB, {done}")
