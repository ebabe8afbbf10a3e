"""Turn a raw network output into a map of the photograph's size."""

import numpy as np
import numpy.typing as npt

from dpt_cli.checkpoint.specs import Enlarging, OutputSpec

_CUBIC_A = -0.75  # the coefficient of torch's and OpenCV's bicubic kernels
# No interpolated value leaves the range of its 4 x 4 neighbours by more than this share of the
# range: the sum of the negative weights, largest half-way between pixels, where the weights are
# (-3/32, 19/32, 19/32, -3/32) each way.
_CUBIC_OVERSHOOT = ((22 / 16) ** 2 - 1) / 2
_TILE_PX = 64


def resize_depth(
    raw: npt.NDArray[np.float32], photo_hw: tuple[int, int], output: OutputSpec
) -> npt.NDArray[np.float32]:
    """Bring a raw depth output to the photograph's size, in metres where the weights are metric.

    Args:
        raw: float32 (h, w), the network's output, unitless, >= 0.
        photo_hw: Size of the photograph [px].
        output: What the numbers mean.

    Returns:
        float32 (H, W): inverse depth, unitless, larger is nearer; or depth [m].

    Source: isl-org/DPT, run_monodepth.py: bicubic, align_corners=False, after the inversion;
        DepthAnything/Depth-Anything-V2, depth_anything_v2/dpt.py: bilinear, align_corners=True.
    """
    values = raw
    if output.quantity == "depth":
        values = to_metres(values, output)
    resized = np.empty(photo_hw, np.float32)
    column_tiles = _tiles(photo_hw[1], values.shape[1], output.interpolation)
    for rows, source_rows, row_weights in _tiles(
        photo_hw[0], values.shape[0], output.interpolation
    ):
        strip = row_weights @ values[source_rows]  # (R, w)
        for columns, source_columns, column_weights in column_tiles:
            # parity: not clipped; the cubic overshoot is part of the authors' result.
            resized[rows, columns] = strip[:, source_columns] @ column_weights.T
    return resized


def to_metres(raw: npt.NDArray[np.float32], output: OutputSpec) -> npt.NDArray[np.float32]:
    """Return depth [m] for the raw output of metric weights, any shape.

    Source: isl-org/DPT, dpt/models.py `DPTDepthModel.forward`, `invert=True`;
        DepthAnything/Depth-Anything-V2, metric_depth/depth_anything_v2/dpt.py.
    """
    depth: npt.NDArray[np.float32] = output.scale * raw + output.shift
    if output.inverted:
        return np.reciprocal(np.maximum(depth, 1e-8))
    return depth


def resize_labels(
    logits: npt.NDArray[np.float32],
    photo_hw: tuple[int, int],
    interpolation: Enlarging = "bicubic",
) -> npt.NDArray[np.uint8]:
    """Interpolate logits to the photograph's size and take the best class of each pixel.

    The same labels as interpolation of all logits (align_corners=False) and argmax, one tile at a
    time: a photograph of 50 megapixels would need 30 GB at once. In each tile only the classes that
    can win, by the bounds of cubic interpolation, are interpolated.

    Args:
        logits: float32 (num_classes, h, w), at most 256 classes.
        photo_hw: Size of the photograph [px].
        interpolation: How the logits are interpolated.

    Returns:
        uint8 (H, W), zero-based class indices.

    Source: isl-org/DPT, run_segmentation.py.
    """
    source = np.ascontiguousarray(logits.transpose(1, 2, 0))  # (h, w, K)
    labels = np.empty(photo_hw, np.uint8)
    row_tiles = _tiles(photo_hw[0], source.shape[0], interpolation)
    column_tiles = _tiles(photo_hw[1], source.shape[1], interpolation)
    for rows, source_rows, row_weights in row_tiles:
        for columns, source_columns, column_weights in column_tiles:
            tile = source[source_rows, source_columns]  # (r, c, K)
            classes = _possible_winners(tile)
            if len(classes) == 1:
                labels[rows, columns] = classes[0]
                continue
            values = np.tensordot(row_weights, tile[:, :, classes], axes=1)  # (R, c, k)
            values = column_weights @ values  # (R, C, k)
            labels[rows, columns] = classes[values.argmax(-1)]
    return labels


def _possible_winners(tile: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Return the indices of the classes that can be largest somewhere in a tile (r, c, K)."""
    low, high = tile.min((0, 1)), tile.max((0, 1))
    overshoot = _CUBIC_OVERSHOOT * (high - low)
    surely_reached = (low - overshoot).max()
    # Rounding may cost a class that ties to the last bit; a thousandth is far more than that.
    margin = 1e-3 * np.abs((low, high)).max()
    return np.flatnonzero(high + overshoot + margin >= surely_reached).astype(np.uint8)


def _tiles(
    size: int, source_size: int, interpolation: Enlarging = "bicubic"
) -> list[tuple[slice, slice, npt.NDArray[np.float32]]]:
    """Cut one axis into tiles.

    Returns:
        For each tile: where it lies, which source pixels it needs, and the (pixels, source
        pixels) matrix of the interpolation's weights, edges repeated.
    """
    if interpolation == "bilinear_corners":
        position = np.arange(size) * ((source_size - 1) / max(1, size - 1))
    else:
        position = (np.arange(size) + 0.5) * (source_size / size) - 0.5
    if interpolation == "bicubic":
        taps = np.floor(position)[:, None] + np.arange(-1, 3)  # (size, 4)
        weights = _cubic_kernel(position[:, None] - taps)
    else:
        taps = np.floor(position)[:, None] + np.arange(2)  # (size, 2)
        weights = 1 - np.abs(position[:, None] - taps)
    taps = taps.clip(0, source_size - 1).astype(np.intp)
    tiles = []
    for start in range(0, size, _TILE_PX):
        end = min(start + _TILE_PX, size)
        low, high = taps[start].min(), taps[end - 1].max() + 1
        matrix = np.zeros((end - start, high - low))
        np.add.at(
            matrix, (np.arange(end - start)[:, None], taps[start:end] - low), weights[start:end]
        )
        tiles.append((slice(start, end), slice(low, high), matrix.astype(np.float32)))
    return tiles


def _cubic_kernel(distance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Weight of a pixel at that distance (Keys 1981, with the coefficient above)."""
    a, x = _CUBIC_A, np.abs(distance)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))
