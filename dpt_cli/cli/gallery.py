"""`dpt gallery`, and `--gallery` of `dpt depth` and `dpt segment`."""

import os
import time
from dataclasses import replace
from pathlib import Path

import click

from dpt_cli.cli.console import put_path, say
from dpt_cli.cli.options import RunOptions, debug_option
from dpt_cli.errors import SOME_FAILED
from dpt_cli.formats.entry import Task

_SECONDS_BETWEEN_LINES = 10.0


@click.command()
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path))
@click.option("-f", "--force", is_flag=True, help="Replace an index.html that dpt did not make.")
@click.option("-q", "--quiet", is_flag=True, help="Print the page's path and errors only.")
@debug_option
def gallery(folder: Path, force: bool, quiet: bool) -> None:
    """Make a page that shows an output folder: photographs beside maps, values, classes.

    Writes FOLDER/index.html, which a browser opens from disk: no server, no network. Values under
    the pointer need a format that holds them, such as png16 for depth or labels for classes.

    Example: dpt gallery dpt-out/
    """
    if not write_gallery(folder, force=force, quiet=quiet):
        click.get_current_context().exit(SOME_FAILED)


def for_gallery(task: Task, options: RunOptions) -> RunOptions:
    """Check that a run can end in a page; add a format that holds values where there is none.

    Raises:
        OutputError: The folder has an `index.html` that dpt did not make.
    """
    from dpt_cli.cli.pipe import is_single
    from dpt_cli.gallery.pictures import PAGE_NAME, VALUE_FORMATS, writer_of

    if is_single(options):
        raise click.UsageError("--gallery needs an output folder: -o FOLDER")
    if os.path.lexists(options.output / PAGE_NAME):
        from dpt_cli.gallery.make import check_page

        check_page(options.output, force=options.force)
    if any(writer_of(task, kind) in VALUE_FORMATS[task] for kind in options.formats):
        return options
    compact = VALUE_FORMATS[task][-1]
    if not options.quiet:
        say(f"--gallery: {compact} is written too, for the values under the pointer")
    return replace(options, formats=(*options.formats, compact))


def write_gallery(
    folder: Path, *, force: bool = False, quiet: bool = False, as_json: bool = False
) -> bool:
    """Make the page and report it; return whether it shows all that the folder's runs made.

    Raises:
        DptError: It cannot be made.
    """
    from dpt_cli.gallery.make import make_gallery

    last = time.monotonic()

    def progress(num_ready: int, total: int) -> None:
        nonlocal last
        if not quiet and time.monotonic() - last >= _SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            say(f"gallery: {num_ready} of {total}")

    made = make_gallery(folder, force=force, progress=progress)
    for path, reason in made.left_out:
        say(f"Left out of the gallery: {path}: {reason}")
    if not quiet:
        pictures = "picture" if made.num_pictures == 1 else "pictures"
        say(f"gallery: {made.num_pictures} {pictures}; open {made.page} in a browser")
        if made.num_alone:
            say(f"gallery: {made.num_alone} without the photograph, which is gone or was changed")
        if made.num_without_values:
            say(
                f"gallery: {made.num_without_values} without values under the pointer; they need "
                "a format that holds them, such as png16 or npz for depth, labels for classes"
            )
    if not as_json:
        put_path(made.page)
    return not made.left_out
