"""The log of a run, kept beside its checkpoints."""

import time
from pathlib import Path

import click


class Log:
    """Writes lines to the terminal and to a file, with the time since the start."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file = file
        self._start = time.monotonic()

    def __call__(self, line: str) -> None:
        """Write one line."""
        minutes = (time.monotonic() - self._start) / 60
        stamped = f"{minutes:7.1f} min  {line}"
        click.echo(stamped)
        with self._file.open("a") as file:
            file.write(stamped + "\n")
