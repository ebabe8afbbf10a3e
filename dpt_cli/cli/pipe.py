"""One photograph: from standard input (`-`), to standard output (`-o -`) or to a named file."""

import os
import sys
from pathlib import Path

import click
from click.core import ParameterSource

from dpt_cli.checkpoint.specs import TASKS, CheckpointSpec, Task
from dpt_cli.cli.options import RunOptions
from dpt_cli.formats.table import format_of, formats_of
from dpt_cli.photos.find import STDIN
from dpt_cli.pipeline.plan import Job
from dpt_cli.pipeline.settings import RunSettings
from dpt_cli.pipeline.shared_range import FOLDER
from dpt_cli.pipeline.single import Single, plan_single

_STDOUT = Path("-")
# An output so named is meant as a file, but maps are not written like that.
_OTHER_PICTURES = (".jpg", ".jpeg", ".jpe", ".webp", ".bmp", ".gif", ".tif", ".heic", ".avif")
_FILE_SUFFIXES = {it.extension for task in TASKS for it in formats_of(task).values()}


def is_single(options: RunOptions) -> bool:
    """Return whether a command uses a pipe, or names the file to write."""
    return STDIN in options.inputs or options.output == _STDOUT or _is_file(options.output)


def formats_named(task: Task, formats: tuple[str, ...], output: Path) -> tuple[str, ...]:
    """Return the formats to write: the one that an output file's name stands for, else `formats`.

    What `--format` names on the command line beats the name of the file.

    Raises:
        click.UsageError: The output is named as a picture that no map is written as.
    """
    if output.is_dir():
        return formats
    if output.suffix.lower() in _OTHER_PICTURES:
        known = ", ".join(sorted({it.extension for it in formats_of(task).values()}))
        raise click.UsageError(
            f"-o {output}: no map is written as {output.suffix}; choose one of {known}, or a folder"
        )
    source = click.get_current_context().get_parameter_source("formats")
    entry = None if source is ParameterSource.COMMANDLINE else format_of(task, output)
    return formats if entry is None else (entry.name,)


def plan_pipe(spec: CheckpointSpec, options: RunOptions, settings: RunSettings) -> Single:
    """Check the options of a command that uses a pipe or names its output; plan its run.

    Raises:
        click.UsageError: Several photographs or formats, or a terminal at the binary end.
        OutputError: An output exists, or cannot be written.
    """
    if settings.options.get("range") == FOLDER:
        raise click.UsageError(f"--range {FOLDER} needs an output folder: -o FOLDER")
    formats = formats_of(spec.task)
    if _is_file(options.output):
        _check_file(options, formats[options.formats[0]].extension)
        outputs = {options.formats[0]: options.output}
    else:
        outputs = {
            kind: options.output / f"stdin{formats[kind].suffix}" for kind in options.formats
        }
    _check_pipes(options)
    source = sys.stdin.buffer if options.inputs[0] == STDIN else None
    if options.output == _STDOUT:
        return plan_single(spec, settings, Job(options.inputs[0], {}), source, sys.stdout.buffer)
    return plan_single(spec, settings, Job(options.inputs[0], outputs), source)


def _is_file(output: Path) -> bool:
    """Return whether an output is meant as a file: by its suffix, unless it is a folder."""
    return output.suffix.lower() in _FILE_SUFFIXES and not output.is_dir()


def _check_file(options: RunOptions, suffix: str) -> None:
    """Refuse a named output file unless there is one photograph, and one format that fits."""
    name = str(options.output)
    one_photograph = len(options.inputs) == 1 and options.from_file is None
    if not one_photograph or options.inputs[0].is_dir():
        raise click.UsageError(f"-o {name} names a file, which takes exactly one photograph")
    if os.path.realpath(options.inputs[0]) == os.path.realpath(options.output):
        raise click.BadParameter(f"{name} is the photograph itself", param_hint="--output")
    if len(options.formats) != 1:
        raise click.UsageError(f"-o {name} names one file: name one format with --format")
    if options.output.suffix.lower() != suffix:
        raise click.UsageError(
            f"-o {name}: the format {options.formats[0]} is written as {suffix}; "
            "choose another name, or another format with --format"
        )


def _check_pipes(options: RunOptions) -> None:
    if options.dry_run:
        raise click.UsageError("--dry-run works with folders, not with pipes or a named file")
    if options.from_file is not None or len(options.inputs) != 1:
        raise click.UsageError("a pipe carries one photograph: give '-' and no other input")
    if options.inputs[0] == STDIN and sys.stdin.isatty():
        raise click.UsageError("'-' reads a photograph from standard input, which is a terminal")
    if options.output != _STDOUT:
        return
    if len(options.formats) != 1:
        raise click.UsageError("'-o -' writes one file: name one format with --format")
    if sys.stdout.isatty():
        raise click.UsageError("'-o -' writes a file's bytes, and standard output is a terminal")
    if options.as_json:
        raise click.UsageError("'-o -' and --json both write to standard output: choose one")
