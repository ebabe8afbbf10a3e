"""What this machine and this installation are: facts for a bug report."""

import contextlib
import importlib
import os
import platform
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from huggingface_hub import constants

from dpt_cli.checkpoint.stamp import own_folder
from dpt_cli.doctor.check import Check
from dpt_cli.host import free_memory, has_bf16, num_cores
from dpt_cli.version import __version__

# What is imported, and for optional packages how they are installed.
PACKAGES = {
    "torch": "",
    "torchvision": "",
    "timm": "",
    "numpy": "",
    "cv2": "",
    "PIL": "",
    "matplotlib": "",
    "huggingface_hub": "",
    "safetensors": "",
    "openvino": "pip install 'dpt-vision[openvino]'",
    "nncf": "pip install 'dpt-vision[int8]'",
    "pillow_heif": "pip install 'dpt-vision[heic]'",
}
_VARIABLES = (
    *("HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_ENDPOINT", "HF_TOKEN"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES"),
)
_MAX_WAIT_S = 5.0
_IN_HARDWARE = {True: "in hardware", False: "not in hardware", None: "unknown"}


def environment() -> dict[str, Any]:
    """Return the facts of this installation and machine as JSON values; imports every package."""
    import torch

    with contextlib.suppress(Exception):  # whatever it is, it is reported below
        import dpt_cli.model.timm_parts  # noqa: F401  # lets a torchvision of another torch be imported
    return {
        "dpt": __version__,
        "python": platform.python_version(),
        "system": platform.platform(terse=True),
        "packages": {name: _version(name, extra) for name, extra in PACKAGES.items()},
        "devices": {
            "cpu": f"{num_cores()} cores, {torch.get_num_threads()} threads, bf16 "
            f"{_IN_HARDWARE[has_bf16()]}",
            **{
                f"cuda:{index}": torch.cuda.get_device_name(index)
                for index in range(torch.cuda.device_count())
            },
            **({"mps": "Apple GPU"} if torch.backends.mps.is_available() else {}),
        },
        "free_memory_bytes": free_memory(),
        "caches": {
            "weights from the Hub": _folder(Path(constants.HF_HUB_CACHE)),
            "other weights and conversions": _folder(own_folder()),
        },
        # Their values may hold passwords and names of people.
        "variables": [name for name in _VARIABLES if os.environ.get(name)],
    }


def check_hub(*, offline: bool) -> Check:
    """Return whether the Hub answers; `offline`, or its variable, leaves it alone."""
    host = urlsplit(constants.ENDPOINT).hostname or "the Hub"
    if offline or constants.HF_HUB_OFFLINE:
        return Check("network", host, "not run", "offline, as asked", "leave out --offline")
    from huggingface_hub import get_session

    try:
        status = get_session().head(constants.ENDPOINT, timeout=_MAX_WAIT_S).status_code
    except Exception as error:  # noqa: BLE001  # the HTTP library's, httpx or httpx2
        fix = (
            "give --offline where there is no network: weights on this disk work without it, and "
            "'dpt models path' shows where to put others by hand"
        )
        return Check("network", host, "fail", f"no answer: {type(error).__name__}", fix)
    return Check("network", host, "pass", f"answered {status}")


def _version(name: str, extra: str) -> str:
    """Return the version of a package that is imported for it."""
    try:
        module = importlib.import_module(name)
    except Exception as error:  # noqa: BLE001  # a broken package may raise anything
        if extra and isinstance(error, ModuleNotFoundError) and error.name == name:
            return f"not installed: {extra}"
        return f"cannot be imported: {type(error).__name__}: {error}"
    return str(getattr(module, "__version__", "unknown"))


def _folder(folder: Path) -> dict[str, Any]:
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    return {
        "path": str(folder),
        "exists": folder.exists(),
        "is_writable": there.is_dir() and os.access(there, os.W_OK),
        "free_bytes": shutil.disk_usage(there).free,
    }
