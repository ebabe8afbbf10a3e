"""The truth of a photograph, in each of the forms that data sets ship it in.

Each class knows where its file lies and reads it when asked; it is plain data that can be sent to
another process.
"""

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from dpt_cli.errors import InputError
from dpt_cli.evaluation.nyu import NyuFile
from dpt_cli.formats.exr import read_exr
from dpt_cli.formats.read import read_class_numbers
from dpt_cli.photos.source import read_file

Floats = npt.NDArray[np.float64]
Quantity = Literal["depth", "inverse-depth"]

DEPTH_SUFFIXES = (".png", ".pgm", ".tif", ".tiff", ".npy", ".npz", ".pfm", ".exr", ".dpt")
LABEL_SUFFIXES = (".png", ".npy")
_SINTEL_TAG = 202021.25
_NUM_CLASSES = 150
_UNKNOWN = 255  # where classes count from 0


@dataclass(frozen=True)
class DepthFile:
    """A depth map in a file of its own.

    Attributes:
        path: The file.
        scale: Stored steps per metre, or per unit of inverse depth; None for 1, which whole numbers
            do not take.
        quantity: What the numbers are.
    """

    path: Path
    scale: float | None = None
    quantity: Quantity = "depth"

    def read(self, _photo_hw: tuple[int, int]) -> Floats:
        """Return depth (H, W) [m]; NaN where nothing was measured.

        Raises:
            InputError: It cannot be read, or holds whole numbers and no scale is given.
        """
        stored = read_array(self.path)
        if stored.ndim != 2:
            raise InputError(f"{self.path}: expected one number per pixel, got {stored.shape}")
        if self.scale is None and stored.dtype.kind in "ui":
            raise InputError(
                f"{self.path} holds whole numbers ({stored.dtype}): say how many of them are one "
                "metre with --truth-scale, such as 1000 for millimetres"
            )
        values = stored.astype(np.float64) / (self.scale or 1.0)
        return measured(values if self.quantity == "depth" else _inverse(values))


@dataclass(frozen=True)
class DisparityFile:
    """Disparity of a stereo camera [px], as Middlebury ships it.

    Attributes:
        path: The file.
        focal_px: Focal length [px].
        baseline_m: Distance of the cameras [m].
        offset_px: Difference of their principal points [px].

    Source: Middlebury stereo evaluation 2014: depth = focal · baseline / (disparity + offset).
    """

    path: Path
    focal_px: float
    baseline_m: float
    offset_px: float = 0.0

    def read(self, _photo_hw: tuple[int, int]) -> Floats:
        """Return depth (H, W) [m]; NaN where nothing was measured.

        Raises:
            InputError: It cannot be read.
        """
        disparity = measured(read_array(self.path).astype(np.float64))
        return self.focal_px * self.baseline_m * _inverse(disparity + self.offset_px)


@dataclass(frozen=True)
class RawFloatFile:
    """Depth [m] as ETH3D ships it: float32 row by row, no header, of the photograph's size."""

    path: Path

    def read(self, photo_hw: tuple[int, int]) -> Floats:
        """Return depth (H, W) [m]; NaN where nothing was measured.

        Raises:
            InputError: It cannot be read, or has another size than the photograph.
        """
        data, _ = read_file(self.path)
        height, width = photo_hw
        if len(data) != 4 * height * width:
            raise InputError(
                f"{self.path}: {len(data)} bytes are not the {width} by {height} floats of its "
                "photograph"
            )
        return measured(np.frombuffer(data, "<f4").reshape(photo_hw).astype(np.float64))


@dataclass(frozen=True)
class NyuDepth:
    """One of the raw depth maps of NYU's labelled file."""

    path: Path
    index: int

    def read(self, _photo_hw: tuple[int, int]) -> Floats:
        """Return depth (480, 640) [m]; NaN where nothing was measured."""
        return measured(NyuFile.of(self.path).raw_depth(self.index))


@dataclass(frozen=True)
class PointPair:
    """A judgement of which of two points of a photograph is nearer, as in DIW.

    Attributes:
        path: The list it stands in.
        a_yx: The first point, row and column from 0.
        b_yx: The second.
        is_a_nearer: The judgement.
        hw: Size of the picture that the points are of [px].
    """

    path: Path
    a_yx: tuple[int, int]
    b_yx: tuple[int, int]
    is_a_nearer: bool
    hw: tuple[int, int]


@dataclass(frozen=True)
class LabelFile:
    """ADE20K classes as a picture, grey or with a palette: 1 to 150, and 0 for none.

    In an .npy file they are zero-based, and 255 is none. A picture of dpt says how it counts.
    """

    path: Path

    def read(self) -> npt.NDArray[np.int64]:
        """Return classes (H, W), zero-based; -1 where nothing is labelled.

        Raises:
            InputError: It cannot be read, or holds other numbers.
        """
        if self.path.suffix.lower() == ".png":
            stored, base = read_class_numbers(self.path)
        else:
            stored, base = read_array(self.path), 0
        if stored.ndim != 2 or stored.dtype.kind not in "ui":
            raise InputError(
                f"{self.path}: expected one class number per pixel, got {stored.dtype} "
                f"{stored.shape}"
            )
        labels = stored.astype(np.int64) - base
        if base == 0:
            labels[stored == _UNKNOWN] = -1
        if labels.size and not (labels.min() >= -1 and labels.max() < _NUM_CLASSES):
            raise InputError(
                f"{self.path}: {stored.max()} is no ADE20K class: expected {base} to "
                f"{_NUM_CLASSES - 1 + base}, and {_UNKNOWN if base == 0 else 0} for none"
            )
        return labels


DepthTruth = DepthFile | DisparityFile | RawFloatFile | NyuDepth | PointPair
Truth = DepthTruth | LabelFile


def read_array(path: Path) -> npt.NDArray[np.generic]:
    """Return the numbers of a file as they are stored; a picture's depth and channels unchanged.

    Raises:
        InputError: It cannot be read.
    """
    suffix = path.suffix.lower()
    data, _ = read_file(path)
    try:
        if suffix == ".dpt":
            return _sintel(data)
        if suffix in (".npy", ".npz"):
            return _numbers(_numpy(data))
        if suffix == ".exr":
            return _exr(data)
    except (ValueError, EOFError, OSError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: {error}") from error
    if suffix not in DEPTH_SUFFIXES:
        raise InputError(
            f"{path}: cannot read {suffix or 'it'}: {', '.join(DEPTH_SUFFIXES)} can be"
        )
    stored = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    if stored is None:
        raise InputError(f"{path}: not a picture, or damaged")
    return stored


def measured(values: Floats) -> Floats:
    """Return depth with NaN for what is no measurement: zero, less, and infinity."""
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(values) & (values > 0), values, np.nan)


def _inverse(values: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(values > 0, 1 / values, np.nan)


def _sintel(data: bytes) -> npt.NDArray[np.float32]:
    """Return Sintel's .dpt: a tag, width, height and float32 row by row."""
    if len(data) < 12 or np.frombuffer(data, "<f4", 1)[0] != np.float32(_SINTEL_TAG):
        raise ValueError("not a Sintel depth file: its tag is missing")
    width, height = (int(side) for side in np.frombuffer(data, "<i4", 2, offset=4))
    if min(width, height) < 1 or len(data) != 12 + 4 * width * height:
        raise ValueError(f"{len(data)} bytes are not a Sintel depth file of {width} by {height}")
    return np.frombuffer(data, "<f4", offset=12).reshape(height, width)


def _exr(data: bytes) -> npt.NDArray[np.generic]:
    """Return the depth channel: Z, Y, or the only one."""
    channels = read_exr(data).channels
    only = next(iter(channels)) if len(channels) == 1 else ""
    name = next((name for name in ("Z", "Y", only) if name in channels), None)
    if name is None:
        raise ValueError(f"expected a channel Z, Y or only one, found {', '.join(channels)}")
    return channels[name]


def _numbers(array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    if array.dtype.kind not in "fiu":
        raise ValueError(f"expected real numbers, found {array.dtype}")
    return array


def _numpy(data: bytes) -> npt.NDArray[np.generic]:
    loaded = np.load(io.BytesIO(data), allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        return loaded
    arrays = [name for name in loaded.files if loaded[name].ndim == 2]
    if len(arrays) != 1:
        raise ValueError(f"expected one map among {', '.join(loaded.files)}, found {len(arrays)}")
    array: npt.NDArray[np.generic] = loaded[arrays[0]]
    return array
