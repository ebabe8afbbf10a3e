"""Fills weights and images by formula: the same numbers on every machine and torch version.

Only needs numpy, so that it can also fill the authors' networks, which need an old timm.
"""

import re
import zlib
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

# A prime period keeps two rows of one matrix from ever being equal.
_PERIOD = 1_000_003
_DAMPING = 0.25

Array = npt.NDArray[np.float32]


def _splitmix64(index: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    with np.errstate(over="ignore"):
        z = (index + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


_BITS = _splitmix64(np.arange(_PERIOD, dtype=np.uint64)) >> np.uint64(40)
# Uniform with mean 0 and variance 1.
_TABLE: Array = ((_BITS.astype(np.float64) / 2**23 - 1.0) * np.sqrt(3.0)).astype(np.float32)


def noise(name: str, shape: tuple[int, ...]) -> Array:
    """Return zero-mean, unit-variance values that depend on name and shape alone."""
    size = int(np.prod(shape))
    offset = zlib.crc32(name.encode()) % _PERIOD
    return np.resize(np.roll(_TABLE, -offset), size).reshape(shape)


# The last layer of each residual branch, damped as training damps it.
_BRANCH_END = re.compile(
    r"\.attn\.proj\.|\.mlp\.fc2\.|\.blocks\.\d+\.norm3\.weight|\.resConfUnit[12]\.conv2\."
    r"|\.output\.dense\.|\.bn3\.weight|\.residual_layer[12]\.convolution2\."
)
# Norms, and the scales that end residual branches; all have one axis.
_SCALE = re.compile(r"(\.weight|\.gamma|gamma_\d|\.lambda1|lambda_\d)$")
# The depth head's last layer, in each layout.
_LAST = re.compile(r"(scratch\.output_conv\.4|output_conv2\.2|head\.head\.4|head\.conv3)\.")
_STANDARDISED = re.compile(r"patch_embed\.backbone\.(stem|stages)\..*conv\d?\.weight$")
_TRANSPOSED = re.compile(r"act_postprocess[12]\.4\.weight$")
_AFTER_RELU = re.compile(r"resConfUnit\d\.conv\d\.weight$|output_conv\.[24]\.weight$")


def parameter(name: str, shape: tuple[int, ...], output_gain: float = 1.0) -> Array:
    """Return one parameter, given its name and shape in a published file."""
    values = noise(name, shape)
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    if name.endswith("running_var"):
        return 1.0 + 0.2 * values
    if name.endswith("running_mean"):
        return 0.1 * values
    if name.endswith(("pos_embed", "cls_token", "position_embeddings")):
        return 0.3 * values
    if len(shape) == 1 and _SCALE.search(name):
        result = 1.0 + 0.1 * values
    elif name.endswith("bias"):
        result = 0.05 * values
    elif _STANDARDISED.search(name):
        # Channels of unequal spread: otherwise the norm that follows hides the epsilon.
        spread = np.exp(noise(name + "/spread", (shape[0], 1, 1, 1))) * 0.01
        result = spread * values + 0.2 * spread
    else:
        fan_in = shape[0] if _TRANSPOSED.search(name) else int(np.prod(shape[1:]))
        gain = np.sqrt(2.0) if _AFTER_RELU.search(name) else 1.0
        result = values * np.float32(gain / np.sqrt(fan_in))
    if _BRANCH_END.search(name):
        result = _DAMPING * result
    is_last = bool(_LAST.search(name)) and shape[0] == 1
    if is_last and name.endswith("bias"):
        result = np.full(shape, 0.7, np.float32)
    if is_last and name.endswith("weight"):
        # A positive mean: it weighs what a ReLU put out, and depth is to be mostly positive.
        result = result + np.float32(0.6 * np.sqrt(2.0 / shape[1]))
    if is_last:
        result = output_gain * result
    return np.ascontiguousarray(result, np.float32)


def state_dict(
    shapes: Mapping[str, tuple[int, ...]], output_gain: float = 1.0
) -> Iterator[tuple[str, Array]]:
    """Yield every parameter of a published file."""
    for name, shape in shapes.items():
        yield name, parameter(name, shape, output_gain)


def image(size_hw: tuple[int, int], batch: int = 1) -> Array:
    """Return a network input, float32 (batch, 3, h, w), about [-1, 1]: waves and noise."""
    height, width = size_hw
    y = np.linspace(0.0, 1.0, height, dtype=np.float64)[:, None]
    x = np.linspace(0.0, 1.0, width, dtype=np.float64)[None, :]
    planes = [
        0.6 * np.sin((3 + c + b) * np.pi * x + (2 * c + 1) * np.pi * y)
        for b in range(batch)
        for c in range(3)
    ]
    waves = np.stack(planes).reshape(batch, 3, height, width).astype(np.float32)
    return waves + 0.2 * noise("image", waves.shape)
