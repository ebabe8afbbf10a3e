"""The command line: options, messages, exit codes. Stands above every other room.

Imports click alone: whatever is heavier is imported in the body of the command that needs it.
"""

import errno
import io
import sys
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from dpt_cli import __version__
from dpt_cli.cli.bench.command import bench as bench_command
from dpt_cli.cli.config import config
from dpt_cli.cli.console import printable, say
from dpt_cli.cli.depth import depth
from dpt_cli.cli.interrupts import INTERRUPTED, Interrupts, own_interrupts
from dpt_cli.cli.memory import own_process
from dpt_cli.cli.models import models
from dpt_cli.cli.segment import segment
from dpt_cli.cli.streams import READER_GONE, Stream, own_streams
from dpt_cli.errors import DptError, FetchError

_EPILOG = """
\b
Exit codes: 0 all done; 1 an error, nothing more could be done; 2 usage;
3 some inputs failed and the rest were done; 4 weights missing or wrong;
130 interrupted; 141 all done, but what reads stdout has gone.
Written paths go to stdout, all else to stderr.
"""


class _Dpt(click.Group):
    """A group that turns our errors into one line and an exit code."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run and exit as click does, and print what it says of a wrong command line escaped."""
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

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except DptError as error:
            if _wants_traceback(ctx):
                text = printable(traceback.format_exc(), keep_lines=True)
                click.echo(text, err=True, nl=False)
            # Errors of downloads list what was tried, one line each.
            keep_lines = isinstance(error, FetchError)
            click.echo(printable(f"Error: {error}", keep_lines=keep_lines), err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            say("Interrupted.")
            ctx.exit(INTERRUPTED)


def _show(error: click.ClickException) -> None:
    """Print a wrong command line's usage, hint and message."""
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
    dpt bench                        how fast this machine is, and what resolution costs
    dpt models list                  the weights, their licence, what their numbers mean
    """  # noqa: D301  # click wants the character, not the escape


dpt.add_command(depth)
dpt.add_command(segment)
dpt.add_command(bench_command)
dpt.add_command(models)
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
    sys.exit(code)


def _run(arguments: Sequence[str] | None, output: Stream, interrupts: Interrupts) -> int:
    """Return the exit code, once everything that was printed has left the process."""
    with own_process():
        try:
            dpt.main(args=arguments, prog_name="dpt")
        except SystemExit as end:
            code = int(end.code or 0)
        except Exception:
            # A library may turn an interrupt into an error of its own.
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
