"""Whether the weights on this disk are the published ones, byte for byte."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from dpt_cli.checkpoint.fetch import locate, verify
from dpt_cli.checkpoint.specs import CheckpointSpec
from dpt_cli.doctor.check import Check
from dpt_cli.errors import FetchError


def check_weights(rows: Sequence[CheckpointSpec]) -> Iterator[Check]:
    """Hash every file of every row that is on this disk, whatever is remembered of it."""
    for row in rows:
        for source in row.sources:
            one = replace(row, sources=(source,))
            if locate(one) is None:
                continue
            name = f"{row.id} from {source}"
            try:
                found = verify(one)
            except FetchError as error:
                what, _, fix = str(error).partition("; ")
                yield Check("weights", name, "fail", what, fix or "remove the file")
            else:
                text = f"sha256 {found.sha256} (checked against: {found.checked})"
                yield Check("weights", name, "pass", text, facts={"sha256": found.sha256})


def on_disk(rows: Sequence[CheckpointSpec]) -> list[CheckpointSpec]:
    """Return the rows that have a file on this disk."""
    return [row for row in rows if locate(row)]
