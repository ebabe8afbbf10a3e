"""Options set beforehand: flags beat `DPT_*` variables, `./dpt.toml`, the user's file, defaults.

Click does the choosing. This file names the variables, hands click the files' values as its
default map, remembers where a value came from, and announces a file in the current folder.
"""

import os
from collections.abc import Iterator
from typing import Any

import click
from click.core import ParameterSource

from dpt_cli.cli.console import printable, say
from dpt_cli.cli.help import write_options
from dpt_cli.cli.settings_files import (
    FLAGS_ONLY,
    Setting,
    SettingsFile,
    problems_in,
    read_settings_files,
    settings_in,
    user_settings_path,
)
from dpt_cli.errors import RegistryError, SettingsError

_ORIGINS = "dpt.origins"
_REFUSED = "dpt.refused"


class SettingsCommand(click.Command):
    """A command whose options can be set beforehand, under the long option's name.

    Attributes:
        has_table: A table of its own in a file, and variables of its own (`DPT_DEPTH_MODEL`),
            beat the keys and variables that all commands share.
    """

    def __init__(self, *args: Any, has_table: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.has_table = has_table
        own = (f"DPT_{self.name}_",) if has_table else ()
        for key, option in keyed_options(self).items():
            names = (prefix + key for prefix in (*own, "DPT_"))
            option.envvar = [name.replace("-", "_").upper() for name in names]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse with the files' values for defaults; a file that cannot be is told after help.

        Raises:
            SettingsError: A file does not parse, a key or a value's type cannot be, or a file in
                the current folder sets what it may not.
        """
        files, problems = read_settings_files()
        table = self.name if self.has_table else None
        found, refused = settings_in(files, keyed_options(self), table)
        ctx.default_map = {name: setting.value for name, setting in found.items()}
        ctx.meta[_ORIGINS] = {name: setting.place for name, setting in found.items()}
        try:
            rest = super().parse_args(ctx, args)
        except click.BadParameter as error:
            _tell_origin(error, ctx)
            raise
        if not ctx.resilient_parsing:
            problems += _problems(ctx.find_root().command, files)
            if problems:
                more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
                raise SettingsError(problems[0] + more)
            if _REFUSED in ctx.meta:
                ctx.meta[_REFUSED].update((_refusal(it), None) for it in refused.values())
                return rest
            for name, setting in refused.items():
                # What the user sets elsewhere is used, and the file's value is not missed.
                if ctx.get_parameter_source(name) is ParameterSource.DEFAULT:
                    raise SettingsError(_refusal(setting))
            _announce(ctx, found)
        return rest

    def get_help(self, ctx: click.Context) -> str:
        """Return the help, whose defaults may come from a file."""
        return printable(super().get_help(ctx), keep_lines=True)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options under headings."""
        write_options(self, ctx, formatter)

    def invoke(self, ctx: click.Context) -> Any:
        """Run; a value that turns out wrong is told with the place it was set in."""
        try:
            return super().invoke(ctx)
        except click.BadParameter as error:
            _tell_origin(error, ctx)
            raise
        except RegistryError as error:
            option = keyed_options(self).get("model")
            if option is None or not _was_set(ctx, option):
                raise
            value = ctx.params.get(option.name)
            names = value if isinstance(value, tuple) else (value,)
            if not any(repr(name) in str(error) for name in names):
                raise
            raise RegistryError(f"{error} (--model is set by {origin(ctx, option)})") from error


def keyed_options(command: click.Command) -> dict[str, click.Option]:
    """Return a command's options by the key they are set under, `batch-size`."""
    keyed = {}
    for option in command.params:
        long = [name[2:] for name in option.opts if name.startswith("--")]
        if isinstance(option, click.Option) and long and long[0] not in FLAGS_ONLY:
            keyed[long[0]] = option
    return keyed


def commands_with_settings(root: click.Command) -> Iterator[SettingsCommand]:
    """Yield a program's commands that take settings, in its order."""
    if isinstance(root, SettingsCommand):
        yield root
    elif isinstance(root, click.Group):
        for command in root.commands.values():
            yield from commands_with_settings(command)


def collect_refusals(ctx: click.Context, refusals: dict[str, None]) -> None:
    """Have commands that are parsed below a context add what is refused instead of stopping."""
    ctx.meta[_REFUSED] = refusals


def given(ctx: click.Context, option: click.Option) -> Any:
    """Return what an option was given beforehand, unconverted; None where it was not."""
    source = ctx.get_parameter_source(option.name)
    if source is ParameterSource.ENVIRONMENT:
        return os.environ[origin(ctx, option)]
    return ctx.default_map[option.name] if ctx.default_map and _was_set(ctx, option) else None


def origin(ctx: click.Context, option: click.Option) -> str:
    """Say where an option's value came from: a flag, a variable, a file or `default`."""
    source = ctx.get_parameter_source(option.name)
    if source is ParameterSource.COMMANDLINE:
        return option.opts[-1]
    if source is ParameterSource.ENVIRONMENT:
        return next(name for name in option.envvar or () if os.environ.get(name))
    if source is ParameterSource.DEFAULT_MAP:
        return str(ctx.meta[_ORIGINS][option.name])
    return "default"


def _problems(root: click.Command, files: list[SettingsFile]) -> list[str]:
    commands = {command: keyed_options(command) for command in commands_with_settings(root)}
    tables = {str(command.name): keyed for command, keyed in commands.items() if command.has_table}
    # What several commands share has the type of the first: `bench` takes lists where others do
    # not, and a list at the top would stop those.
    shared: dict[str, click.Option] = {}
    for keyed in commands.values():
        shared = {**keyed, **shared}
    return problems_in(files, tables, shared)


def _refusal(setting: Setting) -> str:
    key = setting.key.replace("_", "-")
    variable = f"DPT_{key.replace('-', '_').upper()}"
    return (
        f"{setting.place}: {setting.key} is not taken from a file in the current folder, as "
        f"{setting.refusal}: give --{key}, set {variable}, or put it into {user_settings_path()}"
    )


def _announce(ctx: click.Context, found: dict[str, Setting]) -> None:
    """Say which settings come from the current folder, which may have come from anyone."""

    def is_used(name: str) -> bool:
        return ctx.get_parameter_source(name) is ParameterSource.DEFAULT_MAP

    used = [setting for name, setting in found.items() if setting.file.is_local and is_used(name)]
    quiet = found.get("quiet")
    silenced_by_file = is_used("quiet") and quiet is not None and quiet.file.is_local
    if used and (silenced_by_file or not ctx.params.get("quiet")):
        keys = ", ".join(dict.fromkeys(setting.key for setting in used))
        say(f"dpt: settings from {used[0].file.place()}: {keys}")


def _was_set(ctx: click.Context, option: click.Option) -> bool:
    beforehand = (ParameterSource.ENVIRONMENT, ParameterSource.DEFAULT_MAP)
    return ctx.get_parameter_source(option.name) in beforehand


def _tell_origin(error: click.BadParameter, ctx: click.Context) -> None:
    for key, option in keyed_options(ctx.command).items():
        if option is error.param or error.param_hint == f"--{key}":
            if _was_set(ctx, option):
                error.param_hint = f"'--{key}' (set by {origin(ctx, option)})"
            return
