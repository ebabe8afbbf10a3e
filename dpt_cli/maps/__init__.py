"""The results: arrays that say what their numbers mean."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dpt_cli.maps.types import DepthMap, LabelMap, Quantity

__all__ = ["DepthMap", "LabelMap", "Quantity"]


def __getattr__(name: str) -> Any:
    # Lazily: the command line lists ADE20K's classes and needs no numpy for that.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from dpt_cli.maps import types

    return getattr(types, name)
