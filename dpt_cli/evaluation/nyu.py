"""NYU Depth v2's labelled file, a MATLAB 7.3 file of 2.8 GB, one picture at a time."""

import threading
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dpt_cli.errors import InputError

_MISSING = "reading NYU's .mat files needs {}: pip install 'dpt-vision[eval]'"


class NyuFile:
    """The pictures and raw depth maps of `nyu_depth_v2_labeled.mat`.

    Raises:
        InputError: It cannot be opened, is another file, or h5py is not installed.
    """

    def __init__(self, path: Path) -> None:
        """Open the file; nothing is read yet."""
        try:
            import h5py
        except ImportError as error:
            raise InputError(_MISSING.format("h5py")) from error
        try:
            self._file = h5py.File(path, "r")
            self.num_pictures = int(self._file["rawDepths"].shape[0])
            self._file["images"].shape  # noqa: B018  # it is there
        except (OSError, KeyError) as error:
            raise InputError(f"{path} is not NYU's labelled file: {error}") from error
        self._lock = threading.Lock()

    @staticmethod
    @cache
    def of(path: Path) -> "NyuFile":
        """Return the file, opened once per process."""
        return NyuFile(path)

    def rgb(self, index: int) -> npt.NDArray[np.uint8]:
        """Return a picture, uint8 (480, 640, 3); the index counts from 0."""
        # MATLAB stores columns first: (3, 640, 480).
        return np.ascontiguousarray(self._read("images", index).transpose(2, 1, 0), np.uint8)

    def raw_depth(self, index: int) -> npt.NDArray[np.float64]:
        """Return a depth map as measured, (480, 640) [m], 0 where nothing was."""
        return self._read("rawDepths", index).T.astype(np.float64)

    def _read(self, name: str, index: int) -> npt.NDArray[Any]:
        with self._lock:
            read: npt.NDArray[Any] = self._file[name][index]
        return read


def test_indices(path: Path) -> list[int]:
    """Return the 654 pictures of the test split, from 0, as `splits.mat` lists them.

    Raises:
        InputError: It cannot be read, or SciPy is not installed.
    """
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise InputError(_MISSING.format("SciPy")) from error
    try:
        indices = loadmat(path)["testNdxs"]
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"{path} is not NYU's list of splits: {error}") from error
    return [int(number) - 1 for number in indices.ravel()]
