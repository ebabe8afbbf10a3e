"""Every check, one after another."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from dpt_cli.checkpoint.specs import CheckpointSpec
from dpt_cli.doctor.check import Check
from dpt_cli.doctor.engines import check_engines
from dpt_cli.doctor.environment import check_hub
from dpt_cli.doctor.folder import check_folder
from dpt_cli.doctor.golden import check_goldens
from dpt_cli.doctor.weights import check_weights, on_disk


def examine(
    rows: Sequence[CheckpointSpec], output: Path, picture: Path | None, *, offline: bool
) -> Iterator[Check]:
    """Yield each check as it ends. Nothing is downloaded.

    Args:
        rows: The rows of the registry.
        output: The output folder to try out.
        picture: The picture of the published values; see `golden.PICTURE`.
        offline: Leave the network alone.
    """
    yield from check_folder(output)
    yield check_hub(offline=offline)
    yield from check_weights(rows)
    yield from check_goldens(rows, picture)
    for row in on_disk(rows):
        yield from check_engines(row)
