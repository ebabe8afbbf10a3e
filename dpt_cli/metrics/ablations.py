"""The figures of DPT's ablations (tables 6 to 9) that concern each architecture."""

from collections.abc import Mapping
from dataclasses import dataclass

_CAPTION = "relative absolute deviation after affine alignment on HRWSI, BlendedMVS and ReDWeb"


@dataclass(frozen=True)
class Ablation:
    """One line of a table.

    Attributes:
        table: The table's number.
        variant: What the line is of.
        figures: The figures as printed.
        note: What is wrong or unclear about them; empty where nothing is.
    """

    table: int
    variant: str
    figures: str
    note: str = ""


MEANING: Mapping[int, str] = {
    6: f"{_CAPTION}, and their mean: where the taps are",
    7: f"{_CAPTION}, and their mean: how the readout token enters",
    8: f"{_CAPTION}, and their mean: encoders",
    9: "parameters, and time at 384 by 384 on an RTX 2080: the mean of 400 runs",
}

_BASE = (
    Ablation(6, "layers 3, 6, 9, 12 (used)", ".0793 .0780 .0892, mean .0822"),
    Ablation(6, "layers 6, 8, 10, 12", ".0801 .0789 .0904, mean .0831"),
    Ablation(6, "layers 9, 10, 11, 12", ".0805 .0766 .0912, mean .0828"),
    Ablation(7, "Ignore", ".0793 .0780 .0892, mean .0822"),
    Ablation(7, "Add", ".0799 .0789 .0904, mean .0831"),
    Ablation(7, "Project (used)", ".0797 .0764 .0895, mean .0819"),
    Ablation(8, "ViT-Base", ".0797 .0764 .0895, mean .0819"),
    Ablation(9, "DPT-Base", "112 M, 17 ms"),
)
_HYBRID = (
    Ablation(6, "layers 3, 6, 9, 12", ".0747 .0748 .0865, mean .0787"),
    Ablation(
        6,
        "stages R0, R1 and layers 9, 12 (used)",
        ".0742 .0751 .0857, mean .0733",
        "a typo: the three average .0783",
    ),
    Ablation(8, "ViT-Hybrid", ".0738 .0746 .0864, mean .0783"),
    Ablation(9, "DPT-Hybrid", "123 M, 38 ms"),
)
_LARGE = (
    Ablation(8, "ViT-Large", ".0740 .0747 .0846, mean .0778"),
    Ablation(9, "DPT-Large", "343 M, 35 ms"),
)
_MIDAS = (
    Ablation(8, "ResNext101-WSL", ".0780 .0751 .0886, mean .0806"),
    Ablation(9, "MiDaS", "105 M, 32 ms"),
)

ABLATIONS: Mapping[str, tuple[Ablation, ...]] = {
    "base-depth": _BASE,
    "hybrid-depth": _HYBRID,
    "hybrid-segmentation": _HYBRID,
    "large-depth": _LARGE,
    "large-segmentation": _LARGE,
    "midas-v21": _MIDAS,
}
"""By the name of an architecture. Source: DPT (arXiv:2103.13413), tables 6 to 9."""
