"""The command line that would have worked, for mistakes that people make first."""

import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import click

_URL = re.compile(r"([a-z][a-z0-9+.-]+):/+(.+)", re.IGNORECASE)  # pathlib merges slashes
_VIDEOS = frozenset(
    {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".mts", ".3gp"}
)


def looks_like_input(word: str) -> bool:
    """Return whether a word seems to mean a photograph or a folder rather than a command."""
    return word == "-" or os.path.lexists(word) or bool(re.search(r"[/\\.*]", word))


def with_command(name: str, words: Sequence[str]) -> str:
    """Return `dpt NAME WORDS`, quoted for a shell."""
    return shlex.join(("dpt", name, *words))


def check_inputs(
    ctx: click.Context, _param: click.Parameter, inputs: tuple[Path, ...]
) -> tuple[Path, ...]:
    """Refuse URLs, and videos if nothing else is given; suggest what to type instead.

    Among photographs a video is a failure of its own and does not stop the others.
    """
    for path in inputs:
        address = _URL.fullmatch(str(path))
        if address and not os.path.lexists(path):
            url = shlex.quote("://".join(address.groups()))
            raise click.UsageError(
                f"{url} is a URL, and {ctx.info_name} reads files: "
                f"curl -fsSL {url} | dpt {ctx.info_name} -",
                ctx,
            )
    if inputs and all(path.suffix.lower() in _VIDEOS for path in inputs):
        video = shlex.quote(str(inputs[0]))
        raise click.UsageError(
            f"{video} is a video, and {ctx.info_name} reads photographs: mkdir frames && "
            f"ffmpeg -i {video} frames/%06d.png && dpt {ctx.info_name} frames",
            ctx,
        )
    return inputs
