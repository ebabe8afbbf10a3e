"""What a map is: for machines, and as text in a file."""

from typing import Any

from dpt_cli.maps import DepthMap, LabelMap


def facts_of(result: DepthMap | LabelMap) -> dict[str, Any]:
    """Return what a map is, as JSON values with stable keys."""
    facts = {"network_hw": list(result.network_hw), "precision": result.precision}
    if isinstance(result, LabelMap):
        return facts | {"quantity": "labels", "unit": None, "min": None, "max": None}
    low, high = result.span or (None, None)
    return facts | {"quantity": result.quantity, "unit": result.unit, "min": low, "max": high}


def describe(result: DepthMap | LabelMap) -> dict[str, str]:
    """Return what a map's numbers mean, as key and text for a PNG."""
    facts = {"Software": "dpt", "dpt:weights": result.weights}
    facts["dpt:network_hw"] = "{} {}".format(*result.network_hw)
    if isinstance(result, LabelMap):
        return facts | {"dpt:quantity": "labels", "dpt:classes": "ADE20K SceneParse150"}
    facts["dpt:quantity"] = result.quantity
    facts["dpt:unit"] = result.unit
    facts["dpt:near"] = "small" if result.is_metric else "large"
    if result.span is not None:
        # Nine digits bring back every float32 exactly.
        facts["dpt:min"], facts["dpt:max"] = (f"{value:.9g}" for value in result.span)
    return facts
