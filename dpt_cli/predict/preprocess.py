"""Turn a photograph into a network input: choose a size, resize, normalise."""

import math

import cv2
import numpy as np
import numpy.typing as npt

from dpt_cli.checkpoint.specs import InputSpec, Resize

_UNIT = np.arange(256) / 255.0
_STRIP_ROWS = 16
_STRIP_PIXELS = 2**18


def network_size(
    photo_hw: tuple[int, int],
    target_hw: tuple[int, int],
    multiple_of: int,
    resize: Resize = "minimal",
) -> tuple[int, int]:
    """Return the height and width the network sees, the aspect ratio being kept.

    Of the two factors that would bring a side to its target, one scales both sides: the one nearer
    to 1, on a tie the height's (`minimal`), the larger (`lower_bound`) or the smaller
    (`upper_bound`). Each side is then rounded, half to even, to the multiple, and is at least one
    multiple long. Where rounding crosses the bound, it goes the other way. With `exact` the size is
    the target's.

    Args:
        photo_hw: Size of the upright photograph [px].
        target_hw: Size to aim at [px].
        multiple_of: The patch's side or a multiple of it [px].
        resize: The rule.

    Source: isl-org/DPT, dpt/transforms.py `Resize.get_size`.
    """
    if resize == "exact":
        return target_hw
    height, width = photo_hw
    scale_h, scale_w = target_hw[0] / height, target_hw[1] / width
    if resize == "minimal":
        scale = scale_w if abs(1 - scale_w) < abs(1 - scale_h) else scale_h
    else:
        scale = max(scale_h, scale_w) if resize == "lower_bound" else min(scale_h, scale_w)

    def constrain(side_px: float, target_px: int) -> int:
        count = round(side_px / multiple_of)
        if resize == "upper_bound" and count * multiple_of > target_px:
            count = math.floor(side_px / multiple_of)
        if resize == "lower_bound" and count * multiple_of < target_px:
            count = math.ceil(side_px / multiple_of)
        return max(1, count) * multiple_of

    return constrain(scale * height, target_hw[0]), constrain(scale * width, target_hw[1])


def network_input(
    rgb: npt.NDArray[np.uint8], network_hw: tuple[int, int], spec: InputSpec
) -> npt.NDArray[np.float32]:
    """Resize and normalise a photograph.

    Args:
        rgb: uint8 (H, W, 3).
        network_hw: Height and width wanted [px].
        spec: Interpolation, and mean and standard deviation of RGB in [0, 1].

    Returns:
        float32 (3, h, w), normalised; cubic overshoot is kept, not clipped.

    Raises:
        MemoryError: It does not fit.

    Source: isl-org/DPT, run_monodepth.py: `/ 255.0`, `Resize(INTER_CUBIC)`, `NormalizeImage`.
    """
    by_area = spec.interpolation == "area" and network_hw[0] < rgb.shape[0]
    try:
        if spec.interpolation == "pillow_bilinear":
            image = _resized_by_pillow(rgb, network_hw)
        else:
            image = _shrunk_by_area(rgb, network_hw) if by_area else _resized_cubic(rgb, network_hw)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError from error
        raise
    image = (image - spec.mean) / spec.std
    return np.ascontiguousarray(image.transpose(2, 0, 1), np.float32)  # (3, h, w)


def _resized_cubic(
    rgb: npt.NDArray[np.uint8], network_hw: tuple[int, int]
) -> npt.NDArray[np.float64]:
    """Return `cv2.resize(rgb / 255.0, INTER_CUBIC)`, float64 (h, w, 3), bit for bit.

    OpenCV wants the whole photograph in float64, 24 bytes per pixel; an output pixel reads only
    16 of them. On 12 megapixels this takes half of OpenCV's time.
    """
    # parity: resized in float64. OpenCV's float32 resize is off by up to 2e-5, and resizing uint8
    # would round and clip the overshoot away.
    height, width = network_hw
    row_taps, row_weights = _cubic_taps(height, rgb.shape[0])
    column_taps, column_weights = _cubic_taps(width, rgb.shape[1])
    # Of a row's values, red, green and blue side by side.
    value_taps = (3 * column_taps.T[:, :, np.newaxis] + np.arange(3)).reshape(4, -1)
    value_weights = column_weights.T.repeat(3, axis=1)  # (4, 3 w)
    resized = np.empty((height, 3 * width))
    for start in range(0, height, _STRIP_ROWS):
        strip = slice(start, start + _STRIP_ROWS)
        rows, position = np.unique(row_taps[strip], return_inverse=True)
        position = position.reshape(-1, 4)
        source = rgb[rows].reshape(len(rows), -1)  # (R, 3 W)
        across = np.zeros((len(rows), 3 * width))
        for taps, weights in zip(value_taps, value_weights, strict=True):
            across += cv2.LUT(source.take(taps, axis=1), _UNIT) * weights
        resized[strip] = across[position[:, 0]] * row_weights[strip, :1]
        for tap in range(1, 4):
            resized[strip] += across[position[:, tap]] * row_weights[strip, tap, np.newaxis]
    return resized.reshape(height, width, 3)


def _resized_by_pillow(
    rgb: npt.NDArray[np.uint8], network_hw: tuple[int, int]
) -> npt.NDArray[np.float64]:
    """Return the photograph in [0, 1], float64 (h, w, 3), resized as transformers does.

    parity: as 8 bits, which rounds; the filter grows with the photograph, unlike OpenCV's.

    Source: huggingface/transformers, image_processing_dpt.py, `resample=PIL.Image.BILINEAR`.
    """
    from PIL import Image

    resized = Image.fromarray(rgb).resize(network_hw[::-1], Image.Resampling.BILINEAR)
    pixels: npt.NDArray[np.float64] = _UNIT[np.asarray(resized)]
    return pixels


def _cubic_taps(
    size: int, source_size: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Return which four source pixels make each output pixel, and their weights, both (size, 4).

    parity: positions and weights in float32, as OpenCV computes them even for float64 pixels.

    Source: OpenCV, modules/imgproc/src/resize.cpp, `interpolateCubic`.
    """
    a, one = np.float32(-0.75), np.float32(1)
    position = ((np.arange(size) + 0.5) * (source_size / size) - 0.5).astype(np.float32)
    first = np.floor(position)
    x = position - first
    weights = np.empty((size, 4), np.float32)
    weights[:, 0] = ((a * (x + one) - 5 * a) * (x + one) + 8 * a) * (x + one) - 4 * a
    weights[:, 1] = ((a + 2) * x - (a + 3)) * x * x + 1
    weights[:, 2] = ((a + 2) * (one - x) - (a + 3)) * (one - x) * (one - x) + 1
    weights[:, 3] = one - weights[:, 0] - weights[:, 1] - weights[:, 2]
    taps = first.astype(np.intp)[:, np.newaxis] + np.arange(-1, 3)
    return taps.clip(0, source_size - 1), weights.astype(np.float64)


def _shrunk_by_area(
    rgb: npt.NDArray[np.uint8], network_hw: tuple[int, int]
) -> npt.NDArray[np.float64]:
    """Return `cv2.resize(rgb / 255.0, INTER_AREA)`, float64 (h, w, 3), to 4e-16.

    Averages along the rows first, some rows at a time: the whole photograph in float64 would take
    24 bytes per pixel.
    """
    width = network_hw[1]
    num_rows, num_columns = rgb.shape[:2]
    if width > num_columns:
        # Where one side grows, OpenCV does not average.
        return _resize_whole(cv2.LUT(rgb, _UNIT), network_hw)
    across = np.empty((num_rows, width, 3))
    step = max(1, _STRIP_PIXELS // num_columns)
    for start in range(0, num_rows, step):
        strip = cv2.LUT(rgb[start : start + step], _UNIT)
        across[start : start + step] = _resize_whole(strip, (len(strip), width))
    return _resize_whole(across, network_hw)


def _resize_whole(image: "cv2.typing.MatLike", size_hw: tuple[int, int]) -> npt.NDArray[np.float64]:
    resized = cv2.resize(image, size_hw[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(resized, np.float64)
