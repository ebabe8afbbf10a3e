"""Arrays: NumPy's .npy and .npz, and the portable float map."""

import json
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt

from dpt_cli.formats.files import Writer

_STRIP_ROWS = 64


def write_npy(file: Writer, array: npt.NDArray[np.generic]) -> None:
    """Write an array of any type and shape as NumPy's .npy."""
    whole = np.ascontiguousarray(array)
    np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(whole))
    file.write(whole.data)


def write_npz(
    file: Writer, name: str, array: npt.NDArray[np.generic], facts: Mapping[str, Any]
) -> None:
    """Write an array, compressed, under its name, and its facts as JSON text under `meta`.

    Neither needs pickle to be read. NumPy dates every member 1980, so that the same map gives the
    same bytes.
    """
    packed = BytesIO()
    members: dict[str, Any] = {name: array, "meta": np.array(json.dumps(facts))}
    np.savez_compressed(packed, **members)
    file.write(packed.getbuffer())


def write_pfm(file: Writer, values: npt.NDArray[np.float32]) -> None:
    """Write float32 (H, W) as a portable float map, unchanged: little-endian, bottom row first."""
    height, width = values.shape
    # parity: the authors' header, digit for digit; the sign of the scale means little-endian.
    file.write(f"Pf\n{width} {height}\n-1.000000\n".encode())
    for strip in strips(values[::-1]):
        file.write(np.ascontiguousarray(strip, "<f4").data)


def strips(rows: npt.NDArray[np.generic]) -> Iterator[npt.NDArray[np.generic]]:
    """Yield an array some rows at a time, so that a large map is not held twice."""
    return (rows[start : start + _STRIP_ROWS] for start in range(0, len(rows), _STRIP_ROWS))
