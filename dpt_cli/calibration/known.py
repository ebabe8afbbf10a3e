"""What a user knows: distances at pixels, typed, listed in a file or measured by a sensor."""

import csv
import hashlib
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dpt_cli.errors import ArgumentError, CalibrationError, InputError, did_you_mean, errors_as

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from dpt_cli.maps import DepthMap

_POINT = re.compile(r"(\d+),(\d+)=([0-9.]+(?:e[+-]?\d+)?)(m|cm|mm)", re.IGNORECASE)
_METRES = {"m": 1.0, "cm": 0.01, "mm": 0.001}
_COLUMNS = ("photograph", "x", "y", "metres")
_DEPTH_SUFFIXES = (".npy", ".png")

Parts = tuple[str, ...]


@dataclass(frozen=True)
class KnownPoint:
    """A distance at a pixel of the upright photograph.

    Attributes:
        x: Column; the leftmost is 0.
        y: Row; the topmost is 0.
        distance_m: Depth along the camera's axis [m].
    """

    x: int
    y: int
    distance_m: float


@dataclass(frozen=True)
class SparseDepth:
    """A file of measured depth, pixel for pixel of the upright photograph; 0 is unknown.

    Attributes:
        path: A `.npy` file in metres, or a 16-bit grey PNG.
        png_scale: What a PNG's value for one metre is.
    """

    path: Path
    png_scale: float | None


@dataclass(frozen=True)
class KnownDistances:
    """The known distances of a run's photographs.

    Attributes:
        by_name: For each photograph, the last parts of its path; () is any. For sparse depth the
            last part has no extension.
        origin: Where they come from, in words for messages.
    """

    by_name: Mapping[Parts, Sequence[KnownPoint] | SparseDepth]
    origin: str

    def calibrate(self, depth_map: "DepthMap", photograph: Path) -> "DepthMap":
        """Turn a photograph's relative depth map into metres.

        Raises:
            CalibrationError: Nothing is known of this photograph, or it does not fit the map.
            InputError: A file of sparse depth cannot be read.
        """
        from dpt_cli.calibration.fit import calibrate

        known = self._of(photograph)
        if isinstance(known, SparseDepth):
            photo_hw = depth_map.provenance.photo_hw or depth_map.values.shape
            return calibrate(depth_map, _measured(known, photo_hw))
        return calibrate(depth_map, [(point.x, point.y, point.distance_m) for point in known])

    def as_json(self, photograph: Path) -> Any:
        """Return what decides a photograph's calibration, as a JSON value."""
        try:
            known = self._of(photograph)
            if isinstance(known, SparseDepth):
                return [hashlib.sha256(known.path.read_bytes()).hexdigest(), known.png_scale]
        except (CalibrationError, OSError):
            return "missing"
        return [[point.x, point.y, point.distance_m] for point in known]

    def check(self, photographs: Iterable[Path]) -> list[str]:
        """Return the names for which there is no photograph.

        Raises:
            ArgumentError: A name stands for several photographs.
        """
        users: dict[Parts, list[Path]] = {name: [] for name in self.by_name}
        for photograph in photographs:
            name = self._name_of(photograph)
            if name is not None:
                users[name].append(photograph)
        for name, paths in users.items():
            if len(paths) > 1 and not name:
                raise ArgumentError(
                    f"{self.origin} is for one photograph, not for {len(paths)}; "
                    "list the points of several in a file for --known-from"
                )
            if len(paths) > 1:
                raise ArgumentError(
                    f"{self.origin}: {'/'.join(name)} may be {paths[0]} or {paths[1]}; "
                    "write more of its path"
                )
        return ["/".join(name) for name, paths in users.items() if not paths]

    def _of(self, photograph: Path) -> Sequence[KnownPoint] | SparseDepth:
        name = self._name_of(photograph)
        if name is not None:
            return self.by_name[name]
        close = did_you_mean(photograph.name, (parts[-1] for parts in self.by_name if parts))
        hint = f"; did you mean it by {close!r}?" if close else ""
        raise CalibrationError(f"{self.origin} has no distances for it{hint}")

    def _name_of(self, photograph: Path) -> Parts | None:
        """Return the longest name that is the end of a photograph's path."""
        path = photograph.absolute()
        for parts in (path.parts, path.with_suffix("").parts):
            for length in range(len(parts), -1, -1):
                if parts[len(parts) - length :] in self.by_name:
                    return parts[len(parts) - length :]
        return None


def known_point(text: str) -> KnownPoint:
    """Return the point that `X,Y=2.5m` stands for.

    Raises:
        ArgumentError: It is none.
    """
    match = _POINT.fullmatch(text.strip())
    if match is None:
        raise ArgumentError(
            f"{text!r} is not X,Y=DISTANCE: a column, a row and a distance with its unit "
            "(m, cm or mm), such as 320,240=2.5m"
        )
    x, y, number, unit = match.groups()
    return _point(x, y, number, _METRES[unit.lower()], repr(text))


def known_from_csv(path: Path | str) -> KnownDistances:
    """Read known distances from a CSV file with the columns photograph, x, y, metres.

    A photograph is named by its file name, or by more of the end of its path.

    Raises:
        ArgumentError: It cannot be read, a column is missing, or a line does not parse.
    """
    with errors_as(ArgumentError, f"cannot read {path}"):
        data = Path(path).read_bytes()
    try:
        # Spreadsheets put a mark in front.
        rows = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""))
        found = [(name or "").strip().lower() for name in rows.fieldnames or ()]
        if not set(_COLUMNS) <= set(found):
            raise ArgumentError(
                f"{path}: the first line must name the columns {','.join(_COLUMNS)}; "
                f"it is {','.join(found) or 'empty'}"
            )
        rows.fieldnames = found
        by_name: dict[Parts, list[KnownPoint]] = {}
        for row in rows:
            where = f"{path}, line {rows.line_num}"
            photograph, x, y, metres = ((row[column] or "").strip() for column in _COLUMNS)
            name = Path(photograph).parts
            if not name:
                raise ArgumentError(f"{where}: no photograph is named")
            by_name.setdefault(name, []).append(_point(x, y, metres, 1.0, where))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ArgumentError(f"{path} is not CSV in UTF-8: {error}") from error
    if not by_name:
        raise ArgumentError(f"{path} lists no points")
    return KnownDistances(by_name, str(path))


def known_from_folder(folder: Path | str, png_scale: float | None = None) -> KnownDistances:
    """Find files of sparse depth, named as their photographs: `.npy` or 16-bit `.png`.

    Args:
        folder: Where they lie, in any folder below it too.
        png_scale: What a PNG's value for one metre is: 1000 (NYU), 256 (KITTI), 5000 (TUM).

    Raises:
        ArgumentError: There is no such folder, it holds no such file or two of one name, or the
            scale of a PNG is not given.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ArgumentError(f"{folder} is not a folder")
    by_name: dict[Parts, SparseDepth] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in _DEPTH_SUFFIXES or path.name.startswith("."):
            continue
        if path.suffix.lower() == ".png" and png_scale is None:
            raise ArgumentError(
                f"{path}: a PNG does not say what its values mean; give --known-scale, its value "
                "for one metre (1000 for millimetres, 256 for KITTI, 5000 for TUM)"
            )
        name = path.relative_to(folder).with_suffix("").parts
        if name in by_name:
            raise ArgumentError(f"{by_name[name].path} and {path} have one name; remove one")
        by_name[name] = SparseDepth(path, png_scale if path.suffix.lower() == ".png" else None)
    if not by_name:
        raise ArgumentError(f"{folder} holds no .npy and no .png")
    return KnownDistances(by_name, str(folder))


def _point(x: str, y: str, number: str, unit_m: float, where: str) -> KnownPoint:
    try:
        point = KnownPoint(math.floor(float(x)), math.floor(float(y)), float(number) * unit_m)
    except (ValueError, OverflowError) as error:
        raise ArgumentError(
            f"{where}: {x!r}, {y!r}, {number!r} are not a column, a row and a distance"
        ) from error
    if not 0 < point.distance_m < float("inf"):
        raise ArgumentError(f"{where}: the distance is {number}; it must be above 0")
    return point


def _measured(sparse: SparseDepth, photo_hw: tuple[int, ...]) -> "npt.NDArray[np.float64]":
    """Return column, row and distance [m] of each pixel with a measured depth, (N, 3)."""
    import cv2
    import numpy as np

    path = sparse.path
    with errors_as(InputError, f"cannot read {path}"):
        data = path.read_bytes()
    if sparse.png_scale is None:
        try:
            depth = np.load(io.BytesIO(data), allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise InputError(f"{path} is not a whole .npy file of numbers: {error}") from error
    else:
        depth = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if depth is None or depth.dtype != np.uint16 or depth.ndim != 2:
            raise InputError(f"{path} is not a 16-bit grey PNG")
        depth = depth / sparse.png_scale
    if depth.shape != tuple(photo_hw) or depth.dtype.kind not in "fiu":
        raise CalibrationError(
            f"{path} holds {depth.dtype} {' x '.join(map(str, depth.shape[::-1]))}; expected "
            f"numbers for each of the photograph's {photo_hw[1]} x {photo_hw[0]} pixels"
        )
    depth = depth.astype(np.float64)
    rows, columns = np.nonzero(np.isfinite(depth) & (depth > 0))
    return np.column_stack([columns, rows, depth[rows, columns]])
