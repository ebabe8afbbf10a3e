"""Read saved maps: the numbers, and what is known about them.

Nothing is guessed. What neither the file nor a manifest states remains unknown.
"""

import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dpt_cli.errors import InputError
from dpt_cli.formats.exr import read_exr
from dpt_cli.formats.recorded import recorded_facts
from dpt_cli.maps.facts import from_text, map_from
from dpt_cli.maps.types import DepthMap, LabelMap
from dpt_cli.photos.source import read_file

_MAX_UINT16 = 65535
_PNG_HEAD_BYTES = 26


@dataclass(frozen=True)
class SavedMap:
    """A file's content.

    Attributes:
        layout: What kind of file it is, in words.
        stored: The numbers in the file, (H, W); None where it holds none, but colours, say.
        values: The numbers of the map; None where the file does not say how to get them.
        facts: Its description, as `maps.facts` has it; empty where nothing is known.
        facts_from: `file` or `manifest`; empty where nothing is known.
        step: The difference of two neighbouring values where the file rounds, in the map's unit.
    """

    layout: str
    stored: npt.NDArray[Any] | None
    values: npt.NDArray[Any] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    facts_from: str = ""
    step: float | None = None


def read_map(path: str | Path) -> DepthMap | LabelMap:
    """Return the map in a file that dpt wrote.

    A file that holds bare numbers (`.npy`, `.pfm`) is looked up in the manifest of its folder.

    Args:
        path: A `.npy`, `.npz`, `.pfm`, `.exr`, `.tiff`, 16-bit `.png` or `_labels.png`.

    Raises:
        InputError: It cannot be read, is damaged, or nothing says what its numbers are.
    """
    return map_of(read_saved(Path(path)), Path(path))


def map_of(saved: SavedMap, path: Path) -> DepthMap | LabelMap:
    """Return the map that a file holds; `path` is for messages.

    Raises:
        InputError: Nothing says what its numbers are.
    """
    if saved.values is None or not saved.facts:
        raise InputError(f"{path}: {_why_not(saved)}")
    try:
        result = map_from(saved.values, saved.facts)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error
    if not saved.step or isinstance(result, LabelMap):
        return result
    return replace(result, rounded_to=max(saved.step, result.rounded_to or 0.0))


def _why_not(saved: SavedMap) -> str:
    if saved.facts and saved.stored is not None:
        return (
            f"neither the file nor its manifest says what its levels stand for ({saved.layout}); "
            "use the .npy, .npz, .exr or .tiff of the same photograph"
        )
    if saved.facts:
        return (
            f"a picture of a map ({saved.layout}), not its numbers; use the .npy, .npz, .exr, "
            ".tiff or 16-bit .png of the same photograph"
        )
    if saved.stored is None:
        return f"not a map ({saved.layout})"
    return (
        f"nothing says what its numbers are ({saved.layout}): no description in the file, and no "
        "manifest.jsonl of an unchanged output above it"
    )


def read_saved(path: Path) -> SavedMap:
    """Return what a file holds and what is known of it.

    Raises:
        InputError: It cannot be read or is damaged, or maps are not saved in such files.
    """
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise InputError(f"{path}: maps are read from {', '.join(_READERS)} files")
    data, _ = read_file(path)
    try:
        with warnings.catch_warnings():
            # Decoders warn of large pictures, and of damage before they raise an error.
            warnings.simplefilter("ignore")
            saved = read(data)
    except ValueError as error:
        # NumPy advises to unpickle what it cannot read, which runs any code in the file.
        is_pickle = "allow_pickle" in str(error)
        reason = "it is damaged or holds Python objects, not numbers" if is_pickle else error
        raise InputError(f"{path}: {reason}") from error
    except Exception as error:  # decoders raise errors of many classes for damage
        raise InputError(f"{path}: damaged, or not a {path.suffix} file ({error})") from error
    if saved.values is not None and saved.values.size == 0:
        raise InputError(f"{path}: it holds no pixels")
    if not saved.facts and saved.stored is not None:
        facts = recorded_facts(path)
        if facts and saved.stored.dtype == np.uint16:
            return replace(_levels(saved.layout, saved.stored, facts), facts_from="manifest")
        if facts:
            base = facts.get("label_base") or 0
            values = _zero_based(saved.stored, base) if base else saved.stored
            return SavedMap(saved.layout, saved.stored, values, facts, "manifest")
    return saved


def read_class_numbers(path: Path) -> tuple[npt.NDArray[Any], int]:
    """Return the class numbers of any PNG, grey or with a palette, and that of the first class.

    A PNG of dpt says which number is the first; elsewhere it is 1, as ADE20K counts.

    Raises:
        InputError: It cannot be read.
    """
    data, _ = read_file(path)
    try:
        image, numbers = _picture(data)
        return numbers, int(image.info.get("dpt:label_base", 1))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a picture, or damaged") from error


def is_16_bit_png(path: Path) -> bool:
    """Return whether a file is a PNG with grey pixels in 16 bits, by its header."""
    try:
        with path.open("rb") as file:
            head = file.read(_PNG_HEAD_BYTES)
    except OSError:
        return False
    return head[:4] == b"\x89PNG" and head[24:26] == bytes([16, 0])


def _npy(data: bytes) -> SavedMap:
    array = np.load(BytesIO(data), allow_pickle=False)
    return SavedMap(f"NumPy array, {array.dtype} {array.shape}", _plane(array))


def _npz(data: bytes) -> SavedMap:
    import zipfile

    try:
        with np.load(BytesIO(data), allow_pickle=False) as members:
            arrays = {name: members[name] for name in members.files}
    except zipfile.BadZipFile as error:
        raise ValueError("the .npz file is damaged") from error
    meta = arrays.pop("meta", None)
    facts = _json(str(meta)) if meta is not None and meta.shape == () else {}
    quantity = facts.get("quantity")
    if quantity in arrays:
        array = arrays[quantity]
    elif len(arrays) == 1:
        facts, array = {}, next(iter(arrays.values()))
    else:
        raise ValueError(f"it holds {', '.join(arrays) or 'nothing'}: which is the map?")
    layout = f"NumPy archive, {array.dtype} {array.shape}"
    return _described(layout, _plane(array), facts)


def _pfm(data: bytes) -> SavedMap:
    try:
        kind, size, scale, body = data.split(b"\n", 3)
        width, height = (int(side) for side in size.split())
        order = "<" if float(scale) < 0 else ">"
    except ValueError as error:
        raise ValueError("not a portable float map") from error
    if kind.strip() != b"Pf":
        raise ValueError("a portable float map of colours, not of depth")
    if width <= 0 or height <= 0 or len(body) != 4 * width * height:
        raise ValueError("the portable float map is cut off")
    rows = np.frombuffer(body, f"{order}f4").reshape(height, width)
    return SavedMap(f"portable float map, {width} x {height} px", rows[::-1].astype(np.float32))


def _exr(data: bytes) -> SavedMap:
    image = read_exr(data)
    names = ", ".join(image.channels)
    only = next(iter(image.channels)) if len(image.channels) == 1 else ""
    name = next((name for name in ("Z", "Y", only) if name in image.channels), None)
    layout = f"EXR, channels {names}"
    if name is None:
        return SavedMap(layout, None)
    return _described(layout, image.channels[name].astype(np.float32), from_text(image.text))


def _tiff(data: bytes) -> SavedMap:
    image, array = _picture(data)
    description = getattr(image, "tag_v2", {}).get(270, "")
    layout = f"TIFF, {image.mode} {image.width} x {image.height} px"
    if image.mode not in ("F", "I", "I;16"):
        return SavedMap(layout, None)
    return _described(layout, array, _json(description))


def _png(data: bytes) -> SavedMap:
    image, array = _picture(data)
    text = {key: it for key, it in image.info.items() if isinstance(it, str)}
    facts = from_text(text)
    layout = f"PNG, {image.mode} {image.width} x {image.height} px"
    if image.mode.startswith("I"):
        return _levels(f"16-bit grey {layout}", array.astype(np.uint16), facts)
    if image.mode == "P" and facts.get("quantity") == "labels" and "label_base" in facts:
        labels = _zero_based(array, int(facts["label_base"]))
        return SavedMap(layout, array, labels, facts, "file")
    return SavedMap(layout, None, None, facts, "file" if facts else "")


def _levels(layout: str, levels: npt.NDArray[np.uint16], facts: Mapping[str, Any]) -> SavedMap:
    """Return 16-bit levels with the values they stand for, where the file says which."""
    values: npt.NDArray[Any] | None = None
    step: float | None = None
    if "steps_per_metre" in facts:
        step = 1 / float(facts["steps_per_metre"])
        # Pixels beyond the last step have it too: of those only the least depth is known.
        is_clipped = "clipped" in facts or facts.get("clipped_px")
        is_known = (levels > 0) & (levels < _MAX_UINT16 + (not is_clipped))
        values = np.where(is_known, levels * step, np.nan).astype(np.float32)
    elif "low" in facts and "high" in facts:
        low, high = float(facts["low"]), float(facts["high"])
        step = (high - low) / _MAX_UINT16
        values = (low + levels / _MAX_UINT16 * (high - low)).astype(np.float32)
    return SavedMap(layout, levels, values, facts, "file" if facts else "", step)


def _zero_based(numbers: npt.NDArray[Any], base: int) -> npt.NDArray[np.uint8]:
    """Return labels from class numbers; with base 1, 0 is unknown and becomes 255."""
    return numbers.astype(np.uint8) - np.uint8(base)


def _described(layout: str, array: npt.NDArray[Any], facts: Mapping[str, Any]) -> SavedMap:
    if "quantity" not in facts:
        return SavedMap(layout, array)
    return SavedMap(layout, array, array, facts, "file")


def _picture(data: bytes) -> tuple[Any, npt.NDArray[Any]]:
    from PIL import Image, UnidentifiedImageError

    try:
        image = Image.open(BytesIO(data))
        return image, np.asarray(image)
    except (UnidentifiedImageError, Image.DecompressionBombError, SyntaxError) as error:
        raise ValueError(f"not a picture that can be read: {error}") from error


def _plane(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return numbers as (H, W); axes of length 1 are dropped.

    Raises:
        ValueError: They are no numbers, or have another shape.
    """
    plane = array if array.ndim == 2 else array.squeeze()
    if plane.ndim != 2 or plane.dtype.kind not in "fiu":
        raise ValueError(f"expected numbers (H, W), found {array.dtype} {array.shape}")
    return plane


def _json(text: str) -> dict[str, Any]:
    try:
        facts = json.loads(text)
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) else {}


_READERS: Mapping[str, Callable[[bytes], SavedMap]] = {
    ".npy": _npy,
    ".npz": _npz,
    ".pfm": _pfm,
    ".exr": _exr,
    ".tiff": _tiff,
    ".tif": _tiff,
    ".png": _png,
}
