"""Checks of the arguments of `load`, before anything is downloaded, with errors for Python."""

import contextlib
import operator
import re
from collections.abc import Iterator, Sequence
from typing import Any

from dpt_cli.checkpoint.specs import PROTOCOLS, CheckpointSpec
from dpt_cli.errors import ArgumentError, DptError, did_you_mean

_CHOICES = {
    "task": ("depth", "segment"),
    "device": ("auto", "cpu", "cuda", "cuda:N", "mps"),
    "precision": ("auto", "fp32", "fp16", "bf16", "int8"),
    "engine": ("auto", "torch", "openvino"),
    "protocol": PROTOCOLS,
}
# Words that mean a known value but are not spelt like it.
_MEANT = {"gpu": "cuda", "segmentation": "segment", "float32": "fp32", "float16": "fp16"}
_CUDA_DEVICE = re.compile(r"cuda:\d+")
_MIN_SIDE_PX = 16
_FLAG = re.compile(r"(?<![\w-])--([a-z][a-z-]*)(?: (?=[A-Z]{2}))?")


def check_choice(name: str, value: object) -> None:
    """Check that an argument has one of its values.

    Raises:
        ArgumentError: It has another. The message lists the values.
    """
    known = _CHOICES[name]
    if value in known and value != "cuda:N":
        return
    if name == "device" and _CUDA_DEVICE.fullmatch(str(value)):
        return
    text = str(value).lower()
    close = _MEANT.get(text) or did_you_mean(text, known)
    hint = f"did you mean {close!r}? " if close in known else ""
    raise ArgumentError(f"unknown {name} {value!r}: {hint}there are {', '.join(map(repr, known))}")


def target_size(resolution: Any) -> tuple[int, int] | None:
    """Return the size to run the network at, (height, width) [px]; None for the weights' own.

    Raises:
        ArgumentError: It is neither a side nor (height, width).
    """
    if resolution is None:
        return None
    is_pair = isinstance(resolution, Sequence) and not isinstance(resolution, str)
    sides = list(resolution) if is_pair else [resolution, resolution]
    numbers = [number for number in map(_whole, sides) if number is not None]
    if len(sides) != 2 or len(numbers) != 2 or min(numbers) < _MIN_SIDE_PX:
        raise ArgumentError(
            f"resolution must be a side in pixels or (height, width), such as 384 or (384, 512), "
            f"each at least {_MIN_SIDE_PX}, not {resolution!r}"
        )
    return numbers[0], numbers[1]


def check_multiple(multiple_of: object, patch_px: int) -> None:
    """Refuse what the sides of a network size cannot be multiples of.

    Raises:
        ArgumentError: It is no multiple of the patch's side.
    """
    number = patch_px if multiple_of is None else _whole(multiple_of)
    if number is None or number < patch_px or number % patch_px:
        known = ", ".join(str(count * patch_px) for count in (1, 2, 3))
        raise ArgumentError(
            f"multiple_of must be a multiple of this model's patches, {known} ..., "
            f"not {multiple_of!r}"
        )


def in_protocol(
    spec: CheckpointSpec, protocol: str, resolution: object, multiple_of: object
) -> CheckpointSpec:
    """Return a row with the protocol that is asked for.

    Raises:
        ArgumentError: The row has no such protocol, or a network size is asked for, which the
            Hub's protocol fixes.
    """
    if protocol == "authors":
        return spec
    if not spec.hub_protocol:
        raise ArgumentError(
            f"--protocol hub is for models whose protocol on the Hub dpt knows, and {spec.id} has "
            "none: leave out --protocol, or use another --model"
        )
    if resolution is not None or multiple_of is not None:
        height, width = spec.input.target_hw
        raise ArgumentError(
            f"--protocol hub runs the network at {width}x{height}: "
            "leave out --resolution and --multiple-of"
        )
    return spec.as_on_the_hub()


def check_batch_size(batch_size: object) -> None:
    """Check the size of a batch.

    Raises:
        ArgumentError: It is not a number from 1.
    """
    number = _whole(batch_size)
    if number is None or number < 1:
        raise ArgumentError(f"batch_size must be a number from 1, not {batch_size!r}")


@contextlib.contextmanager
def in_pythons_words() -> Iterator[None]:
    """Replace the names of command-line options in errors by those of arguments."""
    try:
        yield
    except DptError as error:
        text = _FLAG.sub(_argument, str(error))
        error.args = (text, *error.args[1:])
        raise


def _argument(flag: re.Match[str]) -> str:
    # "--weights FILE" becomes "weights=FILE".
    return flag[1].replace("-", "_") + ("=" if flag[0].endswith(" ") else "")


def _whole(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None
