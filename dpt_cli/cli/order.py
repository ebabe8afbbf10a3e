"""What a run is asked to do: its photographs, weights and outputs, told before heavy imports."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from dpt_cli.checkpoint.registry import load_registry
from dpt_cli.checkpoint.specs import CheckpointSpec, Task
from dpt_cli.cli.choose_model import choose_model
from dpt_cli.cli.options import RunOptions
from dpt_cli.cli.report import Report, counted
from dpt_cli.errors import InputError
from dpt_cli.photos.find import STDIN, BadInput, Found, find_photographs, read_list
from dpt_cli.pipeline.made import MadeByDpt
from dpt_cli.pipeline.plan import Job, check_folder, plan

STDOUT = Path("-")


@dataclass(frozen=True)
class Order:
    """A run, worked out but not begun.

    Attributes:
        task: What the weights are for.
        spec: The weights' row.
        options: The command's options.
        suffixes: What follows a photograph's name, for every format the command knows.
        jobs: The photographs and their outputs; none where they go through pipes.
        failures: Inputs that cannot be photographs.
        report: What reports the run.
    """

    task: Task
    spec: CheckpointSpec
    options: RunOptions
    suffixes: Mapping[str, str]
    jobs: list[Job]
    failures: Sequence[BadInput]
    report: Report

    @property
    def is_piped(self) -> bool:
        """Whether a photograph comes from standard input or goes to standard output."""
        return _is_piped(self.options)


def take_order(task: Task, options: RunOptions, suffixes: Mapping[str, str]) -> Order:
    """Find the photographs, plan their outputs, and say how many there are.

    Raises:
        DptError: Nothing can be done.
    """
    registry = load_registry(options.registry)
    spec = choose_model(registry, task, options.model, options.weights, quiet=options.quiet)
    if _is_piped(options):
        report = Report(1, options.quiet, options.verbose, options.as_json)
        return Order(task, spec, options, suffixes, [], (), report)
    found = _find(options)
    chosen = {kind: suffixes[kind] for kind in options.formats}
    jobs, clashing = plan(found.photographs, options.output, chosen)
    failures = (*found.failures, *clashing)
    check_folder(options.output)
    report = Report(len(jobs) + len(failures), options.quiet, options.verbose, options.as_json)
    has_more = found.num_skipped or found.num_made
    remark = f" ({_passed_over(found)} skipped)" if has_more else ""
    report.say(f"{counted(len(jobs), 'photograph')}{remark}, {spec.title}")
    return Order(task, spec, options, suffixes, jobs, failures, report)


def _is_piped(options: RunOptions) -> bool:
    return STDIN in options.inputs or options.output == STDOUT


def _find(options: RunOptions) -> Found:
    if options.nul and options.from_file is None:
        raise click.UsageError("-0 tells how the list of --from is separated: give one")
    listed = read_list(options.from_file, nul=options.nul) if options.from_file else ()
    given = (*options.inputs, *listed)
    if not given:
        raise click.UsageError("no INPUT: name photographs or folders, or a list with --from")
    found = find_photographs(given, options.output, MadeByDpt())
    if not (found.photographs or found.failures):
        names = ", ".join(str(path) for path in given[:3])
        raise InputError(f"no images in {names} ({_passed_over(found)})")
    return found


def _passed_over(found: Found) -> str:
    others = counted(found.num_skipped, "other file")
    if not found.num_made:
        return others
    maps = f"{counted(found.num_made, 'map')} made by dpt"
    return f"{others}, {maps}" if found.num_skipped else maps
