"""Shell completion of option values. It runs at every press of Tab and imports nothing heavy."""

from collections.abc import Iterable

import click
from click.shell_completion import CompletionItem

from dpt_cli.checkpoint.registry import load_registry
from dpt_cli.checkpoint.specs import CheckpointSpec
from dpt_cli.errors import RegistryError

# A selection: importing matplotlib, which knows the rest, takes too long for a press of Tab.
COLORMAPS = (
    *("inferno", "viridis", "magma", "plasma", "cividis", "turbo", "gray", "Spectral", "coolwarm"),
    *("RdYlBu", "RdBu", "YlGnBu", "YlOrRd", "Blues", "Greens", "Greys", "Oranges", "Purples"),
    *("Reds", "bone", "copper", "cubehelix", "gist_earth", "hot", "jet", "rainbow", "terrain"),
    *("twilight",),
)
_DEVICES = ("auto", "cpu", "cuda", "mps")


def complete_colormaps(
    _ctx: click.Context, _param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer well-known colormaps and their reverses, ignoring case."""
    reverse = (f"{name}_r" for name in COLORMAPS)
    return _starting([(name, "") for name in (*COLORMAPS, *reverse)], incomplete)


def complete_devices(
    _ctx: click.Context, _param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer devices, whether this machine has them or not."""
    return _starting([(name, "") for name in _DEVICES], incomplete)


def complete_models(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer the models of the command's task with their titles.

    In a list it completes the word after the last comma.
    """
    task = ctx.params.get("task", ctx.command.name)
    rows = [row for row in _rows(ctx) if row.task == task]
    done, comma, _ = incomplete.rpartition(",") if param.multiple else ("", "", "")
    return _starting([(done + comma + row.name, row.title) for row in rows], incomplete)


def complete_weights(
    ctx: click.Context, _param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer TASK/NAME of every model, or of those of `--task` if that was typed."""
    task = ctx.params.get("task")
    rows = [row for row in _rows(ctx) if task in (None, row.task)]
    return _starting([(row.id, row.title) for row in rows], incomplete)


def _rows(ctx: click.Context) -> tuple[CheckpointSpec, ...]:
    try:
        return load_registry(ctx.params.get("registry")).rows
    except RegistryError:
        return ()


def _starting(words: Iterable[tuple[str, str]], incomplete: str) -> list[CompletionItem]:
    return [
        CompletionItem(word, help=text or None)
        for word, text in words
        if word.lower().startswith(incomplete.lower())
    ]
