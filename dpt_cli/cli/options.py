"""The options that several commands share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from dpt_cli.checkpoint.specs import PROTOCOLS, Protocol
from dpt_cli.cli.complete import complete_devices, complete_models
from dpt_cli.cli.correction import check_inputs
from dpt_cli.cli.values import (
    InputPath,
    MapSizeType,
    MultipleOf,
    NameList,
    Resolution,
    check_device,
)

PRECISIONS = ("auto", "fp32", "fp16", "bf16", "int8")

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class RunOptions:
    """The options that `depth` and `segment` share; see their help."""

    inputs: tuple[Path, ...]
    output: Path
    model: str | None
    weights: Path | None
    formats: tuple[str, ...]
    size: Any
    resolution: tuple[int, int] | None
    multiple_of: int
    photo_protocol: Protocol
    device: str
    precision: str
    engine: str
    batch_size: int
    cuda_graphs: bool | None
    offline: bool
    registry: Path | None
    force: bool
    dry_run: bool
    max_errors: int
    gallery: bool
    as_json: bool
    from_file: Path | None
    nul: bool
    quiet: bool
    verbose: bool


def with_options(function: F, options: Sequence[Callable[[Any], Any]]) -> F:
    """Add options to a command; `--help` lists them in this order."""
    for option in reversed(options):
        function = option(function)
    return function


def registry_option(function: F) -> F:
    """Add `--registry`."""
    return click.option(
        "--registry",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Use this weights.toml instead of the packaged one.",
    )(function)


def device_option(function: F) -> F:
    """Add `--device`."""
    return click.option(
        "--device",
        default="auto",
        show_default=True,
        callback=check_device,
        shell_complete=complete_devices,
        metavar="auto|cpu|cuda|cuda:N|mps",
        help="Device that runs the network.",
    )(function)


def engine_option(function: F) -> F:
    """Add `--engine`."""
    return click.option(
        "--engine",
        type=click.Choice(["auto", "torch", "openvino"]),
        default="auto",
        show_default=True,
        help="Library that runs the network; auto: OpenVINO on a CPU where it is installed, "
        "otherwise torch.",
    )(function)


def cuda_graphs_option(default: bool | None, meaning: str) -> Callable[[F], F]:
    """Add `--cuda-graphs`; `meaning` explains the default."""
    return click.option(
        "--cuda-graphs/--no-cuda-graphs",
        default=default,
        help="On CUDA, record the kernels of the network for each batch shape and replay them."
        f"  [default: {meaning}]",
    )


def debug_option(function: F) -> F:
    """Add `--debug`, which shows tracebacks."""

    def remember(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
        ctx.find_root().meta["dpt.debug"] = value

    return click.option(
        "--debug",
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=remember,
        help="Show the traceback of an error.",
    )(function)


def run_options(formats: Sequence[str], default_format: str) -> Callable[[F], F]:
    """Add the options of a command that turns photographs into files."""
    options = [
        click.argument(
            "inputs",
            nargs=-1,
            metavar="INPUT...",
            type=InputPath(),
            callback=check_inputs,
        ),
        click.option(
            "-o",
            "--output",
            type=click.Path(path_type=Path),
            default=Path("dpt-out"),
            show_default=True,
            metavar="DIR|FILE",
            help="Folder for the outputs, which keeps the tree of an input folder; or one file.",
        ),
        click.option(
            "--model",
            metavar="NAME",
            shell_complete=complete_models,
            help="Name of a model; see 'dpt models list'.",
        ),
        click.option(
            "--weights",
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="FILE",
            help="Use this checkpoint instead of a download (the authors' .pt, transformers, dpt).",
        ),
        click.option(
            "--format",
            "formats",
            type=NameList("format", formats),
            default=default_format,
            show_default=True,
            metavar="LIST",
            help=f"Formats to write, comma-separated: {', '.join(formats)}.",
        ),
        click.option(
            "--size",
            type=MapSizeType(),
            default="photo",
            show_default=True,
            metavar="photo|network|N",
            help="Size of the maps: the photograph's, the network's, or N px on the longer side.",
        ),
        click.option(
            "--resolution",
            type=Resolution(),
            metavar="N|WxH",
            help="Size at which the network runs; the aspect ratio is kept.  "
            "[default: the weights' own]",
        ),
        click.option(
            "--multiple-of",
            type=MultipleOf(),
            metavar="N",
            help="Round network sizes to multiples of N; 32 gives the sizes of DPT's authors.  "
            "[default: the weights' own, 16 for DPT]",
        ),
        click.option(
            "--protocol",
            "photo_protocol",
            type=click.Choice(PROTOCOLS),
            default="authors",
            show_default=True,
            help="Prepare photographs as the authors do, or as transformers does for the weights' "
            "repository on the Hub: squashed to a square.",
        ),
        device_option,
        click.option(
            "--precision",
            type=click.Choice(PRECISIONS),
            default="auto",
            show_default=True,
            help="Arithmetic; auto: fp16 on CUDA, fp32 elsewhere. int8 is approximate, and runs on "
            "a CPU with OpenVINO.",
        ),
        engine_option,
        click.option(
            "--batch-size",
            type=click.IntRange(min=1),
            default=1,
            show_default=True,
            help="How many photographs of one network size to run at once.",
        ),
        cuda_graphs_option(None, "only shapes that recur"),
        click.option("--offline", is_flag=True, help="Do not use the internet."),
        registry_option,
        click.option(
            "-f",
            "--force",
            is_flag=True,
            help="Redo what is done, and overwrite files that dpt did not write.",
        ),
        click.option(
            "-n", "--dry-run", is_flag=True, help="Print what would be done, and touch nothing."
        ),
        click.option(
            "--max-errors",
            type=click.IntRange(min=0),
            default=0,
            metavar="N",
            help="Stop after N failed photographs.  [default: never]",
        ),
        click.option(
            "--gallery",
            is_flag=True,
            help="Also write index.html into the output folder: a page to browse the results.",
        ),
        click.option(
            "--json",
            "as_json",
            is_flag=True,
            help="Print one JSON object per photograph on stdout.",
        ),
        click.option(
            "--from",
            "from_file",
            type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
            metavar="FILE",
            help="Read inputs from a list, one per line; - is standard input.",
        ),
        click.option("-0", "nul", is_flag=True, help="The list of --from is separated by NUL."),
        click.option("-q", "--quiet", is_flag=True, help="Print paths and errors only."),
        click.option(
            "-v",
            "--verbose",
            is_flag=True,
            help="Print more about each photograph, and hashes in full.",
        ),
        debug_option,
    ]

    return lambda function: with_options(function, options)
