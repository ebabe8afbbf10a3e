"""Generates parts of README.md and docs/; `python tests/readme.py --write` writes them."""

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import click
from click.testing import CliRunner

from dpt_cli.checkpoint.registry import load_registry
from dpt_cli.checkpoint.specs import CheckpointSpec
from dpt_cli.cli import dpt

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
_WIDTH = 80  # characters: as on most terminals, and what fits beside the site's menus


_NUMBERS = {"inverse_depth": "relative", "depth": "metres", "labels": "classes"}


def weights_table() -> str:
    """Return the rows of weights.toml as a Markdown table."""
    headings = ("task", "model", "parameters", "aims at (W×H)", "numbers", "ETH3D", "licence")
    rows = (
        (
            row.task,
            f"`{row.name}`" + (" (default)" if row.is_default else ""),
            _millions(row),
            "{1}×{0}".format(*row.input.target_hw),
            _NUMBERS[row.output.quantity],
            f"{row.eth3d_abs_rel:.3f}" if row.eth3d_abs_rel else "–",
            row.licence,
        )
        for row in load_registry().rows
    )
    return _table(headings, rows)


def figures_table() -> str:
    """Return the published figures of weights.toml as a Markdown table."""
    rows = ((f"`{row.id}`", row.title, row.reported) for row in load_registry().rows)
    return _table(("model", "weights", "reported"), rows)


def commands_reference() -> str:
    """Return the help of each command as a page."""
    parts = ["# Every option\n\nWhat `--help` prints, generated from the command itself.\n"]
    variables: dict[str, str | None] = {n: None for n in os.environ if n.startswith("DPT_")}
    with tempfile.TemporaryDirectory() as empty, contextlib.chdir(empty):  # no settings file
        runner = CliRunner(env={**variables, "XDG_CONFIG_HOME": empty})
        for words in _commands(dpt):
            result = runner.invoke(dpt, [*words, "--help"], terminal_width=_WIDTH)
            assert result.exit_code == 0, result.output
            title = " ".join(("dpt", *words))
            parts.append(f"## {title}\n\n```text\n{result.stdout.rstrip()}\n```\n")
    return "\n".join(parts)


def _commands(command: click.Command, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield above
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            if not below.hidden:
                yield from _commands(below, (*above, name))


def _millions(row: CheckpointSpec) -> str:
    return f"{row.num_parameters / 1e6:.0f} M"


def _table(headings: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = (headings, ("---",) * len(headings), *rows)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _between(name: str, content: Callable[[], str]) -> Callable[[str], str]:
    """Return a function that fills the part between `<!-- name -->` and `<!-- /name -->`."""
    part = re.compile(rf"(?<=<!-- {name} -->\n).*?(?=<!-- /{name} -->)", re.DOTALL)
    return lambda text: part.sub(lambda _: content(), text)


# Each page with generated parts, and how its text is made new.
GENERATED: dict[Path, Callable[[str], str]] = {
    DOCS / "models.md": lambda text: _between("figures", figures_table)(
        _between("weights", weights_table)(text)
    ),
    DOCS / "commands.md": lambda _: commands_reference(),
}


def generated(path: Path) -> tuple[str, str]:
    """Return a page's text as it is and as it should be."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return text, GENERATED[path](text)


if __name__ == "__main__":
    for page in GENERATED:
        old, new = generated(page)
        if old != new and "--write" in sys.argv:
            page.write_text(new, encoding="utf-8")
        elif old != new:
            sys.exit(f"{page.relative_to(ROOT)} is stale: run 'python tests/readme.py --write'")
