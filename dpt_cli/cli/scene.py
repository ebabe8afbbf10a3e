"""The options for what the user knows of a scene: distances in it, and the field of view."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from dpt_cli.calibration.known import (
    KnownDistances,
    KnownPoint,
    known_from_csv,
    known_from_folder,
    known_point,
)
from dpt_cli.cli.options import with_options
from dpt_cli.errors import ArgumentError

F = TypeVar("F", bound=Callable[..., Any])


class _Point(click.ParamType[KnownPoint]):
    """`X,Y=2.5m`."""

    name = "point"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> KnownPoint:
        """Parse the point."""
        if isinstance(value, KnownPoint):
            return value
        try:
            return known_point(str(value))
        except ArgumentError as error:
            self.fail(str(error), param, ctx)


def scene_options(function: F) -> F:
    """Add the options whose values `take_scene` takes."""
    options = [
        click.option(
            "--known",
            "points",
            type=_Point(),
            multiple=True,
            metavar="X,Y=DISTANCE",
            help="The distance at a pixel of the upright photograph, such as 320,240=2.5m. Two or "
            "more turn relative depth into metres.",
        ),
        click.option(
            "--known-from",
            "points_file",
            type=click.Path(path_type=Path),
            metavar="FILE.csv",
            help="Known distances of many photographs: columns photograph,x,y,metres.",
        ),
        click.option(
            "--known-depth",
            "depth_folder",
            type=click.Path(path_type=Path),
            metavar="DIR",
            help="Measured depth of many photographs, as by LiDAR: STEM.npy in metres, or 16-bit "
            "STEM.png; 0 is unknown.",
        ),
        click.option(
            "--known-scale",
            "png_scale",
            type=click.FloatRange(min=0, min_open=True),
            metavar="N",
            help="What 1 m is in the PNG files of --known-depth: 1000, KITTI 256, TUM 5000.",
        ),
        click.option(
            "--fov",
            "fov_deg",
            type=click.FloatRange(0, 180, min_open=True, max_open=True),
            metavar="DEGREES",
            help="Field of view along the longer side, for photographs without a focal length in "
            "EXIF.",
        ),
    ]
    return with_options(function, options)


def take_scene(options: dict[str, Any]) -> dict[str, Any]:
    """Take the values of these options out of a command's; return them as `RunSettings` has them.

    Raises:
        click.UsageError: Several sources of distances are given, or a scale without a folder.
        DptError: A file or folder cannot be read or understood.
    """
    sources = (options.pop(name) for name in ("points", "points_file", "depth_folder", "png_scale"))
    return {"known": _known_distances(*sources), "fov_deg": options.pop("fov_deg")}


def _known_distances(
    points: tuple[KnownPoint, ...],
    points_file: Path | None,
    depth_folder: Path | None,
    png_scale: float | None,
) -> KnownDistances | None:
    if bool(points) + (points_file is not None) + (depth_folder is not None) > 1:
        raise click.UsageError("--known, --known-from and --known-depth: give one of them")
    if png_scale is not None and depth_folder is None:
        raise click.UsageError("--known-scale is for the PNG files of --known-depth: give that too")
    if points:
        return KnownDistances({(): points}, "--known")
    if points_file is not None:
        return known_from_csv(points_file)
    return None if depth_folder is None else known_from_folder(depth_folder, png_scale)
