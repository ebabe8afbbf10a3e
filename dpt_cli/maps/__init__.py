"""The results: arrays that say what their numbers mean."""

from dpt_cli.maps.types import DepthMap, LabelMap, Quantity

__all__ = ["DepthMap", "LabelMap", "Quantity"]
