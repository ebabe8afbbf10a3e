"""`dpt bench`."""

from typing import Any

import click

from dpt_cli.checkpoint.choose import choose_model
from dpt_cli.checkpoint.registry import load_registry
from dpt_cli.cli.bench.options import BenchOptions, bench_options, check_files
from dpt_cli.cli.bench.values import with_ranges_joined
from dpt_cli.cli.console import say
from dpt_cli.cli.settings import SettingsCommand


class _BenchCommand(SettingsCommand):
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, with_ranges_joined(args))


@click.command(cls=_BenchCommand)
@bench_options
def bench(**options: Any) -> None:
    """Measure how fast networks run here, what memory they take, and how far results drift.

    Each row is one setting. It shows the time of a call after warm-up (median, and 5 % to 95 % of
    the runs, with copies to and from a GPU), memory, operations, the speed as a share of this
    machine's peak in a plain matrix product and a plain convolution, and drift.

    Drift is the difference from the fp32 result at the weights' own resolution, averaged over
    photographs. For depth it is AbsRel, after the best scale and shift if depth is relative; for
    segmentation, the share of pixels that keep their class is shown. Drift does not say which
    result is right.

    Nothing is downloaded. If weights are not on this disk, random ones are timed, without drift.
    Ctrl-C shows the rows measured so far. Files are only replaced with --force.

    Example: dpt bench --resolution 384 to 512 --runs 3
    """
    chosen = BenchOptions(**options)
    check_files(chosen)
    registry = load_registry(chosen.registry)
    choices = [
        choose_model(registry, chosen.task, name, chosen.weights)
        for name in chosen.models or (None,)
    ]
    specs = [spec for spec, _ in choices]
    if chosen.weights is not None and len(specs) > 1:
        raise click.UsageError("--weights is a file for one model: give only one with --model")
    for _, remark in filter(all, choices):
        say(remark)
    say(f"bench of {', '.join(spec.title for spec in specs)}")
    from dpt_cli.cli.bench.run import run_bench

    run_bench(chosen, specs)
