"""What a format is: one kind of file that a map can be written as."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from dpt_cli.errors import ArgumentError

if TYPE_CHECKING:
    from dpt_cli.formats.depth import RGB
    from dpt_cli.formats.files import Writer
    from dpt_cli.maps.types import DepthMap, LabelMap, Quantity

Task = Literal["depth", "segment"]

_MODULES: Mapping[Task, str] = {"depth": "depth", "segment": "labels"}
_NEEDS = {
    "depth": "holds metres, but these maps are relative inverse depth, whose scale and shift are "
    "unknown: use a metric model (see dpt models list), or calibrate it with --known",
    "inverse_depth": "holds relative inverse depth, but these maps are in metres: use a general "
    "model, such as --model hybrid",
}


@dataclass(frozen=True)
class Format:
    """One kind of file.

    Attributes:
        task: The task whose maps it takes.
        name: The word after `--format`, or after `--for` where it is a preset.
        suffix: What follows a photograph's name.
        bytes_per_pixel: Size of the file, seen on photographs; a PNG's varies by a factor of two.
        holds: What its numbers are, in one line.
        options: Names of the options that decide its bytes.
        needs_photograph: Whether the photograph is painted into it.
        can_lack_photograph: Whether it can also be written without the photograph, less complete.
        quantity: The only quantity it takes; None for any.
        writer: `module.function` of this folder; empty for the task's module and the format's name.
        fixed: Options whose values are part of the format.
        shares_range: Whether the maps of a folder must be written with one range.
        read_by: For a preset, the program that reads it; empty for any other format.
    """

    task: Task
    name: str
    suffix: str
    bytes_per_pixel: float
    holds: str
    options: tuple[str, ...] = ()
    needs_photograph: bool = False
    can_lack_photograph: bool = False
    quantity: "Quantity | None" = None
    writer: str = ""
    fixed: tuple[tuple[str, Any], ...] = ()
    shares_range: bool = False
    read_by: str = ""

    @property
    def extension(self) -> str:
        """Return the end of its files' names, as `.png`."""
        return "." + self.suffix.rpartition(".")[2]

    def check(self, quantity: str) -> None:
        """Refuse maps of a quantity that the format does not hold.

        Args:
            quantity: What the maps hold.

        Raises:
            ArgumentError: The format holds another quantity.
        """
        if self.quantity is not None and quantity != self.quantity:
            # EXR alone holds either quantity as it is.
            other = "; --format exr writes the relative numbers" if self.name == "blender" else ""
            raise ArgumentError(f"{self.name} {_NEEDS[self.quantity]}{other}")

    def write(
        self,
        file: "Writer",
        result: "DepthMap | LabelMap",
        rgb: "RGB | None",
        options: Mapping[str, Any],
    ) -> Mapping[str, Any]:
        """Write a map.

        Args:
            file: Takes the bytes.
            result: The map.
            rgb: The photograph, uint8 (H, W, 3), where it is needed; resized to the map.
            options: The values of `options`, and others that do not matter here.

        Returns:
            Facts to report: `step`, the difference of neighbouring levels;
            `clipped_px`, the pixels beyond what it can hold, and for metres `clipped_m`, where that
            ends [m].

        Raises:
            ArgumentError: The map is of a quantity that the format does not take.
        """
        self.check(getattr(result, "quantity", "labels"))
        if self.needs_photograph and rgb is not None:
            from dpt_cli.maps.paint import resized

            rgb = resized(rgb, result.shape)
        module, _, function = (self.writer or f"{_MODULES[self.task]}.{self.name}").partition(".")
        write = getattr(importlib.import_module(f"dpt_cli.formats.{module}"), function)
        return write(file, result, rgb, {**options, **dict(self.fixed)}) or {}
