"""Rows of a table as CSV."""

import csv
from collections.abc import Mapping, Sequence
from io import StringIO

from dpt_cli.formats.files import Writer


def write_csv(file: Writer, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows of the same keys as CSV, UTF-8, a header first; None is an empty cell."""
    text = StringIO(newline="")
    table = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    file.write(text.getvalue().encode("utf-8"))
