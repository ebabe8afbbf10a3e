"""The settings files: where they are, what they hold, and which of them may set what.

A file in the current folder may have come from anyone. It may choose how photographs become maps,
but not where code, weights or the user's files are read or written.
"""

import os
import stat
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from dpt_cli.checkpoint.registry import read_toml
from dpt_cli.cli.values import NameList
from dpt_cli.errors import did_you_mean

# These belong to one run: an option that overwrites must not hide in a folder of photographs.
FLAGS_ONLY = ("force", "dry-run", "from", "list-classes")

_MAX_INT = 2**63
_MAX_SHOWN = 200  # characters of a wrong value

_PROJECT = Path("dpt.toml")
_PYPROJECT = Path("pyproject.toml")

Options = Mapping[str, click.Option]  # by key


@dataclass(frozen=True)
class Table:
    """A table of a settings file.

    Attributes:
        place: The file and the table, for messages.
        command: The command it is for; empty for the top of the file, which is for all.
        values: Its keys and values.
        is_local: Whether the file is in the current folder.
    """

    place: str
    command: str
    values: Mapping[str, Any]
    is_local: bool


@dataclass(frozen=True)
class Setting:
    """A file's value for an option.

    Attributes:
        value: The value as the command line would have it.
        table: Where it stands.
        key: The key as the file spells it.
        refusal: Why it is not accepted from this file; empty where it is.
    """

    value: Any
    table: Table
    key: str
    refusal: str


def user_settings_path() -> Path:
    """Return the user's own file, whether it exists or not."""
    xdg = os.environ.get("XDG_CONFIG_HOME", "")
    if Path(xdg).is_absolute():
        folder = Path(xdg, "dpt")
    elif sys.platform in ("win32", "darwin"):
        folder = Path(click.get_app_dir("dpt"))
    else:
        # os.path: Path.expanduser raises where there is no home.
        folder = Path(os.path.expanduser("~/.config/dpt"))  # noqa: PTH111
    return folder / "config.toml"


def read_tables(commands: Collection[str]) -> tuple[list[Table], list[str]]:
    """Read the settings files that exist.

    Args:
        commands: The commands that may have a table of their own.

    Returns:
        The tables, those that win first, and what is wrong with the files.
    """
    tables: list[Table] = []
    problems: list[str] = []
    near = _PROJECT if _is_there(_PROJECT) else _PYPROJECT
    for path in filter(_is_there, (near, user_settings_path())):
        is_local = path == near
        label = f".{os.sep}{path}" if is_local else str(path)
        try:
            values = read_toml(path)
        except OSError as error:
            problems.append(f"cannot read {label}: {error.strerror}")
            continue
        except ValueError as error:
            problems.append(f"{label} is not valid TOML: {error}")
            continue
        above = ""
        if path == _PYPROJECT:
            tools = values.get("tool")
            values = tools.get("dpt", {}) if isinstance(tools, dict) else {}
            if not isinstance(values, dict):
                problems.append(f"{label}: tool.dpt must be a table, [tool.dpt]")
                continue
            if not values:
                continue
            above = "tool.dpt"
        own = {key: it for key, it in values.items() if key in commands and isinstance(it, dict)}
        rest = {key: it for key, it in values.items() if key not in own}
        for command, content in (*own.items(), ("", rest)):
            header = ".".join(filter(None, (above, command)))
            place = f"{label} [{header}]" if header else label
            tables.append(Table(place, command, content, is_local))
    return tables, problems


def settings_in(
    tables: Sequence[Table], options: Options, command: str
) -> tuple[dict[str, Setting], dict[str, Setting]]:
    """Return a command's settings, accepted and refused, each by parameter name."""
    accepted: dict[str, Setting] = {}
    refused: dict[str, Setting] = {}
    for table in tables:
        for key, value in table.values.items() if table.command in ("", command) else ():
            option = options.get(key.replace("_", "-"))
            if option is None or _problem_with(option, value):
                continue
            typed = _as_typed(option, value)
            why = _refusal(option, typed) if table.is_local else ""
            target = refused if why else accepted
            target.setdefault(option.name, Setting(typed, table, key, why))
    return accepted, refused


def problems_in(tables: Sequence[Table], commands: Mapping[str, Options]) -> list[str]:
    """Return what is wrong: keys that no command has, and values of the wrong type.

    Args:
        tables: The tables of all files.
        commands: The options by command; under an empty name, those of the top of a file.
    """
    return [
        f"{table.place}: {problem}"
        for table in tables
        for key, value in table.values.items()
        if (problem := _problem(key, value, commands[table.command], commands))
    ]


def _is_there(path: Path) -> bool:
    """Return whether there is a settings file, good or bad; a folder is none."""
    try:
        return not stat.S_ISDIR(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def _problem(key: str, value: Any, options: Options, commands: Collection[str]) -> str:
    dashed = key.replace("_", "-")
    if key in commands:
        return f"{key} must be a table, [{key}]"
    if dashed in FLAGS_ONLY:
        return f"{key} belongs to one run: give it as a flag"
    if dashed not in options:
        close = did_you_mean(dashed, (*options, *commands))
        hint = f" Did you mean {close!r}?" if close else ""
        return f"unknown key {key!r}.{hint} Keys are the long options of 'dpt COMMAND --help'."
    problem = _problem_with(options[dashed], value)
    return f"{key} {problem}" if problem else ""


def _problem_with(option: click.Option, value: Any) -> str:
    """Return why an option cannot take a value; empty where it can."""
    types, expected = _expected(option)
    words = value if isinstance(value, list) else []
    if type(value) not in types or not all(isinstance(word, str) for word in words):
        return f"must be {expected}, not {_short(value)}"
    if isinstance(value, int) and abs(value) >= _MAX_INT:
        return "is too large a number"
    return "holds a NUL character" if "\0" in "".join(map(str, words or [value])) else ""


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # thousands of digits, or of tables
        return "that"
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


def _expected(option: click.Option) -> tuple[tuple[type, ...], str]:
    """Return the TOML types an option takes, and their name."""
    kind = option.type
    if option.is_flag:
        return (bool,), "true or false"
    if isinstance(kind, NameList) or option.multiple:
        return (str, list), "a string or a list of strings"
    if isinstance(kind, click.types.IntParamType) or option.count or kind.name == "integer":
        return (int,), "an integer"
    if isinstance(kind, click.types.FloatParamType):
        return (int, float), "a number"
    if isinstance(kind, (click.types.StringParamType, click.Path, click.Choice)):
        return (str,), "a string"
    return (str, int, float), "a string or a number"


def _as_typed(option: click.Option, value: Any) -> Any:
    """Return a file's value as the command line would have it."""
    words = value if isinstance(value, list) else [value]
    if isinstance(option.type, click.Path):
        # As a shell does; os.path: Path.expanduser raises where there is no home.
        words = [os.path.expanduser(word) for word in words]  # noqa: PTH111
    if option.multiple:
        return words
    return ",".join(map(str, words)) if isinstance(value, list) else words[0]


def _refusal(option: click.Option, value: Any) -> str:
    """Return why a file in the current folder may not set an option; empty where it may."""
    if not isinstance(option.type, click.Path):
        return ""
    if option.name != "output":
        return "it names a file or folder to read or write"
    return f"{value} lies outside the current folder" if _leaves(str(value)) else ""


def _leaves(folder: str) -> bool:
    """Return whether a path leads out of the current folder, by itself or through a link."""
    path = Path(folder)
    if path.anchor or ".." in path.parts:
        return True
    try:
        return not path.resolve().is_relative_to(Path.cwd().resolve())
    except (OSError, RuntimeError, ValueError):  # no current folder, a circle of links
        return True
