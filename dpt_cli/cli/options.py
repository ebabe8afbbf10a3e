"""The options that commands share, and the types of their values."""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from dpt_cli.model.config import PATCH_SIZE

F = TypeVar("F", bound=Callable[..., Any])

_MAX_RESOLUTION_PX = 16384


@dataclass(frozen=True)
class RunOptions:
    """What `depth` and `segment` have in common; see the help of each option."""

    inputs: tuple[Path, ...]
    output: Path
    model: str | None
    weights: Path | None
    formats: tuple[str, ...]
    resolution: tuple[int, int] | None
    multiple_of: int
    device: str
    precision: str
    batch_size: int
    offline: bool
    registry: Path | None
    quiet: bool
    verbose: bool


class NameList(click.ParamType[tuple[str, ...]]):
    """A comma-separated list of known names, with a suggestion on a typo."""

    def __init__(self, metavar: str, names: Sequence[str]) -> None:
        self.name = metavar
        self.names = tuple(names)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Split, check and return the names, each once, in the order given."""
        if isinstance(value, tuple):
            return value
        chosen: dict[str, None] = {}
        for word in (word.strip().lower() for word in str(value).split(",")):
            if word not in self.names:
                close = difflib.get_close_matches(word, self.names, n=3)
                hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
                few = "" if len(self.names) > 20 else f" There are: {', '.join(self.names)}."
                self.fail(f"unknown {self.name} {word!r}.{hint}{few}", param, ctx)
            chosen[word] = None
        return tuple(chosen)

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        """Complete the word after the last comma."""
        done, comma, word = incomplete.rpartition(",")
        return [CompletionItem(done + comma + name) for name in self.names if name.startswith(word)]


class Resolution(click.ParamType[tuple[int, int]]):
    """`384` or `1216x352` (width x height) to (height, width)."""

    name = "resolution"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Parse and bound the size."""
        if isinstance(value, tuple):
            return value
        sides = str(value).lower().split("x")
        if len(sides) > 2 or not all(side.isascii() and side.isdigit() for side in sides):
            self.fail(f"{value!r} is neither a side (384) nor WIDTHxHEIGHT (1216x352)", param, ctx)
        width, height = int(sides[0]), int(sides[-1])
        if not all(PATCH_SIZE <= side <= _MAX_RESOLUTION_PX for side in (width, height)):
            self.fail(f"{value}: a side is {PATCH_SIZE} to {_MAX_RESOLUTION_PX} px", param, ctx)
        return height, width


class MultipleOf(click.ParamType[int]):
    """A multiple of the patch size."""

    name = "integer"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Parse and check the number."""
        try:
            number = int(value)
        except ValueError:
            number = 0
        if not PATCH_SIZE <= number <= _MAX_RESOLUTION_PX or number % PATCH_SIZE:
            self.fail(
                f"{value} is no multiple of the patch size, {PATCH_SIZE}, "
                f"up to {_MAX_RESOLUTION_PX}",
                param,
                ctx,
            )
        return number


def registry_option(function: F) -> F:
    """Add `--registry`."""
    return click.option(
        "--registry",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Another weights.toml instead of the packaged one.",
    )(function)


def debug_option(function: F) -> F:
    """Add `--debug`, which keeps tracebacks."""

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


def _check_device(ctx: click.Context, param: click.Parameter, value: str) -> str:
    kind, colon, index = value.partition(":")
    if value in ("auto", "cpu", "cuda", "mps") or (kind == "cuda" and colon and index.isdigit()):
        return value
    raise click.BadParameter(
        f"{value!r} is not one of auto, cpu, cuda, cuda:N, mps", ctx=ctx, param=param
    )


def run_options(formats: Sequence[str], default_format: str) -> Callable[[F], F]:
    """Add the options of a command that turns photographs into files."""
    options = [
        click.argument(
            "inputs",
            nargs=-1,
            required=True,
            metavar="INPUT...",
            type=click.Path(path_type=Path),
        ),
        click.option(
            "-o",
            "--output",
            type=click.Path(path_type=Path, file_okay=False),
            default=Path("dpt-out"),
            show_default=True,
            metavar="DIR",
            help="Where files are written. The tree of an input folder is kept below it.",
        ),
        click.option("--model", metavar="NAME", help="Weights by name; see 'dpt models list'."),
        click.option(
            "--weights",
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="FILE",
            help="A local checkpoint instead of a download (authors' .pt, transformers, dpt).",
        ),
        click.option(
            "--format",
            "formats",
            type=NameList("format", formats),
            default=default_format,
            show_default=True,
            metavar="LIST",
            help=f"Comma-separated: {', '.join(formats)}.",
        ),
        click.option(
            "--resolution",
            type=Resolution(),
            metavar="N|WxH",
            help="Size the network aims at, aspect ratio kept.  [default: the weights' own]",
        ),
        click.option(
            "--multiple-of",
            type=MultipleOf(),
            default=PATCH_SIZE,
            show_default=True,
            metavar="N",
            help="Round network sizes to multiples of N; 32 gives the authors' sizes.",
        ),
        click.option(
            "--device",
            default="auto",
            show_default=True,
            callback=_check_device,
            metavar="auto|cpu|cuda|cuda:N|mps",
            help="Where the network runs.",
        ),
        click.option(
            "--precision",
            type=click.Choice(["auto", "fp32", "fp16", "bf16"]),
            default="auto",
            show_default=True,
            help="auto: fp16 on CUDA, fp32 elsewhere.",
        ),
        click.option(
            "--batch-size",
            type=click.IntRange(min=1),
            default=1,
            show_default=True,
            help="Photographs of one network size to run at once.",
        ),
        click.option("--offline", is_flag=True, help="Never touch the network."),
        registry_option,
        click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors."),
        click.option("-v", "--verbose", is_flag=True, help="Say more of each photograph."),
        debug_option,
    ]

    def add(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return add
