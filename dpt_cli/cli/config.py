"""`dpt config`."""

import json
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, cast

import click
from click.shell_completion import CompletionItem

from dpt_cli.checkpoint.registry import load_registry
from dpt_cli.checkpoint.specs import Task
from dpt_cli.cli.console import put, say
from dpt_cli.cli.options import debug_option, registry_option
from dpt_cli.cli.settings import (
    REFUSED,
    SettingsCommand,
    commands_with_settings,
    given,
    keyed_options,
    origin,
)
from dpt_cli.cli.settings_files import read_tables, user_settings_path
from dpt_cli.errors import did_you_mean

_HEADINGS = {"command": "COMMAND", "option": "OPTION", "value": "VALUE", "from": "FROM"}


def _complete(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    names = _configurable(ctx.find_root().command)
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


@click.command()
@click.argument("command", required=False, metavar="[COMMAND]", shell_complete=_complete)
@click.option("--json", "as_json", is_flag=True, help="One JSON array instead of a table.")
@registry_option
@debug_option
@click.pass_context
def config(ctx: click.Context, command: str | None, as_json: bool, registry: Path | None) -> None:
    """Show each option's value and where it came from.

    A flag beats a DPT_* variable, which beats ./dpt.toml (or [tool.dpt] in ./pyproject.toml), your
    own file and the default, in this order. Keys are the names of the options. A command's own
    table beats the keys above it, just as DPT_DEPTH_MODEL beats DPT_MODEL.

    A file in the current folder may have come from anyone. It is announced, and it cannot set
    registry, weights, csv, plot or an output outside the folder.

    \b
    offline = true
    [depth]
    model = "large"
    format = ["color", "npy"]

    Example: dpt config depth
    """  # noqa: D301  # click wants the character, not the escape
    root = ctx.find_root().command
    commands = _configurable(root)
    if command is not None and command not in commands:
        close = did_you_mean(command, commands)
        hint = f" Did you mean {close!r}?" if close else ""
        raise click.BadParameter(
            f"{command!r} takes no settings.{hint} There are: {', '.join(commands)}.",
            param_hint="COMMAND",
        )
    flags = () if registry is None else ("--registry", str(registry))
    chosen = commands.values() if command is None else [commands[command]]
    refusals: dict[str, None] = {}
    rows = [row for item in chosen for row in _rows(item, root, flags, refusals)]
    if as_json:
        # ASCII: any terminal can show it.
        put(json.dumps(rows, indent=2), keep_lines=True)
    else:
        for line in _table(rows):
            put(line)
    for line in (*_remarks(root, commands), *(f"refused: {refusal}" for refusal in refusals)):
        say(line)


def _configurable(root: click.Command) -> dict[str, SettingsCommand]:
    return {str(item.name): item for item in commands_with_settings(root) if item.has_table}


def _rows(
    command: SettingsCommand,
    root: click.Command,
    flags: Sequence[str],
    refusals: dict[str, None],
) -> list[dict[str, Any]]:
    # Parsed as it would be run, under a parent context of its own, which keeps its state apart.
    parent = click.Context(root, info_name="dpt", **root.context_settings)
    parent.meta[REFUSED] = refusals
    takes_inputs = any(isinstance(parameter, click.Argument) for parameter in command.params)
    words = [*flags, *(["INPUT"] if takes_inputs else [])]
    ctx = command.make_context(command.name, words, parent=parent)
    rows = []
    for key, option in keyed_options(command).items():
        value = _value(ctx, option)
        if key == "model" and not value:
            task = ctx.params.get("task", command.name)
            value = load_registry(ctx.params["registry"]).find(cast("Task", task)).name
        place = origin(ctx, option)
        rows.append({"command": command.name, "option": key, "value": value, "from": place})
    return rows


def _value(ctx: click.Context, option: click.Option) -> Any:
    """Return an option's value in JSON's types."""
    in_advance = given(ctx, option)
    if option.expose_value:
        value = ctx.params[option.name]
    else:
        value = option.is_flag and bool(option.type_cast_value(ctx, in_advance))
    if isinstance(value, Path):
        return str(value)
    if value == ():
        return None
    if isinstance(value, tuple):
        # Sizes and numbers are shown as they were written.
        is_words = all(isinstance(word, str) for word in value)
        return list(value) if is_words else in_advance or option.default
    return value


def _table(rows: Sequence[dict[str, Any]]) -> list[str]:
    cells = [_HEADINGS, *({key: _text(value) for key, value in row.items()} for row in rows)]
    widths = {key: max(len(row[key]) for row in cells) for key in _HEADINGS}
    return ["  ".join(row[key].ljust(widths[key]) for key in _HEADINGS).rstrip() for row in cells]


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(value) if isinstance(value, list) else str(value)


def _remarks(root: click.Command, commands: Collection[str]) -> list[str]:
    """Name the files that were read or could be, and DPT_ variables that no option reads."""
    tables, _ = read_tables(commands)
    places = [table.place for table in tables if not table.command]
    lines = [f"read: {place}" for place in places]
    user = str(user_settings_path())
    if user not in places:
        lines.append(f"not there: {user}")
    options = [
        option
        for command in commands_with_settings(root)
        for option in keyed_options(command).values()
    ]
    known = {name for option in options for name in option.envvar or ()}
    for name in sorted(name for name in os.environ if name.startswith("DPT_")):
        if name not in known:
            close = did_you_mean(name, known)
            hint = f" Did you mean {close}?" if close else ""
            lines.append(f"no option reads {name}.{hint}")
    return lines
