"""`dpt eval`: maps against the truth, beside the papers' figures."""

import click

from dpt_cli.cli.eval.depth import depth
from dpt_cli.cli.eval.segment import segment


@click.group("eval")
def evaluate() -> None:
    """Measure models on data sets, and print the papers' figures beside them."""


evaluate.add_command(depth)
evaluate.add_command(segment)
