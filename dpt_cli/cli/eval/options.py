"""The options that `dpt eval depth` and `dpt eval segment` share."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from dpt_cli.checkpoint.choose import choose_model
from dpt_cli.checkpoint.registry import load_registry
from dpt_cli.checkpoint.specs import CheckpointSpec, Task
from dpt_cli.cli.bench.options import check_free
from dpt_cli.cli.bench.values import Resolutions, Sizes, with_ranges_joined
from dpt_cli.cli.complete import complete_models
from dpt_cli.cli.console import say
from dpt_cli.cli.options import (
    PRECISIONS,
    debug_option,
    device_option,
    engine_option,
    registry_option,
    with_options,
)
from dpt_cli.cli.settings import OneRunOption, SettingsCommand
from dpt_cli.cli.values import InputPath
from dpt_cli.pipeline.settings import EngineSettings

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class EvalOptions:
    """What both commands were asked; see the help of each option."""

    paths: tuple[Path, ...]
    dataset: str | None
    protocol: str | None
    pairs_file: Path | None
    predictions: tuple[Path, ...]
    models: tuple[str, ...]
    weights: Path | None
    resolution: Sizes | None
    device: str
    precision: str
    engine: str
    batch_size: int
    offline: bool
    registry: Path | None
    scores: Path
    as_json: bool
    csv: Path | None
    plot: Path | None
    force: bool
    quiet: bool

    @property
    def engine_settings(self) -> EngineSettings:
        """Return how the network is to run."""
        return EngineSettings(
            self.weights, self.device, self.precision, self.engine, offline=self.offline
        )


class EvalCommand(SettingsCommand):
    """A command whose `--resolution 384 to 640` needs no quotes, without a table of settings."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Share the settings of all commands: a table named after this one is another's."""
        super().__init__(*args, has_table=False, **kwargs)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Join the words of a range first."""
        return super().parse_args(ctx, with_ranges_joined(args, has_arguments=True))


class PositiveNumber(click.FloatRange):
    """A finite number above zero."""

    def __init__(self) -> None:
        super().__init__(min=0, min_open=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse and check the number."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number", param, ctx)
        return number


def chosen_models(task: Task, options: EvalOptions) -> list[CheckpointSpec]:
    """Return the models to measure; none where saved maps are scored.

    Raises:
        RegistryError: No such model.
        click.UsageError: One weights file is given for several models.
    """
    if options.predictions:
        if options.models or options.weights or options.resolution:
            raise click.UsageError(
                "--predictions are maps already: leave out --model, --weights and --resolution"
            )
        return []
    registry = load_registry(options.registry)
    specs = []
    for name in options.models or (None,):
        spec, remark = choose_model(registry, task, name, options.weights)
        if remark and not options.quiet:
            say(remark)
        specs.append(spec)
    if options.weights is not None and len(specs) > 1:
        raise click.UsageError("--weights is a file of one model: name one with --model")
    return specs


def two_paths(options: EvalOptions) -> tuple[Path, Path]:
    """Return the folders of photographs and of their truth.

    Raises:
        click.UsageError: There are not two.
    """
    if len(options.paths) != 2:
        raise click.UsageError(
            "give two folders, of photographs and of their truth; or --pairs FILE; "
            "or --dataset NAME and its root"
        )
    return options.paths[0], options.paths[1]


def dataset_root(options: EvalOptions) -> Path:
    """Return the root of the data set.

    Raises:
        click.UsageError: There is not one, or pairs are listed as well.
    """
    if options.pairs_file is not None:
        raise click.UsageError("--pairs lists pictures of your own: leave out --dataset")
    if len(options.paths) != 1:
        raise click.UsageError(f"--dataset {options.dataset} takes one folder, its root")
    return options.paths[0]


def written_files(options: EvalOptions, kinds: Sequence[str]) -> dict[str, Path]:
    """Return the files of --csv by what they hold; refuse to replace any of them.

    Args:
        options: The command's options.
        kinds: What is written besides the scores of each picture, as `summary`.

    Raises:
        OutputError: One exists, and --force was not given.
    """
    files: dict[str, Path] = {}
    if options.csv is not None:
        files["pictures"] = options.csv
        for kind in kinds:
            files[kind] = options.csv.with_name(f"{options.csv.stem}_{kind}{options.csv.suffix}")
    for path in (*files.values(), *([options.plot] if options.plot else [])):
        check_free(path, force=options.force)
    return files


def _split(
    _ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    names = (name.strip() for value in values for name in value.split(","))
    return tuple(dict.fromkeys(name for name in names if name))


def _check_plot(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path | None:
    if value is not None and value.suffix.lower() != ".png":
        raise click.BadParameter(f"{value}: a plot is a PNG: name it PLOT.png", ctx, param)
    return value


def eval_options(plot_help: str, csv_help: str) -> Callable[[F], F]:
    """Add the options that both commands share."""
    options = [
        click.argument("paths", nargs=-1, metavar="ROOT | IMAGES TRUTH", type=InputPath()),
        click.option(
            "--pairs",
            "pairs_file",
            cls=OneRunOption,
            type=_path(dir_okay=False),
            metavar="FILE",
            help="A list of your own pictures: a photograph and its truth per line, by a tab.",
        ),
        click.option(
            "--predictions",
            cls=OneRunOption,
            multiple=True,
            type=_path(file_okay=False),
            metavar="DIR",
            help="Score saved maps, named for their photographs, without a network; may be "
            "repeated.",
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
            "--weights",
            type=_path(dir_okay=False),
            metavar="FILE",
            help="A local checkpoint of the one model that is measured.",
        ),
        click.option(
            "--resolution",
            type=Resolutions(),
            metavar="N|WxH|N to M",
            help="Sizes the network aims at, each measured: 384, 384,512 or 384 to 640 [step 128]."
            "  [default: the weights' own]",
        ),
        device_option,
        click.option(
            "--precision",
            type=click.Choice(PRECISIONS),
            default="auto",
            show_default=True,
            help="auto: fp16 on CUDA, fp32 elsewhere. int8: on a CPU with OpenVINO, approximate.",
        ),
        engine_option,
        click.option(
            "--batch-size",
            type=click.IntRange(min=1),
            default=1,
            show_default=True,
            help="Photographs of one network size to run at once.",
        ),
        click.option("--offline", is_flag=True, help="Never touch the network."),
        registry_option,
        click.option(
            "--scores",
            type=_path(file_okay=False),
            default=Path("dpt-eval"),
            show_default=True,
            metavar="DIR",
            help="Where the scores of each picture are kept; the same command continues.",
        ),
        click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table."),
        click.option("--csv", type=_path(dir_okay=False), metavar="FILE", help=csv_help),
        click.option(
            "--plot",
            type=_path(dir_okay=False),
            metavar="PLOT.png",
            callback=_check_plot,
            help=plot_help,
        ),
        click.option(
            "-f",
            "--force",
            is_flag=True,
            help="Score again what has scores, and replace the files of --csv and --plot.",
        ),
        click.option("-q", "--quiet", is_flag=True, help="Print the result and errors only."),
        debug_option,
    ]

    return lambda function: with_options(function, options)


def _path(*, dir_okay: bool = True, file_okay: bool = True) -> click.Path:
    return click.Path(path_type=Path, dir_okay=dir_okay, file_okay=file_okay)
