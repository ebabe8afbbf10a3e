"""Masks as COCO's run-length encoding.

Written by hand, as pycocotools is 1.8 MB of compiled code and reads the map again for each class.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Region:
    """The pixels of one label.

    Attributes:
        label: The label.
        counts: COCO's compressed run lengths.
        area_px: How many pixels there are.
        box_px: Left, top, width and height of the smallest box around them.
    """

    label: int
    counts: str
    area_px: int
    box_px: tuple[int, int, int, int]


def regions(labels: npt.NDArray[np.uint8]) -> Iterator[Region]:
    """Yield the region of each label in a map, uint8 (H, W), in the order of the labels.

    Source: pycocotools, `common/maskApi.c`: rleEncode, rleArea, rleToBbox, rleToString.
    """
    height = labels.shape[0]
    columns = np.ascontiguousarray(labels.T).ravel()  # COCO counts down the columns
    if not columns.size:
        return
    starts = np.concatenate([[0], np.flatnonzero(columns[1:] != columns[:-1]) + 1])
    ends = np.append(starts[1:], columns.size)
    label_of_run = columns[starts]
    for label in np.unique(label_of_run):
        chosen = label_of_run == label
        own_starts, own_ends = starts[chosen], ends[chosen]
        edges = np.column_stack([own_starts, own_ends]).ravel()
        # Alternately outside and inside, outside first; what follows the last run is outside too.
        counts = np.diff(edges, prepend=0)
        if own_ends[-1] < columns.size:
            counts = np.append(counts, columns.size - own_ends[-1])
        area = int((own_ends - own_starts).sum())
        yield Region(int(label), _text(counts), area, _box(own_starts, own_ends, height))


def _box(starts: _Ints, ends: _Ints, height: int) -> tuple[int, int, int, int]:
    left, right = int(starts[0]) // height, int(ends[-1] - 1) // height
    if (starts // height != (ends - 1) // height).any():
        # A run that goes on in the next column touches the lowest row and the topmost.
        top, bottom = 0, height - 1
    else:
        top, bottom = int((starts % height).min()), int(((ends - 1) % height).max())
    return left, top, right - left + 1, bottom - top + 1


def _text(counts: _Ints) -> str:
    """Return run lengths as text, each from the fourth on as the difference to the one two before.

    Five bits make a character, the lowest first; bit 5 says that more follow, bit 4 of the last
    one is the sign.
    """
    numbers = counts.copy()
    numbers[3:] -= counts[1:-2]
    text = bytearray()
    for number in numbers.tolist():
        has_more = True
        while has_more:
            bits = number & 0x1F
            number >>= 5  # noqa: PLW2901  # what is left of it
            has_more = number != (-1 if bits & 0x10 else 0)
            text.append(48 + bits + 0x20 * has_more)
    return text.decode("ascii")
