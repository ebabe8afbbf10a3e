"""The command line: options, messages, exit codes. Stands above every other room.

Imports click alone: whatever is heavier is imported in the body of the command that needs it.
"""

import sys
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from dpt_cli import __version__
from dpt_cli.cli.bench import bench
from dpt_cli.cli.config import config
from dpt_cli.cli.depth import depth
from dpt_cli.cli.memory import own_process
from dpt_cli.cli.models import models
from dpt_cli.cli.segment import segment
from dpt_cli.errors import DptError

_INTERRUPTED = 130

_EPILOG = """
\b
Exit codes: 0 all done; 1 an error, nothing more could be done; 2 usage;
3 some inputs failed and the rest were done; 4 weights missing or wrong;
130 interrupted. Written paths go to stdout, all else to stderr.
"""


class _Dpt(click.Group):
    """A group that turns our errors into one line and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except DptError as error:
            if _wants_traceback(ctx):
                click.echo(traceback.format_exc(), err=True, nl=False)
            click.echo(f"Error: {error}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            ctx.exit(_INTERRUPTED)


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
dpt.add_command(bench)
dpt.add_command(models)
dpt.add_command(config)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run `dpt` and exit with its status."""
    with own_process():
        dpt(args=arguments, prog_name="dpt")
    sys.exit(0)
