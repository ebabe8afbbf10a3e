"""What a map is, for machines."""

from typing import Any

from dpt_cli.maps import DepthMap, LabelMap


def facts_of(result: DepthMap | LabelMap) -> dict[str, Any]:
    """Return what a map is, as JSON values with stable keys."""
    facts = {"network_hw": list(result.network_hw), "precision": result.precision}
    if isinstance(result, LabelMap):
        return facts | {"quantity": "labels", "unit": None, "min": None, "max": None}
    low, high = result.span or (None, None)
    return facts | {"quantity": result.quantity, "unit": result.unit, "min": low, "max": high}
