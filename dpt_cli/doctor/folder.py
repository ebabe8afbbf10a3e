"""Whether an output folder can do what a run needs: write, sync, name without replacing, lock."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from dpt_cli.doctor.check import Check
from dpt_cli.errors import OutputError
from dpt_cli.formats.files import replacing
from dpt_cli.pipeline.manifest import Manifest

_CONTENT = b"dpt doctor\n"


def check_folder(folder: Path) -> Iterator[Check]:
    """Try out a folder, or where it does not exist yet the nearest one above it.

    Everything happens in a temporary folder that is removed.
    """
    there = folder.absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        with tempfile.TemporaryDirectory(prefix=".dpt-doctor-", dir=there) as scratch:
            yield _writes(there, Path(scratch))
            yield _locks(there, Path(scratch))
    except OSError as error:
        found = f"cannot write into {there}: {error.strerror or error}"
        yield Check("output folder", "write", "fail", found, "choose another --output folder")


def _writes(folder: Path, scratch: Path) -> Check:
    name, fix = "write, sync and rename", "choose another --output folder"
    path = scratch / "file"
    try:
        with replacing(path, overwrite=False) as file:
            file.write(_CONTENT)
        with replacing(path) as file:
            file.write(2 * _CONTENT)
        content = path.read_bytes()
    except OutputError as error:
        return Check("output folder", name, "fail", str(error), fix)
    if content != 2 * _CONTENT or [it.name for it in scratch.iterdir()] != [path.name]:
        return Check("output folder", name, "fail", f"{folder} does not keep what is written", fix)
    return Check("output folder", name, "pass", str(folder))


def _locks(folder: Path, scratch: Path) -> Check:
    name = "lock"
    fix = "never start two runs that write there at once, or choose a local folder"
    with Manifest(scratch / "locked") as manifest:
        if not manifest.is_locked:
            found = f"{folder} is on a file system without locks"
            return Check("output folder", name, "fail", found, fix)
        try:
            with Manifest(scratch / "locked"):
                pass
        except OutputError:
            return Check("output folder", name, "pass", str(folder))
    found = f"{folder} is on a file system whose locks keep nobody out"
    return Check("output folder", name, "fail", found, fix)
