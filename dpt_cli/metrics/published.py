"""The figures that the papers print for the published weights, in our measures' units."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

_DPT_1 = "DPT, table 1"
_MIDAS = "MiDaS README"
# Data sets that MiDaS 3.1 was trained on besides its own.
_SEEN = ("kitti", "nyu")


@dataclass(frozen=True)
class Published:
    """A published figure and where it is printed."""

    value: float
    source: str
    # Digits after the point, as printed.
    decimals: int


def published(model: str, dataset: str, protocol: str) -> Mapping[str, Published]:
    """Return the published figures of a model on a data set, by measure; empty where none are.

    Args:
        model: A row's name with its task, such as `depth/hybrid`.
        dataset: A data set, such as `nyu`.
        protocol: `zero-shot` or `metric` for depth; `multi-scale` for segmentation.
    """
    return _FIGURES.get((model, dataset, protocol), {})


def all_published(model: str) -> Mapping[tuple[str, str], Mapping[str, Published]]:
    """Return all published figures of a model, by data set and protocol."""
    return {
        (dataset, protocol): figures
        for (name, dataset, protocol), figures in _FIGURES.items()
        if name == model
    }


def _of(source: str, **figures: str) -> dict[str, Published]:
    """Return figures given as printed, so that trailing zeros count."""
    return {
        name: Published(float(text), source, len(text.partition(".")[2]))
        for name, text in figures.items()
    }


def _zero_shot(
    model: str, source: str, diw: str, eth3d: str, sintel: str, kitti: str, nyu: str, tum: str
) -> dict[tuple[str, str, str], dict[str, Published]]:
    return {
        (model, "diw", "zero-shot"): _of(source, whdr=diw),
        (model, "eth3d", "zero-shot"): _of(source, abs_rel=eth3d),
        (model, "sintel", "zero-shot"): _of(source, abs_rel=sintel),
        (model, "kitti", "zero-shot"): _of(source, bad_pixels=kitti),
        (model, "nyu", "zero-shot"): _of(source, bad_pixels=nyu),
        (model, "tum", "zero-shot"): _of(source, bad_pixels=tum),
    }


def _trained_on_kitti_and_nyu(
    *models: dict[tuple[str, str, str], dict[str, Published]],
) -> dict[tuple[str, str, str], dict[str, Published]]:
    """Return figures with the source saying where they are not zero-shot."""
    return {
        key: {
            name: replace(it, source=f"{it.source}, trained on it") if key[1] in _SEEN else it
            for name, it in figures.items()
        }
        for model in models
        for key, figures in model.items()
    }


# AbsRel and WHDR with one digit more than DPT's table 1 has, from the README of isl-org/MiDaS.
_BOTH = f"{_DPT_1}; {_MIDAS}"
_FIGURES: Mapping[tuple[str, str, str], Mapping[str, Published]] = {
    **_zero_shot("depth/large", _BOTH, ".1082", ".0888", ".2697", "8.46", "8.32", "9.97"),
    **_zero_shot("depth/hybrid", _BOTH, ".1106", ".0934", ".2741", "11.56", "8.69", "10.89"),
    **_zero_shot("depth/midas-v21", _BOTH, ".1295", ".1155", ".3285", "16.08", "8.71", "12.51"),
    **_trained_on_kitti_and_nyu(
        _zero_shot(
            "depth/beit-large-512", _MIDAS, ".1137", ".0659", ".2366", "11.56", "1.86", "6.13"
        ),
        _zero_shot(
            "depth/beit-large-384", _MIDAS, ".1239", ".0667", ".2545", "9.84", "2.21", "7.17"
        ),
        _zero_shot(
            "depth/beit-base-384", _MIDAS, ".1159", ".0967", ".2901", "26.60", "3.91", "9.88"
        ),
    ),
    # What the released code measures; the paper's tables 2 and 3 have fewer columns, and AbsRel
    # .110 (NYU) and RMSE 2.573 m (KITTI).
    ("depth/hybrid-nyu", "nyu", "metric"): _of(
        "isl-org/DPT, EVALUATION.md",
        delta1="0.904",
        delta2="0.988",
        delta3="0.998",
        abs_rel="0.109",
        sq_rel="0.054",
        rmse="0.357",
        rmse_log="0.129",
        silog="9.521",
        log10="0.045",
    ),
    ("depth/hybrid-kitti", "kitti", "metric"): _of(
        "isl-org/DPT, EVALUATION.md",
        delta1="0.959",
        delta2="0.995",
        delta3="0.999",
        abs_rel="0.062",
        sq_rel="0.222",
        rmse="2.575",
        rmse_log="0.092",
        silog="8.282",
        log10="0.027",
    ),
    ("segment/hybrid", "ade20k", "multi-scale"): _of(
        "DPT, table 4", pixel_accuracy="83.11", mean_iou="49.02"
    ),
    ("segment/large", "ade20k", "multi-scale"): _of(
        "DPT, table 4", pixel_accuracy="82.70", mean_iou="47.63"
    ),
}
