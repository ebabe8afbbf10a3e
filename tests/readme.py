"""The generated parts of README.md; `python tests/readme.py --write` puts them in."""

import re
import sys
from pathlib import Path

from dpt_cli.registry import load_registry
from dpt_cli.specs import CheckpointSpec

README = Path(__file__).parents[1] / "README.md"
_TABLE = re.compile(r"(?<=<!-- weights -->\n).*?(?=<!-- /weights -->)", re.DOTALL)


def weights_table() -> str:
    """Return the rows of weights.toml as a Markdown table."""
    lines = [
        "| command | weights | parameters | aims at (W×H) | numbers | reported | licence |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(_line(row) for row in load_registry().rows),
    ]
    return "\n".join(lines) + "\n"


def _line(row: CheckpointSpec) -> str:
    height, width = row.input.target_hw
    command = f"`dpt {row.task} --model {row.name}`" + (" (default)" if row.is_default else "")
    cells = (
        command,
        row.title,
        f"{row.num_parameters / 1e6:.0f} M",
        f"{width}×{height}",
        row.meaning,
        row.reported,
        row.licence,
    )
    return f"| {' | '.join(cells)} |"


def generated(text: str) -> str:
    """Return README's text with its generated parts made new."""
    return _TABLE.sub(lambda _: weights_table(), text)


if __name__ == "__main__":
    text = generated(README.read_text(encoding="utf-8"))
    if "--write" in sys.argv:
        README.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
