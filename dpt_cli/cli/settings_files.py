"""The settings files: where they lie, what they hold, and what they may hold."""

import difflib
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from dpt_cli.cli.values import NameList
from dpt_cli.registry import read_toml

# Of one run and no other: what may overwrite is not to hide in a folder of photographs.
FLAGS_ONLY = ("force", "dry-run", "from")

_PROJECT = Path("dpt.toml")
_PYPROJECT = Path("pyproject.toml")

Options = Mapping[str, click.Option]  # by key


@dataclass(frozen=True)
class SettingsFile:
    """A file that was read."""

    label: str
    table: Mapping[str, Any]
    above: str = ""

    def place(self, table: str = "") -> str:
        """Return the file, and the table where it is not the file's top."""
        header = ".".join(filter(None, (self.above, table)))
        return f"{self.label} [{header}]" if header else self.label


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
    near = _PROJECT if _is_file(_PROJECT) else _PYPROJECT
    for path in (near, user_settings_path()):
        if not _is_file(path):
            continue
        label = str(path) if path.is_absolute() else f".{os.sep}{path}"
        try:
            document = read_toml(path)
        except OSError as error:
            problems.append(f"cannot read {label}: {error.strerror}")
            continue
        except ValueError as error:
            problems.append(f"{label} is not valid TOML: {error}")
            continue
        if path != _PYPROJECT:
            files.append(SettingsFile(label, document))
            continue
        tools = document.get("tool")
        table = tools.get("dpt") if isinstance(tools, dict) else None
        if isinstance(table, dict):
            files.append(SettingsFile(label, table, above="tool.dpt"))
        elif table is not None:
            problems.append(f"{label}: tool.dpt must be a table, [tool.dpt]")
    return files, problems


def _is_file(path: Path) -> bool:
    # os.path.isfile: in a closed folder it says no, where Path.is_file raises.
    return os.path.isfile(path)  # noqa: PTH113


def values_in(
    files: Sequence[SettingsFile], options: Options, table: str | None
) -> dict[str, tuple[Any, str]]:
    """Return the values that files have for a command's options, with the places they are set in.

    By parameter name. The keys of the command's own table beat those at the file's top.
    """
    found: dict[str, tuple[Any, str]] = {}
    for file in files:
        own = file.table.get(table) if table else None
        layers = [(own, file.place(table or ""))] if isinstance(own, dict) else []
        for layer, place in (*layers, (file.table, file.place())):
            for key, value in layer.items():
                option = options.get(key.replace("_", "-"))
                if option is not None and type(value) in _expected(option)[0]:
                    found.setdefault(option.name, (_as_typed(option, value), place))
    return found


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
        close = difflib.get_close_matches(key.replace("_", "-"), [*options, *tables], n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        return f"unknown key {key!r}.{hint} Keys are the long options of 'dpt COMMAND --help'."
    types, expected = _expected(option)
    if type(value) not in types:
        return f"{key} must be {expected}, not {value!r}"
    return None


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
