"""The types of option values: what a user may write, and the message if it is wrong."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from dpt_cli.errors import did_you_mean

_MIN_SIDE_PX, _MAX_RESOLUTION_PX = 16, 16384
_MAX_MAP_PX = 65536


class NameList(click.ParamType[tuple[str, ...]]):
    """A comma-separated list of known names, with a suggestion for a typo."""

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
                close = did_you_mean(word, self.names)
                hint = f" Did you mean {close!r}?" if close else ""
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


class InputPath(click.Path):
    """A path. An empty word is an unset variable rather than the current folder."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse the empty word."""
        if value == "":
            self.fail(
                "an input is empty: is a variable unset? Give '.' for the current folder",
                param,
                ctx,
            )
        return super().convert(value, param, ctx)


class ValueRange(click.ParamType[Any]):
    """`A,B`: two values of a map, the smaller first; or `folder` for the range of all maps."""

    name = "range"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse and check the range."""
        if isinstance(value, tuple) or value == "folder":
            return value
        try:
            low, high = (float(end) for end in str(value).split(","))
        except ValueError:
            self.fail(
                f"{value!r} is not a range: give two numbers, as 0.5,10, or folder", param, ctx
            )
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            self.fail(f"{value!r}: the first number must be smaller than the second", param, ctx)
        return low, high


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
        if not all(_MIN_SIDE_PX <= side <= _MAX_RESOLUTION_PX for side in (width, height)):
            self.fail(f"{value}: a side is {_MIN_SIDE_PX} to {_MAX_RESOLUTION_PX} px", param, ctx)
        return height, width


class MapSizeType(click.ParamType[Any]):
    """`photo`, `network`, or a longer side in pixels."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse and bound the size."""
        text = str(value)
        if text in ("photo", "network"):
            return text
        if not (text.isascii() and text.isdigit() and 1 <= int(text) <= _MAX_MAP_PX):
            self.fail(
                f"{value!r} is not photo, network or a longer side of 1 to {_MAX_MAP_PX} px",
                param,
                ctx,
            )
        return int(text)


class MultipleOf(click.ParamType[int]):
    """A number of pixels; whether the model's patches divide it is known once there is a model."""

    name = "integer"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Parse and check the number."""
        try:
            number = int(value)
        except ValueError:
            number = 0
        if not 1 <= number <= _MAX_RESOLUTION_PX:
            self.fail(f"{value} is not a number from 1 to {_MAX_RESOLUTION_PX}", param, ctx)
        return number


def check_device(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """Check the name of a device."""
    kind, colon, index = value.partition(":")
    if value in ("auto", "cpu", "cuda", "mps") or (kind == "cuda" and colon and index.isdigit()):
        return value
    raise click.BadParameter(
        f"{value!r} is not one of auto, cpu, cuda, cuda:N, mps", ctx=ctx, param=param
    )
