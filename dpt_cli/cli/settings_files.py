"""The settings files: where they lie, what they hold, and what they may hold."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from dpt_cli.cli.settings_trust import is_there, read_settings, refusal, unusable
from dpt_cli.cli.values import NameList
from dpt_cli.errors import did_you_mean

# Of one run and no other: what may overwrite is not to hide in a folder of photographs.
FLAGS_ONLY = ("force", "dry-run", "from", "list-classes")

_MAX_SHOWN = 200  # characters of a wrong value

_PROJECT = Path("dpt.toml")
_PYPROJECT = Path("pyproject.toml")

Options = Mapping[str, click.Option]  # by key


@dataclass(frozen=True)
class SettingsFile:
    """A file that was read."""

    label: str
    table: Mapping[str, Any]
    above: str = ""
    is_local: bool = False  # in the current folder, which may have come from anyone

    def place(self, table: str = "") -> str:
        """Return the file, and the table where it is not the file's top."""
        header = ".".join(filter(None, (self.above, table)))
        return f"{self.label} [{header}]" if header else self.label


@dataclass(frozen=True)
class Setting:
    """What a file has for an option.

    Attributes:
        value: As the command line would have it.
        file: The file.
        table: The command's table in it; empty for the file's top.
        key: As the file spells it.
        refusal: Why it is not taken from this file; empty where it is.
    """

    value: Any
    file: SettingsFile
    table: str
    key: str
    refusal: str

    @property
    def place(self) -> str:
        """The file and the table."""
        return self.file.place(self.table)


def user_settings_path() -> Path:
    """Return the user's own file, whether it exists or not."""
    xdg = os.environ.get("XDG_CONFIG_HOME", "")
    if Path(xdg).is_absolute():
        folder = Path(xdg, "dpt")
    elif sys.platform in ("win32", "darwin"):
        folder = Path(click.get_app_dir("dpt"))
    else:
        # os.path: where there is no home, Path.expanduser raises.
        folder = Path(os.path.expanduser("~/.config/dpt"))  # noqa: PTH111
    return folder / "config.toml"


def read_settings_files() -> tuple[list[SettingsFile], list[str]]:
    """Return the settings files that exist, nearest first, and what is wrong with them."""
    files, problems = [], []
    near = _PROJECT if is_there(_PROJECT) else _PYPROJECT
    for path in (near, user_settings_path()):
        if not is_there(path):
            continue
        is_local = path == near
        label = f".{os.sep}{path}" if is_local else str(path)
        try:
            document = read_settings(path)
        except OSError as error:
            problems.append(f"cannot read {label}: {error.strerror}")
            continue
        except ValueError as error:
            problems.append(f"{label} is not valid TOML: {error}")
            continue
        if path != _PYPROJECT:
            files.append(SettingsFile(label, document, is_local=is_local))
            continue
        tools = document.get("tool")
        table = tools.get("dpt") if isinstance(tools, dict) else None
        if isinstance(table, dict):
            files.append(SettingsFile(label, table, above="tool.dpt", is_local=True))
        elif table is not None:
            problems.append(f"{label}: tool.dpt must be a table, [tool.dpt]")
    return files, problems


def settings_in(
    files: Sequence[SettingsFile], options: Options, table: str | None
) -> tuple[dict[str, Setting], dict[str, Setting]]:
    """Return what files have for a command's options: what is taken, and what is refused.

    Both by parameter name. The keys of the command's own table beat those at the file's top.
    """
    found: dict[str, Setting] = {}
    refused: dict[str, Setting] = {}
    for file in files:
        own = file.table.get(table) if table else None
        layers = [(own, table or "")] if isinstance(own, dict) else []
        for layer, name in (*layers, (file.table, "")):
            for key, value in layer.items():
                option_key = key.replace("_", "-")
                option = options.get(option_key)
                if option is None or unusable(value) or not _fits(option, value):
                    continue
                typed = _as_typed(option, value)
                why = refusal(option_key, typed) if file.is_local else ""
                setting = Setting(typed, file, name, key, why)
                (refused if why else found).setdefault(option.name, setting)
    return found, refused


def problems_in(
    files: Sequence[SettingsFile], tables: Mapping[str, Options], shared: Options
) -> list[str]:
    """Say which keys no command has, and which values are of the wrong type."""
    problems: list[str] = []
    for file in files:
        for key, value in file.table.items():
            if key in tables and isinstance(value, dict):
                place = file.place(key)
                checked = [_problem(name, it, tables[key], ()) for name, it in value.items()]
            else:
                place = file.place()
                checked = [_problem(key, value, shared, tuple(tables))]
            problems += [f"{place}: {problem}" for problem in checked if problem]
    return problems


def _problem(key: str, value: Any, options: Options, tables: Sequence[str]) -> str | None:
    if key in tables:
        return f"{key} must be a table, [{key}]"
    if key.replace("_", "-") in FLAGS_ONLY:
        return f"{key} belongs to one run: give it as a flag"
    option = options.get(key.replace("_", "-"))
    if option is None:
        close = did_you_mean(key.replace("_", "-"), (*options, *tables))
        hint = f" Did you mean {close!r}?" if close else ""
        return f"unknown key {key!r}.{hint} Keys are the long options of 'dpt COMMAND --help'."
    why = unusable(value)
    if why:
        return f"{key} {why}"
    if not _fits(option, value):
        return f"{key} must be {_expected(option)[1]}, not {_short(value)}"
    return None


def _fits(option: click.Option, value: Any) -> bool:
    types, _ = _expected(option)
    words = value if isinstance(value, list) else []
    return type(value) in types and all(isinstance(word, str) for word in words)


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
        # As a shell does; os.path: where there is no home, Path.expanduser raises.
        words = [os.path.expanduser(word) for word in words]  # noqa: PTH111
    if option.multiple:
        return words
    return ",".join(map(str, words)) if isinstance(value, list) else words[0]
