"""Keep the network that OpenVINO compiled for this CPU beside its conversion, with its hash.

OpenVINO's own cache (CACHE_DIR) would do the same, but trusts every file in its folder.
"""

import contextlib
import hashlib
import platform
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from dpt_cli.engine.openvino.files import (
    MODEL_FILE,
    WEIGHTS_FILE,
    Content,
    Conversion,
    DamagedError,
    ForeignError,
    facts_of,
    map_unchanged,
    read_record,
    read_verified,
    stamp_of,
)
from dpt_cli.engine.openvino.keep import write_durably, write_record

COMPILED_FOLDER = "compiled"

_SETTINGS = {
    "PERFORMANCE_HINT": "LATENCY",
    # With OPTIMIZE_SIZE, OpenVINO 2026.4.1 reads back a hybrid that fails at 384 x 384.
    "CACHE_MODE": "OPTIMIZE_SPEED",
}
# Kernels kept for shapes seen before. OpenVINO keeps 5000 per kind of layer, so all of them. This
# number is enough for a network's layers at about ten shapes.
_NUM_KERNELS_KEPT = 256


def import_openvino() -> ModuleType:
    """Import OpenVINO without its telemetry, which would send events at import."""
    # OpenVINO works without that package.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    module: ModuleType = openvino
    return module


def compile_network(
    conversion: Conversion, notify: Callable[[str], None], *, in_bf16: bool
) -> tuple[Any, object]:
    """Return a conversion's compiled network, and the memory that must live as long.

    What is not int8 is computed in fp32, or with `in_bf16` in bf16.

    Raises:
        DamagedError: The conversion was changed.
        OSError: It cannot be read.
        RuntimeError: OpenVINO cannot compile it.
        MemoryError: It does not fit.
    """
    # For layers that are not int8. Without it, OpenVINO uses bf16 if the CPU supports it.
    settings = {"INFERENCE_PRECISION_HINT": "bf16" if in_bf16 else "f32", **_SETTINGS}
    path = _path(conversion.folder, settings)
    # It takes as long as hashing hundreds of megabytes, and each uses one core.
    threading.Thread(target=_try_to_import, daemon=True).start()
    kept, amiss = None, ""
    with contextlib.suppress(OSError):
        kept, amiss = _read_kept(conversion, path)
    openvino = import_openvino()
    core = openvino.Core()
    with contextlib.suppress(RuntimeError):  # an internal property that may be removed
        core.set_property("CPU", {"CPU_RUNTIME_CACHE_CAPACITY": _NUM_KERNELS_KEPT})
    if kept is not None and kept[1].get("openvino") == openvino.__version__:
        try:
            blob = openvino.Tensor(kept[0], shared_memory=True)
            return core.import_model(blob, "CPU", settings), blob
        except RuntimeError:
            amiss = "OpenVINO does not read it"
    if amiss:
        notify(f"The network compiled for this CPU is compiled again: {amiss}")
    weights = openvino.Tensor(conversion.read(WEIGHTS_FILE), shared_memory=True)
    model = core.read_model(conversion.read(MODEL_FILE).tobytes(), weights)
    compiled = core.compile_model(model, "CPU", settings)
    # It only saves time, so a failure to keep it is ignored.
    with contextlib.suppress(OSError, RuntimeError, MemoryError):
        _keep(conversion, path, compiled.export_model().getbuffer(), openvino.__version__)
    return compiled, weights


def _try_to_import() -> None:
    # The caller imports it too and gets the error.
    with contextlib.suppress(Exception):
        import_openvino()


def _read_kept(
    conversion: Conversion, path: Path
) -> tuple[tuple[Content, dict[str, Any]] | None, str]:
    """Return the network kept for this CPU and its record, or the reason why it cannot be used."""
    if not path.with_suffix(".json").exists():
        return None, ""
    try:
        record = read_record(path.with_suffix(".json"))
        if record.get("of") != conversion.record["files"]:
            return None, "it is of another network"
        content = map_unchanged(path, record["compiled"], record.get("stamp"))
        if content is None:
            stamp = stamp_of(
                path
            )  # read first: a file that changes meanwhile then has another stamp
            content = read_verified(path, record["compiled"])
            with contextlib.suppress(OSError):  # it only saves time
                write_record(path.with_suffix(".json"), {**record, "stamp": stamp})
    except (DamagedError, ForeignError) as error:
        return None, str(error)
    except (KeyError, TypeError):
        return None, "its record is damaged"
    return (content, record), ""


def _keep(conversion: Conversion, path: Path, blob: Any, version: str) -> None:
    path.parent.mkdir(exist_ok=True)
    write_durably(path, blob)
    record = {
        "of": conversion.record["files"],
        "compiled": facts_of(blob),
        "openvino": version,
        # Hashing takes 0.6 s a gigabyte, more than OpenVINO needs to load it.
        "stamp": stamp_of(path),
    }
    write_record(path.with_suffix(".json"), record)


def _path(folder: Path, settings: Mapping[str, str]) -> Path:
    """Return the path for this CPU's compiled network; machines may share the folder."""
    cpu = platform.machine() + platform.processor()
    with contextlib.suppress(OSError):
        # Of the first entry, the model and its instructions; not the clock, which changes.
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0].splitlines()
        cpu += "".join(line for line in lines if line.startswith(("model", "flags", "Features")))
    key = hashlib.sha256(repr((cpu, sorted(settings.items()))).encode()).hexdigest()
    return folder / COMPILED_FOLDER / f"{key[:16]}.blob"
