"""The options of `dpt bench`."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from dpt_cli.checkpoint.specs import TASKS, Task
from dpt_cli.cli.bench.values import Counts, Resolutions, Sizes
from dpt_cli.cli.complete import complete_models
from dpt_cli.cli.options import (
    PRECISIONS,
    cuda_graphs_option,
    debug_option,
    device_option,
    engine_option,
    registry_option,
    with_options,
)
from dpt_cli.cli.values import NameList
from dpt_cli.errors import OutputError

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class BenchOptions:
    """The options of `dpt bench`; the help of each option explains it."""

    task: Task
    models: tuple[str, ...]
    resolution: Sizes | None
    batch_size: tuple[int, ...]
    precision: tuple[str, ...]
    engine: str
    device: str
    cuda_graphs: bool
    runs: int | None
    images: tuple[Path, ...]
    no_drift: bool
    weights: Path | None
    registry: Path | None
    as_json: bool
    csv: Path | None
    plot: Path | None
    force: bool


def _split(
    _ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    names = (name.strip() for value in values for name in value.split(","))
    return tuple(dict.fromkeys(names))


def _check_plot(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path | None:
    if value is not None and value.suffix.lower() != ".png":
        raise click.BadParameter(
            f"{value}: the plot is a PNG file; expected a name that ends in .png", ctx, param
        )
    return value


def check_files(options: BenchOptions) -> None:
    """Refuse to replace a file, unless --force was given.

    Raises:
        OutputError: A file of --csv or --plot exists.
        click.UsageError: Both are the same file.
    """
    files = [path for path in (options.csv, options.plot) if path is not None]
    if len({os.path.realpath(path) for path in files}) < len(files):
        raise click.UsageError(f"--csv and --plot are both {files[0]}")
    for path in files:
        check_free(path, force=options.force)


def check_free(path: Path, *, force: bool) -> None:
    """Refuse to replace a file, unless --force was given.

    Raises:
        OutputError: It exists.
    """
    # lexists: a broken link belongs to the user, too.
    if not force and os.path.lexists(path):
        raise OutputError(f"{path} exists; use --force to replace it")


def bench_options(function: F) -> F:
    """Add every option of `dpt bench`."""
    options = [
        click.option(
            "--task",
            type=click.Choice(TASKS),
            default="depth",
            show_default=True,
            help="What to measure.",
        ),
        click.option(
            "--model",
            "models",
            multiple=True,
            metavar="NAMES",
            callback=_split,
            shell_complete=complete_models,
            help="Weights by name, several with commas or by repeating.  [default: the task's own]",
        ),
        click.option(
            "--resolution",
            type=Resolutions(),
            metavar="N|WxH|N to M",
            help="Sizes the network aims at: 384, 1216x352, 384,512 or 384 to 1024 [step 128]."
            "  [default: the weights' own]",
        ),
        click.option(
            "--batch-size",
            type=Counts(),
            default="1",
            show_default=True,
            metavar="LIST",
            help="Images per call, as 1,4,16.",
        ),
        click.option(
            "--precision",
            type=NameList("precision", PRECISIONS),
            default="auto",
            show_default=True,
            metavar="LIST",
            help="Comma-separated: auto (fp16 on CUDA, fp32 elsewhere), fp32, fp16, bf16, int8.",
        ),
        engine_option,
        device_option,
        cuda_graphs_option(default=False, meaning="no"),
        click.option(
            "--runs",
            type=click.IntRange(min=1),
            metavar="N",
            help="Timed runs after the warm-up.  [default: at least 3, at most 20, for about 10 s]",
        ),
        click.option(
            "--images",
            multiple=True,
            type=click.Path(path_type=Path),
            metavar="PATH",
            help="Photographs or folders for drift; may be repeated.  [default: the bundled three]",
        ),
        click.option("--no-drift", is_flag=True, help="Measure only speed and memory."),
        click.option(
            "--weights",
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="FILE",
            help="A local checkpoint for the model, if only one is measured.",
        ),
        registry_option,
        click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table."),
        click.option(
            "--csv",
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="FILE",
            help="Also write the rows to a file.",
        ),
        click.option(
            "-o",
            "--plot",
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="PLOT.png",
            callback=_check_plot,
            help="Draw time and memory against megapixels.",
        ),
        click.option(
            "-f",
            "--force",
            is_flag=True,
            help="Replace the files of --csv and --plot if they exist.",
        ),
        debug_option,
    ]
    return with_options(function, options)
