"""One photograph through pipes: `-` for standard input, `-o -` for standard output."""

import sys
from contextlib import ExitStack

import click

from dpt_cli.cli.late_engine import Finish, LateEngine, Write
from dpt_cli.cli.options import RunOptions
from dpt_cli.cli.order import STDOUT, Order
from dpt_cli.errors import OutputError
from dpt_cli.formats.files import Draft
from dpt_cli.maps.facts import facts_of
from dpt_cli.photos.decode import decode_rgb, read_rgb
from dpt_cli.photos.find import STDIN
from dpt_cli.pipeline.local import Done
from dpt_cli.pipeline.plan import Job, check_folder
from dpt_cli.predict.predictor import MapT, infer, prepare


def check_pipes(options: RunOptions) -> None:
    """Refuse what cannot go through a pipe.

    Raises:
        click.UsageError: Several photographs or formats, or a terminal at the binary end.
    """
    if options.dry_run:
        raise click.UsageError("--dry-run tells of files, not of pipes")
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


def run_pipe(order: Order, finish: Finish[MapT], write: Write[MapT]) -> None:
    """Turn one photograph into files, or into bytes on standard output.

    Raises:
        DptError: It could not be done.
    """
    spec, options, suffixes, report = order.spec, order.options, order.suffixes, order.report
    check_pipes(options)
    outputs = {kind: options.output / f"stdin{suffixes[kind]}" for kind in options.formats}
    is_piped = options.output == STDOUT
    if not is_piped:
        check_folder(options.output)
    taken = [path for path in outputs.values() if path.exists()]
    if taken and not (is_piped or options.force):
        raise OutputError(f"{taken[0]} exists; see --force")
    report.say(f"1 photograph, {spec.title}")
    path = options.inputs[0]
    engine = LateEngine(spec, options, report)
    engine.load_ahead()
    rgb = decode_rgb(sys.stdin.buffer.read()) if path == STDIN else read_rgb(path)
    prepared = prepare(rgb, spec, options.resolution, options.multiple_of)
    raw = infer(engine, [prepared])[0]
    result = finish(raw, prepared, spec, engine.weights.label)
    if is_piped:
        write(options.formats[0], sys.stdout.buffer, result, rgb)
        sys.stdout.buffer.flush()
    else:
        with ExitStack() as drafts:
            for kind, output in outputs.items():
                draft = drafts.enter_context(Draft(output, options.output))
                write(kind, draft, result, rgb)
                draft.finish()
                draft.publish(overwrite=options.force)
        facts = {**facts_of(result), "device": engine.device, "seconds": 0.0}
        report.done(Done(Job(path, outputs), facts), engine.identity())
    for line in engine.facts():
        report.say(line)
