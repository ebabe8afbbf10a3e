"""The page itself, from the template, style sheet and script beside this file."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from dpt_cli.gallery.pictures import Layer, Picture
from dpt_cli.gallery.previews import THUMBNAIL_WH
from dpt_cli.maps.ade20k import CLASSES
from dpt_cli.version import __version__


def page(folder: Path, pictures: Sequence[Picture], files: str) -> str:
    """Return the page as HTML.

    Args:
        folder: The output folder, for the title.
        pictures: What it shows, in this order.
        files: The folder, beside the page, with what is loaded per picture.
    """
    loader = PackageLoader("dpt_cli.gallery", "page")
    # Names come from strangers' files: everything is escaped except our own style and script.
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    def own(name: str) -> Markup:
        return Markup(loader.get_source(environment, name)[0])  # our own file

    return environment.get_template("index.html").render(
        title=_displayed(folder.absolute().name or "dpt"),
        version=__version__,
        style=own("gallery.css"),
        script=own("gallery.js"),
        thumbnail_wh=THUMBNAIL_WH,
        files=files,
        classes=[[name, "#{:02x}{:02x}{:02x}".format(*color)] for name, color in CLASSES],
        cards=_cards(pictures),
    )


def _cards(pictures: Sequence[Picture]) -> Iterator[dict[str, Any]]:
    taken: set[str] = set()
    for picture in pictures:
        # Links name a picture, so no two names may be equal.
        name = wanted = _displayed(picture.name)
        while name in taken:
            name = f"{wanted} ({picture.key[:6]})"
            wanted += "'"
        taken.add(name)
        summary = " · ".join(_summary(layer) for layer in picture.layers)
        yield {"key": picture.key, "name": name, "summary": summary}


def _summary(layer: Layer) -> str:
    facts = layer.record["facts"]
    if layer.task == "segment":
        return "classes"
    if facts["quantity"] != "depth":
        return "relative"
    low, high = facts.get("min"), facts.get("max")
    return "metres" if low is None or high is None else f"{low:.3g} to {high:.3g} m"


def _displayed(name: str) -> str:
    """Return a file's name as text; bytes that are no UTF-8 become a question mark in a lozenge."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
