"""What OpenVINO compiled for this CPU: kept beside a conversion, hashed, for a quick next start.

OpenVINO's own cache (CACHE_DIR) would do the same and believe whatever lies in its folder.
"""

import contextlib
import hashlib
import platform
import sys
import threading
from collections.abc import Callable
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
    # For what is not int8: else bf16, where a CPU has the instructions.
    "INFERENCE_PRECISION_HINT": "f32",
    "PERFORMANCE_HINT": "LATENCY",
    # With OPTIMIZE_SIZE, OpenVINO 2026.4.1 reads back a hybrid that fails at 384 x 384.
    "CACHE_MODE": "OPTIMIZE_SPEED",
}
# Kernels prepared for shapes that were seen. OpenVINO keeps 5000 a kind of layer, which is all of
# them; with this many, a network's layers for some ten shapes.
_NUM_KERNELS_KEPT = 256


def import_openvino() -> ModuleType:
    """Import OpenVINO without its telemetry, which would send events as soon as imported."""
    # As if that package were not installed, which OpenVINO provides for.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    module: ModuleType = openvino
    return module


def compile_network(conversion: Conversion, notify: Callable[[str], None]) -> tuple[Any, object]:
    """Return a conversion's network, compiled, and the memory it must be kept alive with.

    Raises:
        DamagedError: The conversion is not what was written.
        OSError: It cannot be read.
        RuntimeError: OpenVINO cannot compile it.
        MemoryError: It does not fit.
    """
    # Takes as long as hashing hundreds of megabytes, and each leaves the other a core.
    threading.Thread(target=_try_to_import, daemon=True).start()
    kept, amiss = None, ""
    with contextlib.suppress(OSError):
        kept, amiss = _read_kept(conversion)
    openvino = import_openvino()
    core = openvino.Core()
    with contextlib.suppress(RuntimeError):  # an inner property, which may go
        core.set_property("CPU", {"CPU_RUNTIME_CACHE_CAPACITY": _NUM_KERNELS_KEPT})
    if kept is not None and kept[1].get("openvino") == openvino.__version__:
        try:
            blob = openvino.Tensor(kept[0], shared_memory=True)
            return core.import_model(blob, "CPU", _SETTINGS), blob
        except RuntimeError:
            amiss = "OpenVINO does not read it"
    if amiss:
        notify(f"The network compiled for this CPU is compiled again: {amiss}")
    weights = openvino.Tensor(conversion.read(WEIGHTS_FILE), shared_memory=True)
    model = core.read_model(conversion.read(MODEL_FILE).tobytes(), weights)
    compiled = core.compile_model(model, "CPU", _SETTINGS)
    # It only saves time, so failing to keep it is no failure.
    with contextlib.suppress(OSError, RuntimeError, MemoryError):
        _keep(conversion, compiled.export_model().getbuffer(), openvino.__version__)
    return compiled, weights


def _try_to_import() -> None:
    # The caller imports it too, and has the error then.
    with contextlib.suppress(Exception):
        import_openvino()


def _read_kept(conversion: Conversion) -> tuple[tuple[Content, dict[str, Any]] | None, str]:
    """Return what is kept for this CPU, with its record, or else what is amiss with it."""
    path = _path(conversion.folder)
    if not path.with_suffix(".json").exists():
        return None, ""
    try:
        record = read_record(path.with_suffix(".json"))
        if record.get("of") != conversion.record["files"]:
            return None, "it is of another network"
        content = map_unchanged(path, record["compiled"], record.get("stamp"))
        if content is None:
            stamp = stamp_of(path)  # before: what changes while it is read has another
            content = read_verified(path, record["compiled"])
            with contextlib.suppress(OSError):  # it only saves time
                write_record(path.with_suffix(".json"), {**record, "stamp": stamp})
    except (DamagedError, ForeignError) as error:
        return None, str(error)
    except (KeyError, TypeError):
        return None, "its record is damaged"
    return (content, record), ""


def _keep(conversion: Conversion, blob: Any, version: str) -> None:
    path = _path(conversion.folder)
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


def _path(folder: Path) -> Path:
    """Return where the network compiled for this CPU lies: folders may be shared by machines."""
    cpu = platform.machine() + platform.processor()
    with contextlib.suppress(OSError):
        # Its first entry, less the clock that changes: the model and its instructions.
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0].splitlines()
        cpu += "".join(line for line in lines if line.startswith(("model", "flags", "Features")))
    key = hashlib.sha256(repr((cpu, sorted(_SETTINGS.items()))).encode()).hexdigest()
    return folder / COMPILED_FOLDER / f"{key[:16]}.blob"
