"""Which pixels of a measured depth map count: its range and the crops of the benchmarks."""

import numpy as np
import numpy.typing as npt

from dpt_cli.metrics.protocol import Crop

# Of height and width: top, bottom, left, right.
_GARG = (0.40810811, 0.99189189, 0.03594771, 0.96405229)
_EIGEN_KITTI = (0.3324324, 0.91351351, 0.0359477, 0.96405229)
_NYU_HW = (480, 640)
_KITTI_BENCHMARK_HW = (352, 1216)


def valid_pixels(
    truth_m: npt.NDArray[np.floating],
    *,
    min_m: float = 0.0,
    max_m: float = np.inf,
    crop: Crop = "none",
) -> npt.NDArray[np.bool_]:
    """Return which pixels count, bool (H, W): min < truth < max, inside the crop.

    Args:
        truth_m: Depth (H, W) [m]; NaN, infinity, zero and less are no measurement.
        min_m: Depths up to here do not count [m].
        max_m: Depths from here on do not count [m].
        crop: The part of the picture that counts.

    Raises:
        ValueError: The crop does not fit a picture of this size.

    Source: cogaplex-bts/bts, utils/eval_with_pngs.py: both limits are excluded.
    """
    with np.errstate(invalid="ignore"):
        is_measured = np.isfinite(truth_m) & (truth_m > max(min_m, 0.0)) & (truth_m < max_m)
    rows, columns = crop_slices(crop, (truth_m.shape[0], truth_m.shape[1]))
    counts = np.zeros(truth_m.shape, np.bool_)
    counts[rows, columns] = is_measured[rows, columns]
    return counts


def crop_slices(crop: Crop, hw: tuple[int, int]) -> tuple[slice, slice]:
    """Return the rows and columns of a crop in a picture of a size [px].

    - `garg`, `eigen-kitti`: shares of the height and width (Garg et al. 2016, Eigen et al. 2014).
    - `eigen-nyu`: rows 45 to 470 and columns 41 to 600 of 480 by 640.
    - `kitti-benchmark`: 352 by 1216 pixels at the bottom, centred.

    Raises:
        ValueError: The crop does not fit a picture of this size.

    Source: cogaplex-bts/bts, utils/eval_with_pngs.py (`garg_crop`, `eigen_crop`, `do_kb_crop`).
    """
    height, width = hw
    if crop in ("garg", "eigen-kitti"):
        top, bottom, left, right = _GARG if crop == "garg" else _EIGEN_KITTI
        rows = slice(int(top * height), int(bottom * height))
        return rows, slice(int(left * width), int(right * width))
    if crop == "eigen-nyu":
        if hw != _NYU_HW:
            raise ValueError(
                f"the NYU crop is one of 640 by 480 pixels, not of {width} by {height}"
            )
        return slice(45, 471), slice(41, 601)
    if crop == "kitti-benchmark":
        crop_height, crop_width = _KITTI_BENCHMARK_HW
        top, left = height - crop_height, (width - crop_width) // 2
        if top < 0 or left < 0:
            raise ValueError(
                f"a picture of {width} by {height} pixels is smaller than the KITTI benchmark's "
                "crop of 1216 by 352"
            )
        return slice(top, height), slice(left, left + crop_width)
    return slice(0, height), slice(0, width)
