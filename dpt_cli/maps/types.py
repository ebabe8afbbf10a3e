"""The results: arrays that know what their numbers mean.

A map is in the frame of the upright photograph. Nothing here reads, writes or computes depth.
"""

import io
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
import numpy.typing as npt

from dpt_cli.maps.calibration import Calibration
from dpt_cli.maps.camera import Camera
from dpt_cli.version import __version__

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from PIL.Image import Image

# A notebook shows a map at most this wide and high.
_SHOWN_PX = 1024
# The legend of a plot leaves out classes that cover less.
_MIN_SHARE = 0.01

Quantity = Literal["inverse_depth", "depth"]


@dataclass(frozen=True)
class Provenance:
    """What made a map, and from what. Empty text and None stand for unknown.

    Attributes:
        weights: The weights in words, e.g. `depth/hybrid from my_copy.pt, sha256 ...`.
        network_hw: Height and width the network saw [px].
        precision: The arithmetic: `fp32`, `fp16`, `bf16` or `int8`.
        model: The name of the model, e.g. `depth/hybrid`.
        weights_sha256: SHA-256 of the weights file, 64 hex digits.
        engine: `torch` or `openvino`.
        photograph: The photograph's file name, without its folder.
        photo_hw: Height and width of the upright photograph [px].
        protocol: `hub` where the photograph was prepared as its repository on the Hub does, rather
            than as the authors do.
        dpt: The version of dpt.
    """

    weights: str = ""
    network_hw: tuple[int, int] | None = None
    precision: str = ""
    model: str | None = None
    weights_sha256: str | None = None
    engine: str | None = None
    photograph: str | None = None
    photo_hw: tuple[int, int] | None = None
    protocol: str | None = None
    dpt: str | None = __version__


class _WithProvenance:
    """What depth maps and label maps have in common."""

    provenance: Provenance

    @property
    def weights(self) -> str:
        """Return the weights that made it, in words."""
        return self.provenance.weights

    @property
    def network_hw(self) -> tuple[int, int] | None:
        """Return the height and width the network saw [px]."""
        return self.provenance.network_hw

    @property
    def precision(self) -> str:
        """Return the arithmetic that made it."""
        return self.provenance.precision

    def made_from(self, photograph: str) -> Self:
        """Return the same map with the file name of its photograph."""
        provenance = replace(self.provenance, photograph=photograph)
        return replace(self, provenance=provenance)  # type: ignore[type-var]  # a dataclass below


@dataclass(frozen=True)
class DepthMap(_WithProvenance):
    """A depth map in the photograph's frame.

    Attributes:
        values: float32 (H, W). Inverse depth (unitless, unknown scale and shift, larger is
            nearer) or depth [m] (smaller is nearer), as `quantity` says. Never normalised.
        quantity: `"inverse_depth"` or `"depth"`.
        provenance: What made it.
        calibration: How relative values became metres; None where they did not.
        camera: The camera, where it is known.
        rounded_to: The difference of two neighbouring values in a 16-bit file that the map was
            read from, after calibration that of the farthest values; None where there was none.
    """

    values: npt.NDArray[np.float32]
    quantity: Quantity
    provenance: Provenance = Provenance()
    calibration: Calibration | None = None
    camera: Camera | None = None
    rounded_to: float | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Return its height and width [px]."""
        return self.values.shape

    @property
    def is_stretched(self) -> bool:
        """Whether its shape is not the photograph's, so that its pixels are not square."""
        height, width = self.values.shape
        photo_height, photo_width = self.provenance.photo_hw or (height, width)
        # Sides are rounded, so the shapes may differ by a pixel.
        gap = abs(width * photo_height - height * photo_width)
        return bool(gap > max(photo_height, photo_width))

    @property
    def is_metric(self) -> bool:
        """Whether the values are metres."""
        return self.quantity == "depth"

    @property
    def unit(self) -> str:
        """Return `m`, or `relative` where scale and shift are unknown."""
        return "m" if self.is_metric else "relative"

    @property
    def nearness(self) -> npt.NDArray[np.float32]:
        """Return values that grow towards the camera, float32 (H, W): depth is negated."""
        return -self.values if self.is_metric else self.values

    @cached_property
    def span(self) -> tuple[float, float] | None:
        """Return the least and the greatest finite value; None where no value is finite."""
        if not self.values.size:
            return None
        ends = self.values.min(), self.values.max()  # NaN where there is one
        if not np.isfinite(ends).all():
            finite = self.values[np.isfinite(self.values)]
            if not finite.size:
                return None
            ends = finite.min(), finite.max()
        return float(ends[0]), float(ends[1])

    def to_pil(self, colormap: str = "inferno", *, invert: bool = False) -> "Image":
        """Return the map in colours, near bright, as the command's colour file has it.

        Args:
            colormap: Any name that matplotlib knows.
            invert: Whether far is bright.

        Raises:
            InputError: Matplotlib has no colormap of this name.
        """
        from PIL import Image

        from dpt_cli.maps.colormaps import colormap_table
        from dpt_cli.maps.paint import painted_depth

        table = colormap_table(colormap)
        nearer = not self.is_metric
        rgb = painted_depth(self.values, self.span, table, larger_is_nearer=nearer, invert=invert)
        return Image.fromarray(rgb)

    def plot(self, ax: "Axes | None" = None, colormap: str = "inferno") -> "Axes":
        """Draw the map with a bar of its values, near bright; return the axes.

        Args:
            ax: Where to draw; None for a figure of its own.
            colormap: Any name that matplotlib knows.
        """
        ax = ax or _new_axes()
        base, reverse = colormap.removesuffix("_r"), colormap.endswith("_r")
        # Of metres the least are nearest.
        name = base if reverse == self.is_metric else f"{base}_r"
        image = ax.imshow(self.values, cmap=name)
        label = "depth [m]" if self.is_metric else "relative inverse depth, larger is nearer"
        ax.figure.colorbar(image, ax=ax, label=label)
        ax.set_axis_off()
        return ax

    def _repr_png_(self) -> bytes:
        """Return what a notebook shows: the map in colours."""
        return _shown(self.to_pil())


@dataclass(frozen=True)
class LabelMap(_WithProvenance):
    """A class for every pixel of the photograph.

    Attributes:
        labels: uint8 (H, W), zero-based ADE20K class indices, 0 to 149.
        provenance: What made it.
    """

    labels: npt.NDArray[np.uint8]
    provenance: Provenance = Provenance()

    @property
    def shape(self) -> tuple[int, ...]:
        """Return its height and width [px]."""
        return self.labels.shape

    def to_pil(self, classes: Collection[int] | None = None) -> "Image":
        """Return the map in ADE20K's colours.

        Args:
            classes: Zero-based classes to paint, others are black; None for all.
        """
        from PIL import Image

        from dpt_cli.maps.paint import painted_labels

        return Image.fromarray(painted_labels(self.labels, classes))

    def plot(self, ax: "Axes | None" = None, classes: Collection[int] | None = None) -> "Axes":
        """Draw the map with a legend of its largest classes; return the axes.

        Args:
            ax: Where to draw; None for a figure of its own.
            classes: Zero-based classes to paint, others are black; None for all.
        """
        from matplotlib.patches import Patch

        from dpt_cli.maps.ade20k import COLORS, NAMES
        from dpt_cli.maps.paint import selected

        ax = ax or _new_axes()
        ax.imshow(np.asarray(self.to_pil(classes)))
        counts = np.bincount(self.labels.ravel(), minlength=256) * selected(classes)
        order = np.argsort(-counts, kind="stable")[: len(NAMES)]
        least = max(1, _MIN_SHARE * self.labels.size)
        patches = []
        for index in order[counts[order] >= least]:
            red, green, blue = (level / 255 for level in COLORS[index])
            patches.append(Patch(color=(red, green, blue), label=NAMES[index]))
        if patches:
            ax.legend(handles=patches, loc="center left", bbox_to_anchor=(1, 0.5))
        ax.set_axis_off()
        return ax

    def _repr_png_(self) -> bytes:
        """Return what a notebook shows: the map in ADE20K's colours."""
        return _shown(self.to_pil())


def _new_axes() -> "Axes":
    import matplotlib.pyplot as plt

    axes: Axes = plt.subplots(layout="constrained")[1]
    return axes


def _shown(image: "Image") -> bytes:
    from PIL.Image import Resampling

    # Nearest: a class has no colour between two others.
    image.thumbnail((_SHOWN_PX, _SHOWN_PX), resample=Resampling.NEAREST)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
