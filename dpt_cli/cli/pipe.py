"""One photograph: from standard input (`-`), to standard output (`-o -`) or to a named file."""

import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import click

from dpt_cli.cli import memory
from dpt_cli.cli.options import RunOptions
from dpt_cli.cli.order import STDOUT, Order, is_file
from dpt_cli.cli.report import what_made
from dpt_cli.errors import OutputError
from dpt_cli.formats.files import Draft
from dpt_cli.formats.table import formats_of
from dpt_cli.maps.facts import facts_of
from dpt_cli.photos.decode import decode_rgb, read_rgb
from dpt_cli.photos.find import STDIN
from dpt_cli.pipeline.events import Done
from dpt_cli.pipeline.lazy_engine import LazyEngine
from dpt_cli.pipeline.plan import Job, check_folder
from dpt_cli.pipeline.stages import Finish
from dpt_cli.predict.predictor import infer, prepare


def check_pipes(options: RunOptions) -> None:
    """Refuse what cannot go through a pipe.

    Raises:
        click.UsageError: Several photographs or formats, or a terminal at the binary end.
    """
    if is_file(options.output):
        _check_file(options)
    if options.dry_run:
        raise click.UsageError("--dry-run is for folders, not for pipes or one file")
    if options.from_file is not None or len(options.inputs) != 1:
        raise click.UsageError("a pipe takes one photograph: '-' goes with no other input")
    if options.inputs[0] == STDIN and sys.stdin.isatty():
        raise click.UsageError("'-' reads a photograph from standard input, which is a terminal")
    if options.output != STDOUT:
        return
    if len(options.formats) != 1:
        raise click.UsageError("'-o -' writes one file: name one format with --format")
    if sys.stdout.isatty():
        raise click.UsageError("'-o -' writes a file's bytes, and standard output is a terminal")
    if options.as_json:
        raise click.UsageError("'-o -' and --json both want standard output")


def _check_file(options: RunOptions) -> None:
    """Refuse a file's name as output for more than one photograph and one format."""
    name = str(options.output)
    one_photograph = len(options.inputs) == 1 and options.from_file is None
    if not one_photograph or options.inputs[0].is_dir():
        raise click.UsageError(f"-o {name} is a file's name, and takes one photograph")
    if os.path.realpath(options.inputs[0]) == os.path.realpath(options.output):
        raise click.BadParameter(f"{name} is the photograph itself", param_hint="--output")
    if len(options.formats) != 1:
        raise click.UsageError(f"-o {name} is one file: name one format with --format")


def run_pipe(order: Order) -> None:
    """Turn one photograph into files, or into bytes on standard output.

    Raises:
        DptError: It could not be done.
    """
    spec, options, settings, report = order.spec, order.options, order.settings, order.report
    check_pipes(options)
    formats = formats_of(spec.task)
    is_piped = options.output == STDOUT
    folder = options.output
    if is_file(options.output):
        folder = options.output.parent
        outputs = {options.formats[0]: options.output}
        expected = Path(formats[options.formats[0]].suffix).suffix
        if options.output.suffix.lower() != expected:
            raise click.UsageError(
                f"-o {options.output}: the format {options.formats[0]} is a {expected} file; name "
                "another with --format"
            )
    else:
        outputs = {kind: folder / f"stdin{formats[kind].suffix}" for kind in options.formats}
    if not is_piped:
        check_folder(folder)
    taken = [path for path in outputs.values() if path.exists()]
    if taken and not (is_piped or options.force):
        raise OutputError(f"{taken[0]} exists; use --force to overwrite it")
    report.say(f"1 photograph, {spec.title}")
    path = options.inputs[0]
    engine = LazyEngine(
        spec,
        settings.engine,
        report.say,
        lambda loaded: memory.loaded(keep_freed=loaded.device == "cpu"),
    )
    engine.load_ahead()
    started = time.monotonic()
    rgb = decode_rgb(sys.stdin.buffer.read()) if path == STDIN else read_rgb(path)
    prepared = prepare(rgb, spec, options.resolution, options.multiple_of)
    raw = infer(engine.load(), [prepared])[0]
    result = Finish(spec, engine)(raw, prepared)
    if is_piped:
        formats[options.formats[0]].write(sys.stdout.buffer, result, rgb, settings.options)
        sys.stdout.buffer.flush()
    else:
        more: dict[str, int] = {}
        with ExitStack() as drafts:
            for kind, output in outputs.items():
                draft = drafts.enter_context(Draft(output, folder))
                more |= formats[kind].write(draft, result, rgb, settings.options)
                draft.finish()
                draft.publish(overwrite=options.force)
        weights, device = engine.weights, engine.load().device
        facts = {
            "model": spec.id,
            "weights_sha256": weights.sha256,
            **facts_of(result),
            **more,
            "device": device,
            "seconds": round(time.monotonic() - started, 3),
        }
        report.done(Done(Job(path, outputs), facts))
    report.facts(what_made(spec, engine))
