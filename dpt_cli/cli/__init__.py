"""The command line: options, messages and exit codes.

This module imports only click. A command imports what is heavier in its body.
"""

import errno
import io
import os
import sys
import threading
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from dpt_cli import __version__
from dpt_cli.cli.bench.command import bench as bench_command
from dpt_cli.cli.config import config
from dpt_cli.cli.console import printable, say
from dpt_cli.cli.convert import convert
from dpt_cli.cli.correction import looks_like_input, with_command
from dpt_cli.cli.depth import depth
from dpt_cli.cli.doctor import doctor
from dpt_cli.cli.eval import evaluate
from dpt_cli.cli.formats import formats_command
from dpt_cli.cli.gallery import gallery
from dpt_cli.cli.info import info
from dpt_cli.cli.interrupts import WATCHER, Interrupts, own_interrupts
from dpt_cli.cli.memory import own_process
from dpt_cli.cli.models import models
from dpt_cli.cli.segment import segment
from dpt_cli.cli.streams import READER_GONE, Stream, own_streams
from dpt_cli.errors import INTERRUPTED, DptError, FetchError, did_you_mean

_EPILOG = """
\b
Exit codes: 0 success; 1 error; 2 usage error; 3 some inputs failed and
the rest succeeded; 4 weights missing or wrong; 130 interrupted;
141 success, but the program that read stdout has ended.
Paths of written files go to stdout, everything else to stderr.
"""


class _Dpt(click.Group):
    """A group that turns a DptError into one line and an exit code."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run and exit as click does, but escape its messages about a wrong command line."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        try:
            code = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        except click.ClickException as error:
            _show(error)
            code = error.exit_code
        except (click.Abort, KeyboardInterrupt):
            say("Interrupted.")
            code = INTERRUPTED
        sys.exit(code or 0)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the words before the command; without any words, show how to begin."""
        words = tuple(args)  # click empties the list
        if not words and not ctx.resilient_parsing:
            click.echo(_short_help(self, ctx), err=True)
            ctx.exit(click.UsageError.exit_code)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            name = next((word for word in words if word in self.commands), "depth")
            line = with_command(name, [word for word in words if word != name])
            raise click.UsageError(
                f"{error.option_name} must follow the command: {line}", ctx
            ) from error

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command; if there is none of that name, suggest the line to type."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            word, *rest = args
            close = did_you_mean(word, self.commands)
            if close:
                line = with_command(close, rest)
                message = f"no command {word!r}. Did you mean {close!r}? {line}"
            elif looks_like_input(word):
                message = f"no command given, only {word!r}: {with_command('depth', args)}"
            else:
                names = ", ".join(sorted(self.commands))
                message = f"no command {word!r}. Commands are: {names}. See 'dpt --help'."
            raise click.UsageError(message, ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the first sentence of each command's help whole; click would cut it."""
        with formatter.section("Commands"):
            formatter.write_dl(
                [
                    (name, self.commands[name].get_short_help_str(limit=200))
                    for name in self.list_commands(ctx)
                ]
            )

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except DptError as error:
            if _wants_traceback(ctx):
                text = printable(traceback.format_exc(), keep_lines=True)
                click.echo(text, err=True, nl=False)
            # An error of a download lists what was tried, one attempt per line.
            keep_lines = isinstance(error, FetchError)
            click.echo(printable(f"Error: {error}", keep_lines=keep_lines), err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            say("Interrupted.")
            ctx.exit(INTERRUPTED)


def _short_help(command: click.Group, ctx: click.Context) -> str:
    formatter = ctx.make_formatter()
    command.format_usage(ctx, formatter)
    command.format_help_text(ctx, formatter)
    formatter.write_paragraph()
    formatter.write_text(f"Commands: {', '.join(command.list_commands(ctx))}")
    formatter.write("\nTry it without a download: dpt depth photo.jpg --model tiny\n")
    formatter.write("More help: dpt --help, dpt COMMAND --help\n")
    return formatter.getvalue().rstrip()


def _show(error: click.ClickException) -> None:
    """Print the usage, hint and message for a wrong command line, escaped."""
    shown = io.StringIO()
    error.show(shown)
    message = error.format_message()
    text = shown.getvalue().replace(message, printable(message))
    click.echo(printable(text, keep_lines=True), err=True, nl=False)


def _wants_traceback(ctx: click.Context) -> bool:
    return bool(ctx.meta.get("dpt.debug"))


@click.group(
    cls=_Dpt,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "--version", message="dpt %(version)s")
def dpt() -> None:
    """Depth maps and segmentation maps from photographs, with Dense Prediction Transformers.

    \b
    dpt depth photo.jpg              a colour depth map in ./dpt-out
    dpt segment photos/ -o out/      ADE20K classes painted over every photograph
    dpt bench                        how fast this machine is
    dpt eval depth                   how close a model comes to measured depth
    dpt models list                  the models, their licences and units
    dpt doctor                       whether the installation is right
    """  # noqa: D301  # click wants the character, not the escape


dpt.add_command(depth)
dpt.add_command(segment)
dpt.add_command(convert)
dpt.add_command(info)
dpt.add_command(formats_command)
dpt.add_command(gallery)
dpt.add_command(bench_command)
dpt.add_command(evaluate)
dpt.add_command(models)
dpt.add_command(doctor)
dpt.add_command(config)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run `dpt` and exit with its status."""
    output = own_streams()
    interrupts = own_interrupts()
    try:
        code = _run(arguments, output, interrupts)
        interrupts.end()
    except KeyboardInterrupt:
        code = INTERRUPTED
        interrupts.end()
    if any(thread.daemon and thread.name != WATCHER for thread in threading.enumerate()):
        # A network that is no longer needed is still being loaded. A normal exit would unwind that
        # thread inside C++, which aborts the process. Everything is written and printed by now.
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _run(arguments: Sequence[str] | None, output: Stream, interrupts: Interrupts) -> int:
    """Run the command, flush standard output and return the exit code."""
    with own_process():
        try:
            dpt.main(args=arguments, prog_name="dpt")
        except SystemExit as end:
            code = int(end.code or 0)
        except Exception:
            # A library may turn an interrupt into another error.
            if not interrupts.came:
                raise
            say("Interrupted.")
            code = INTERRUPTED
    sys.stdout.flush()
    if output.error is None:
        return code
    if output.error.errno == errno.EPIPE:
        return code or READER_GONE
    say(f"Error: cannot write to standard output: {output.error.strerror}")
    return code or 1
