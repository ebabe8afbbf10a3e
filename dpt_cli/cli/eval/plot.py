"""An evaluation drawn: what resolution costs, and which classes are taken for which."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dpt_cli.cli.eval.measurement import LABELS
from dpt_cli.evaluation.summary import Result
from dpt_cli.maps.ade20k import NAMES

_DOTS_PER_INCH = 120
_REFERENCE_PX = 384
_MAX_CLASSES = 40


def draw_resolutions(results: Sequence[Result], measure: str) -> npt.NDArray[np.uint8]:
    """Return the plot of DPT's figure 4, uint8 (H, W, 3).

    The error of each model relative to that at 384 px [%], or at its first resolution where 384 was
    not measured.

    Args:
        results: At several resolutions.
        measure: A measure of which less is better, or one of the shares δ1 to δ3, which are drawn
            as one minus the share.
    """
    lines: dict[str, list[Result]] = {}
    for result in results:
        lines.setdefault(result.model, []).append(result)
    figure = Figure(figsize=(7, 4.8), dpi=_DOTS_PER_INCH, layout="constrained")
    axes = figure.subplots()
    for model, line in lines.items():
        sides = [min(result.resolution or (0, 0)) for result in line]
        errors = np.array([_error(result, measure) for result in line])
        at = sides.index(_REFERENCE_PX) if _REFERENCE_PX in sides else 0
        change = 100 * (errors / errors[at] - 1)
        axes.plot(sides, change, marker="o", label=f"{model}, relative to {sides[at]} px")
    axes.set_xlabel("resolution [px]")
    label = LABELS[measure].partition(" [")[0]
    error = f"1 − {label}" if measure.startswith("delta") else label
    axes.set_ylabel(f"change of {error} [%]")
    axes.axhline(0, color="grey", linewidth=0.8)
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize="small")
    return _pixels(figure)


def draw_confusion(result: Result) -> npt.NDArray[np.uint8]:
    """Return the confusion matrix of the largest classes, uint8 (H, W, 3).

    Each row is a true class, the share of its pixels that got each class.
    """
    counts = result.counts()
    largest = np.argsort(-counts.sum(1), kind="stable")[:_MAX_CLASSES]
    largest = largest[counts.sum(1)[largest] > 0]
    shares = counts[np.ix_(largest, largest)] / counts.sum(1)[largest, np.newaxis]
    figure = Figure(figsize=(11, 10), dpi=_DOTS_PER_INCH, layout="constrained")
    axes = figure.subplots()
    drawn = axes.imshow(shares, vmin=0, vmax=1, cmap="viridis")
    names = [NAMES[index] for index in largest]
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize="x-small")
    axes.set_yticks(range(len(names)), names, fontsize="x-small")
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class, largest first")
    axes.set_title(
        f"{result.title}: share of each true class's pixels, at most {_MAX_CLASSES} classes",
        fontsize="medium",
    )
    figure.colorbar(drawn, ax=axes, shrink=0.7)
    return _pixels(figure)


def _error(result: Result, measure: str) -> float:
    value = result.mean(measure)
    return 1 - value if measure.startswith("delta") else value


def _pixels(figure: Figure) -> npt.NDArray[np.uint8]:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]  # matplotlib 3.11
    pixels = np.array(canvas.buffer_rgba(), np.uint8)[..., :3]  # type: ignore[no-untyped-call]
    return np.ascontiguousarray(pixels)
