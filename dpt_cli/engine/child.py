"""Run a module of this package in a child process that runs no code from the user's folder."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from dpt_cli.errors import DeviceError

_PACKAGE_ROOT = Path(__file__).resolve().parents[2]
# These would run code, or wait for a terminal, before or after the module.
_UNWANTED = ("PYTHONSTARTUP", "PYTHONINSPECT", "PYTHONPATH", "PYTHONBREAKPOINT")


def run_module(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a module to its end and return what it printed.

    Args:
        module: Its name.
        arguments: Its command line. Paths must be absolute, because it runs in an empty folder.

    Raises:
        DeviceError: The process cannot be started.
    """
    if not sys.executable:
        raise DeviceError("no process can be started: this Python does not know its executable")
    environment = {name: value for name, value in os.environ.items() if name not in _UNWANTED}
    # ignore_cleanup_errors: a folder that cannot be removed is no reason to fail.
    with tempfile.TemporaryDirectory(prefix="dpt-", ignore_cleanup_errors=True) as folder:
        try:
            return subprocess.run(
                # -P: nothing is put before PYTHONPATH, neither the folder nor a script's.
                [sys.executable, "-P", "-m", module, *arguments],
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                stdin=subprocess.DEVNULL,
                cwd=folder,
                env={**environment, "PYTHONPATH": os.pathsep.join(_import_folders())},
            )
        except OSError as error:
            raise DeviceError(f"no process can be started: {error.strerror}") from error


def _import_folders() -> list[str]:
    """Return this process's import folders, except the current folder.

    `python -m`, an interactive Python and an empty entry of PYTHONPATH all add the current folder.
    It stays only if this package itself was loaded from it.
    """
    here = Path.cwd().resolve()
    folders = []
    for entry in sys.path:
        path = Path(entry)
        if not entry or not path.is_absolute() or os.pathsep in entry:
            continue
        if path.resolve() != here or path.resolve() == _PACKAGE_ROOT:
            folders.append(entry)
    return folders
