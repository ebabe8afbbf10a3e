"""Read `weights.toml` into specs, and look them up by task and name."""

import errno
import os
import stat
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dpt_cli.checkpoint.specs import (
    TASKS,
    CheckpointSpec,
    InputSpec,
    KnownFile,
    OutputSpec,
    Source,
    Task,
)
from dpt_cli.errors import RegistryError, did_you_mean
from dpt_cli.model.architectures import ARCHITECTURES, architecture_from_table
from dpt_cli.model.config import Architecture

_PACKAGE = Path(__file__).parents[1]
# People write files of some kilobytes; a large pyproject.toml has some 100 kB.
MAX_TOML_BYTES = 1_000_000
# The time of tomllib grows with the square of the parts of a dotted key: this much takes 0.5 s.
_MAX_TOML_WORK = 10_000_000
_VECTORS = ("target_hw", "mean", "std")


@dataclass(frozen=True)
class Registry:
    """The rows of one registry file, in its order."""

    rows: tuple[CheckpointSpec, ...]
    path: Path

    def of_task(self, task: Task) -> tuple[CheckpointSpec, ...]:
        """Return the rows of one task."""
        return tuple(row for row in self.rows if row.task == task)

    def find(self, task: Task, name: str | None = None) -> CheckpointSpec:
        """Return the row of that task and name, or the task's default.

        A name may also be `TASK/NAME`, the authors' (`DPT_Large`) or the Hub's
        (`Intel/dpt-large`), in any case.

        Raises:
            RegistryError: No such name, or several rows have it; the message lists the names.
        """
        rows = self.of_task(task)
        found = [row for row in rows if row.is_default] if name is None else _named(rows, name)
        if len(found) == 1:
            return found[0]
        raise _unknown(name or "(default)", [row.name for row in rows], f"for {task}")

    def select(self, names: Sequence[str]) -> tuple[CheckpointSpec, ...]:
        """Return the rows with these names: `NAME` (in every task that has it) or `TASK/NAME`.

        The other names of `find` work too. Without names, every row is returned.

        Raises:
            RegistryError: No row has a name.
        """
        chosen: dict[str, CheckpointSpec] = {}
        for name in names:
            found = _named(self.rows, name)
            if not found:
                raise _unknown(name, [row.id for row in self.rows], "in the registry")
            chosen.update((row.id, row) for row in found)
        return tuple(chosen.values()) if names else self.rows


def default_registry_path() -> Path:
    """Return the packaged `weights.toml`, or the repository's if run from a checkout."""
    packaged = _PACKAGE / "weights.toml"
    return packaged if packaged.is_file() else _PACKAGE.parent / "weights.toml"


def read_toml(path: Path) -> dict[str, Any]:
    """Parse a TOML file, with or without the byte order mark that Windows editors add.

    Raises:
        OSError: It cannot be read, is not a regular file, or is too large.
        ValueError: It is not TOML in UTF-8, or nested too deeply.
    """
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(status.st_mode):  # opening a pipe would block
        raise OSError(errno.EINVAL, "not a regular file", path)
    if status.st_size > MAX_TOML_BYTES:
        raise OSError(errno.EFBIG, f"larger than {MAX_TOML_BYTES} bytes", path)
    text = path.read_text(encoding="utf-8-sig")
    dots = [line.count(".") for line in text.splitlines()]
    if max(dots, default=0) * (sum(dots) + len(dots)) > _MAX_TOML_WORK:
        raise ValueError("nested too deeply")
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def load_registry(path: Path | None = None) -> Registry:
    """Parse a registry file, the packaged one by default.

    A file that the user names may contain http and local addresses.

    Raises:
        RegistryError: The file is missing, is not TOML, or a row lacks or mistypes a field.
    """
    is_named = path is not None
    path = path or default_registry_path()
    try:
        document = read_toml(path)
    except OSError as error:
        raise RegistryError(f"cannot read the registry {path}: {error.strerror}") from error
    except ValueError as error:
        raise RegistryError(f"the registry {path} is not valid TOML: {error}") from error
    rows = []
    for task in TASKS:
        tables = document.get(task, {})
        if not isinstance(tables, dict):
            raise RegistryError(f"{path}: {task} must be tables like [{task}.NAME]")
        for name, table in tables.items():
            try:
                rows.append(_row(task, name, table))
            except RegistryError as error:
                raise RegistryError(f"{path}: [{task}.{name}]: {error}") from error
            except (KeyError, TypeError, ValueError) as error:
                raise RegistryError(
                    f"{path}: [{task}.{name}] is not a valid row: {error!r}"
                ) from error
    urls = [source.url for row in rows for source in row.sources if source.url]
    plain = [] if is_named else [url for url in urls if not url.startswith("https://")]
    if plain:
        raise RegistryError(f"{path}: {plain[0]} is not https; name the registry with --registry")
    unknown = sorted(set(document) - set(TASKS))
    if unknown:
        raise RegistryError(f"{path}: unknown task {unknown[0]!r}; there are {', '.join(TASKS)}")
    return Registry(tuple(rows), path)


def _row(task: Task, name: str, table: Mapping[str, Any]) -> CheckpointSpec:
    fields = dict(table)
    inputs = fields.pop("input")
    return CheckpointSpec(
        task=task,
        name=name,
        input=InputSpec(
            target_hw=_pair(inputs["target_hw"]),
            mean=_triple(inputs["mean"]),
            std=_triple(inputs["std"]),
            **{key: value for key, value in inputs.items() if key not in _VECTORS},
        ),
        output=OutputSpec(**fields.pop("output")),
        architecture=_architecture(fields.pop("architecture")),
        sources=tuple(_source(source) for source in fields.pop("sources")),
        known_files=tuple(KnownFile(**it) for it in fields.pop("known_files", ())),
        is_default=bool(fields.pop("default", False)),
        **fields,
    )


def _architecture(value: str | Mapping[str, Any]) -> Architecture:
    return ARCHITECTURES[value] if isinstance(value, str) else architecture_from_table(value)


def _source(table: Mapping[str, Any]) -> Source:
    return Source(**table)


def _pair(values: Sequence[int]) -> tuple[int, int]:
    height, width = values
    return int(height), int(width)


def _triple(values: Sequence[float]) -> tuple[float, float, float]:
    red, green, blue = values
    return float(red), float(green), float(blue)


def _named(rows: Sequence[CheckpointSpec], name: str) -> list[CheckpointSpec]:
    """Return the rows that a name means, preferring the exact spelling."""
    exact = [row for row in rows if name in (row.name, row.id)]
    return exact or [row for row in rows if _folded(name) in _names_of(row)]


def _names_of(row: CheckpointSpec) -> set[str]:
    hub = {source.repo for source in row.sources if source.repo_type == "model"} - {""}
    names = {row.name, row.id, f"dpt-{row.name}", *hub}
    return {_folded(name) for name in names}


def _folded(name: str) -> str:
    return name.casefold().replace("_", "-")


def _unknown(name: str, names: Sequence[str], where: str) -> RegistryError:
    close = did_you_mean(name, names)
    hint = f" Did you mean {close!r}?" if close else ""
    known = ", ".join(names)
    return RegistryError(
        f"no model {name!r} {where}.{hint} There are: {known}. See 'dpt models list'."
    )
