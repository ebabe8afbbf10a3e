"""Parses the lists and ranges that `dpt bench` accepts."""

from collections.abc import Sequence
from typing import Any

import click

from dpt_cli.cli.values import Resolution

_OPTION = "--resolution"
_STEP_PX = 128
_GRAMMAR = "write 384, 1216x352, 384,512,768 or 384 to 1024, optionally with step 64"

Sizes = tuple[tuple[int, int], ...]


class Resolutions(click.ParamType[Sizes]):
    """`384`, `1216x352`, `384 to 1024`, `384 to 1024 step 64`, or a list with commas."""

    name = "resolutions"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Sizes:
        """Return each (height, width) once, in the order given."""
        if isinstance(value, tuple):
            return value
        sizes: dict[tuple[int, int], None] = {}
        for item in str(value).lower().split(","):
            words = item.split()
            if len(words) == 1:
                sizes[Resolution().convert(words[0], param, ctx)] = None
                continue
            first, last, step = self._range(words, value, param, ctx)
            # The range includes its end, even if the steps miss it.
            for side in (*range(first, last, step), last):
                sizes[Resolution().convert(side, param, ctx)] = None
        return tuple(sizes)

    def _range(
        self,
        words: Sequence[str],
        value: Any,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[int, int, int]:
        numbers = words[::2]
        is_range = words[1::2] in (["to"], ["to", "step"]) and len(numbers) > len(words[1::2])
        if not is_range or not all(word.isascii() and word.isdigit() for word in numbers):
            self.fail(f"{str(value)!r} is not a resolution: {_GRAMMAR}", param, ctx)
        first, last, step = map(int, [*numbers, str(_STEP_PX)][:3])
        if first > last:
            self.fail(f"{value}: the range must go up: {last} to {first}", param, ctx)
        if step == 0:
            self.fail(f"{value}: the step must be at least 1 px", param, ctx)
        for side in (first, last):
            Resolution().convert(side, param, ctx)
        return first, last, step


class Counts(click.ParamType[tuple[int, ...]]):
    """`4` or `1,4,16`."""

    name = "counts"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Return the numbers, each once, from small to large."""
        if isinstance(value, tuple):
            return value
        words = [word.strip() for word in str(value).split(",")]
        if not all(word.isascii() and word.isdigit() and int(word) > 0 for word in words):
            self.fail(
                f"{str(value)!r} is not a list of positive whole numbers such as 1,4,16", param, ctx
            )
        return tuple(sorted({int(word) for word in words}))


def with_ranges_joined(arguments: Sequence[str], *, has_arguments: bool = False) -> list[str]:
    """Return a command line with the words after `--resolution` joined to one value.

    So `--resolution 384 to 1024` needs no quotes.

    Args:
        arguments: The command line.
        has_arguments: Whether the command takes arguments. Then only the words of a range or a
            list are joined, and the words after them stay apart.
    """
    joined: list[str] = []
    is_open = False
    for argument in arguments:
        if argument.startswith("-"):
            is_open = argument.partition("=")[0] == _OPTION
        elif is_open and joined[-1] != _OPTION:
            is_open = not has_arguments or (
                argument.lower() in ("to", "step")
                or joined[-1].lower().endswith((" to", " step", ","))
            )
            if is_open:
                joined[-1] += f" {argument}"
                continue
        joined.append(argument)
    return joined
