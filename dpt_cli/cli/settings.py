"""Options set in advance: flags beat `DPT_*` variables, `./dpt.toml`, the user's file, defaults.

Click chooses among them. This module names the variables, hands click the files' values as its
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
    Options,
    Setting,
    problems_in,
    read_tables,
    settings_in,
    user_settings_path,
)
from dpt_cli.errors import RegistryError, SettingsError

# In a context's `meta`: a dictionary in which refused settings are collected instead of raised.
REFUSED = "dpt.refused"
_PLACES = "dpt.places"
_IN_ADVANCE = (ParameterSource.ENVIRONMENT, ParameterSource.DEFAULT_MAP)


class SettingsCommand(click.Command):
    """A command whose options can be set in advance, under the name of the long option.

    Attributes:
        has_table: Whether it has a table of its own in a file, and variables of its own
            (`DPT_DEPTH_MODEL`). They beat the keys and variables that all commands share.
    """

    def __init__(self, *args: Any, has_table: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.has_table = has_table
        own = (f"DPT_{self.name}_",) if has_table else ()
        # click's auto_envvar_prefix knows one name per option, after the parameter (FORMATS, not
        # FORMAT), and click reads it only after the names given here: DPT_MODEL would beat
        # DPT_DEPTH_MODEL.
        for key, option in keyed_options(self).items():
            names = (prefix + key for prefix in (*own, "DPT_"))
            option.envvar = [name.replace("-", "_").upper() for name in names]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse with the files' values as defaults. Problems are reported only after `--help`.

        Raises:
            SettingsError: A file does not parse, has an unknown key or a value of a wrong type, or
                is in the current folder and sets what it must not.
        """
        options = _options_of_commands(ctx.find_root().command)
        tables, problems = read_tables(options.keys() - {""})
        own = str(self.name) if self.has_table else ""
        accepted, refused = settings_in(tables, keyed_options(self), own)
        ctx.default_map = {name: setting.value for name, setting in accepted.items()}
        ctx.meta[_PLACES] = {name: setting.table.place for name, setting in accepted.items()}
        try:
            rest = super().parse_args(ctx, args)
        except click.BadParameter as error:
            _add_origin(error, ctx)
            raise
        if ctx.resilient_parsing:
            return rest
        problems += problems_in(tables, options)
        if problems:
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            raise SettingsError(problems[0] + more)
        if REFUSED in ctx.meta:
            ctx.meta[REFUSED].update((_refusal(setting), None) for setting in refused.values())
            return rest
        for name, setting in refused.items():
            # A value that the user sets elsewhere wins anyway.
            if ctx.get_parameter_source(name) is ParameterSource.DEFAULT:
                raise SettingsError(_refusal(setting))
        _announce(ctx, accepted)
        return rest

    def get_help(self, ctx: click.Context) -> str:
        """Return the help; its defaults may come from a file."""
        return printable(super().get_help(ctx), keep_lines=True)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options under headings."""
        write_options(self, ctx, formatter)

    def invoke(self, ctx: click.Context) -> Any:
        """Run; an error about a value set in advance names the place it was set in."""
        try:
            return super().invoke(ctx)
        except click.BadParameter as error:
            _add_origin(error, ctx)
            raise
        except RegistryError as error:
            option = keyed_options(self).get("model")
            if option is None or not _is_in_advance(ctx, option):
                raise
            value = ctx.params.get(option.name)
            names = value if isinstance(value, tuple) else (value,)
            if not any(repr(name) in str(error) for name in names):
                raise
            raise RegistryError(f"{error} (--model is set by {origin(ctx, option)})") from error


class OneRunOption(click.Option):
    """An option that belongs to one run, whose name may be another command's setting."""


def keyed_options(command: click.Command) -> dict[str, click.Option]:
    """Return a command's options by the key they are set under, `batch-size`."""
    keyed = {}
    for option in command.params:
        long = [name[2:] for name in option.opts if name.startswith("--")]
        if isinstance(option, OneRunOption):
            continue
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


def given(ctx: click.Context, option: click.Option) -> Any:
    """Return the value an option has in advance, unconverted; None where it has none."""
    if not _is_in_advance(ctx, option):
        return None
    place = origin(ctx, option)
    return os.environ.get(place) or (ctx.default_map or {}).get(option.name)


def origin(ctx: click.Context, option: click.Option) -> str:
    """Return where an option's value came from: a flag, a variable, a file or `default`."""
    source = ctx.get_parameter_source(option.name)
    if source is ParameterSource.COMMANDLINE:
        return option.opts[-1]
    if source is ParameterSource.ENVIRONMENT:
        return next(name for name in option.envvar or () if os.environ.get(name))
    if source is ParameterSource.DEFAULT_MAP:
        return str(ctx.meta[_PLACES][option.name])
    return "default"


def _options_of_commands(root: click.Command) -> dict[str, Options]:
    """Return the options by command; under an empty name, those that all commands share."""
    commands = list(commands_with_settings(root))
    # An option of several commands has the type of the first: `bench` takes lists where others do
    # not, and a list at the top of a file would stop those.
    shared = {key: it for command in commands[::-1] for key, it in keyed_options(command).items()}
    own = {str(it.name): keyed_options(it) for it in commands if it.has_table}
    return {**own, "": shared}


def _refusal(setting: Setting) -> str:
    key = setting.key.replace("_", "-")
    variable = f"DPT_{key.replace('-', '_').upper()}"
    return (
        f"{setting.table.place}: {setting.key} is not accepted from a file in the current folder, "
        f"because {setting.refusal}: give --{key}, set {variable}, or put it into "
        f"{user_settings_path()}"
    )


def _announce(ctx: click.Context, accepted: dict[str, Setting]) -> None:
    """Print which settings come from the current folder, whose files may come from anyone."""
    used = {
        name: setting
        for name, setting in accepted.items()
        if setting.table.is_local and ctx.get_parameter_source(name) is ParameterSource.DEFAULT_MAP
    }
    if used and ("quiet" in used or not ctx.params.get("quiet")):
        keys = ", ".join(dict.fromkeys(setting.key for setting in used.values()))
        say(f"dpt: settings from {next(iter(used.values())).table.place}: {keys}")


def _is_in_advance(ctx: click.Context, option: click.Option) -> bool:
    return ctx.get_parameter_source(option.name) in _IN_ADVANCE


def _add_origin(error: click.BadParameter, ctx: click.Context) -> None:
    for key, option in keyed_options(ctx.command).items():
        if option is error.param or error.param_hint == f"--{key}":
            if _is_in_advance(ctx, option):
                error.param_hint = f"'--{key}' (set by {origin(ctx, option)})"
            return
