"""`dpt formats`."""

from collections.abc import Sequence

import click

from dpt_cli.checkpoint.specs import TASKS
from dpt_cli.cli.console import put
from dpt_cli.formats.entry import Format
from dpt_cli.formats.table import formats_of


@click.command("formats")
def formats_command() -> None:
    """List every format and preset: its files, what they hold, who reads them.

    Example: dpt formats
    """
    for task in TASKS:
        entries = formats_of(task).values()
        _put_list(f"dpt {task} --format", [it for it in entries if not it.read_by])
    presets = [it for it in formats_of("depth").values() if it.read_by]
    _put_list("dpt depth --for, dpt convert --for", presets)


def _put_list(heading: str, entries: Sequence[Format]) -> None:
    put(heading)
    for entry in entries:
        put(f"  {entry.name:11} STEM{entry.suffix:18} {entry.holds}")
        if entry.read_by:
            put(f"  {'':11} {'':22} for {entry.read_by}")
