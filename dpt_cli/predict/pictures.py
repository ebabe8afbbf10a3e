"""From a path, a PIL image, an array or a torch tensor to a photograph."""

import os
from pathlib import Path
from typing import Any, Protocol, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from dpt_cli.photos.decode import Photo, read_photo

RGB = npt.NDArray[np.uint8]
# PIL modes whose values are not 0 to 255. Converting them to RGB would clip them.
_DEEP_MODES = ("I", "F", "I;")


class PillowImage(Protocol):
    """A `PIL.Image.Image`."""

    @property
    def mode(self) -> str:
        """The kind of its pixels."""

    def getexif(self) -> Any:
        """Return its EXIF data."""


class Tensor(Protocol):
    """A `torch.Tensor`."""

    def detach(self) -> Any:
        """Return it without its gradient history."""

    def is_floating_point(self) -> bool:
        """Whether its values are floats."""


Picture: TypeAlias = Path | str | RGB | PillowImage | Tensor


def as_photo(picture: Picture) -> Photo:
    """Return a picture as a decoded photograph. Only a path brings a focal length with it.

    Args:
        picture: A path, read as the command does. A PIL image, turned upright by its EXIF; alpha
            is dropped. A uint8 array (H, W, 3) in RGB order. A torch tensor (3, H, W), uint8 or
            float in [0, 1]; floats are rounded to 8 bits.

    Raises:
        InputError: The path is not a readable picture.
        ValueError: The picture has another shape, type or range.
        TypeError: It is none of these.
    """
    if isinstance(picture, (str, os.PathLike)):
        return read_photo(picture)
    if isinstance(picture, np.ndarray):
        rgb = picture
        if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.size == 0:
            raise ValueError(f"expected uint8 (H, W, 3), got {rgb.dtype} {rgb.shape}")
        return Photo(rgb)
    if hasattr(picture, "detach"):
        return Photo(_from_tensor(cast("Tensor", picture)))
    if hasattr(picture, "getexif"):
        return Photo(_from_pillow(picture))
    raise TypeError(
        "expected a path, a PIL image, a uint8 array (H, W, 3), a torch tensor (3, H, W) or a "
        f"list of them, got {type(picture).__name__}"
    )


def _from_tensor(tensor: Tensor) -> RGB:
    is_float = tensor.is_floating_point()
    values = tensor.detach().cpu()
    # float32, because numpy has no bfloat16.
    planes: npt.NDArray[Any] = (values.float() if is_float else values).numpy()
    if planes.ndim != 3 or planes.shape[0] != 3 or planes.size == 0:
        raise ValueError(f"expected a tensor (3, H, W), got {planes.shape}")
    if is_float:
        low, high = planes.min(), planes.max()
        if not (low >= 0 and high <= 1):  # NaN neither
            raise ValueError(f"expected floats in 0 to 1, got {low:g} to {high:g}")
        planes = np.rint(planes * 255).astype(np.uint8)
    elif planes.dtype != np.uint8:
        raise ValueError(f"expected a tensor of uint8 or floats, got {planes.dtype}")
    return np.ascontiguousarray(planes.transpose(1, 2, 0))


def _from_pillow(image: Any) -> RGB:
    if image.mode.startswith(_DEEP_MODES):
        raise ValueError(
            f"a PIL image of mode {image.mode} has no white level: give the file's path, or "
            "convert it to RGB"
        )
    from PIL import ImageOps

    return np.array(ImageOps.exif_transpose(image).convert("RGB"))
