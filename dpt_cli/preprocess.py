"""A photograph to a network input: size, resize, normalise. numpy and OpenCV only."""

import cv2
import numpy as np
import numpy.typing as npt

from dpt_cli.model.config import PATCH_SIZE
from dpt_cli.specs import InputSpec

_UNIT = np.arange(256) / 255.0


def network_size(
    photo_hw: tuple[int, int], target_hw: tuple[int, int], multiple_of: int = PATCH_SIZE
) -> tuple[int, int]:
    """Return the height and width the network sees: the "minimal" rule, aspect ratio kept.

    Of the two factors that would bring a side to its target, the one nearer to 1 scales both; on
    a tie the height's. Each side is then rounded, half to even, to the multiple, and is at least
    one multiple long.

    Args:
        photo_hw: Size of the upright photograph [px].
        target_hw: Size to aim at [px].
        multiple_of: 16 (the patch) or a multiple of it; 32 gives the authors' sizes.

    Source: isl-org/DPT, dpt/transforms.py `Resize.get_size`, `resize_method="minimal"`.
    """
    height, width = photo_hw
    scale_h, scale_w = target_hw[0] / height, target_hw[1] / width
    scale = scale_w if abs(1 - scale_w) < abs(1 - scale_h) else scale_h

    def constrain(side_px: float) -> int:
        return max(1, round(side_px / multiple_of)) * multiple_of

    return constrain(scale * height), constrain(scale * width)


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
    height, width = network_hw
    shrinks = height < rgb.shape[0]
    by_area = spec.interpolation == "area" and shrinks
    how = cv2.INTER_AREA if by_area else cv2.INTER_CUBIC
    # parity: resized in float64. OpenCV's float32 resize is off by up to 2e-5, and resizing uint8
    # would round and clip the overshoot away.
    try:
        image = cv2.resize(cv2.LUT(rgb, _UNIT), (width, height), interpolation=how)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError from error
        raise
    image = (image - spec.mean) / spec.std
    return np.ascontiguousarray(image.transpose(2, 0, 1), np.float32)  # (3, h, w)
