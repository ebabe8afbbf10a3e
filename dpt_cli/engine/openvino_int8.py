"""A converted network to one with 8-bit weights and activations, in a process of its own.

NNCF prints to standard output, which is the caller's, and takes several times the weights' memory.
"""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dpt_cli.engine.openvino_engine import MODEL_FILE, import_openvino
from dpt_cli.errors import DeviceError

_SAMPLES_FILE = "samples.npz"


def require_nncf() -> None:
    """Raise DeviceError where what makes int8 weights is not installed."""
    if importlib.util.find_spec("nncf") is None:
        raise DeviceError("int8 weights are made by NNCF: pip install 'dpt-vision[int8]'")


def quantize(
    source: Path, samples: Sequence[npt.NDArray[np.float32]], kept: Sequence[str], folder: Path
) -> None:
    """Calibrate on samples and write an int8 network into a new folder.

    Args:
        source: Folder of the fp32 network.
        samples: Network inputs, float32 (3, h, w), normalised.
        kept: Parts of the network that stay in fp32, by their attribute in `model.dpt.DPT`.
        folder: Where to write.

    Raises:
        DeviceError: It failed.
    """
    folder.mkdir(parents=True)
    arrays = {str(index): sample for index, sample in enumerate(samples)}
    np.savez(folder / _SAMPLES_FILE, allow_pickle=False, **arrays)
    order = json.dumps({"source": str(source), "folder": str(folder), "kept": list(kept)})
    done = subprocess.run(
        [sys.executable, "-m", __name__, order],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    (folder / _SAMPLES_FILE).unlink()
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise DeviceError(f"the network cannot be quantised to int8: {last}")


def _main() -> None:
    openvino = import_openvino()
    import nncf

    order = json.loads(sys.argv[1])
    folder = Path(order["folder"])
    with np.load(folder / _SAMPLES_FILE) as file:
        samples = [file[name][None] for name in sorted(file, key=int)]
    quantized = nncf.quantize(
        openvino.Core().read_model(Path(order["source"], MODEL_FILE)),
        nncf.Dataset(samples),
        subset_size=len(samples),
        model_type=nncf.ModelType.TRANSFORMER,
        preset=nncf.QuantizationPreset.MIXED,
        ignored_scope=nncf.IgnoredScope(
            # Names as tracing gives them: __module.fusion.3.project/aten::_convolution.
            patterns=[rf"__module\.{part}\b.*" for part in order["kept"]],
            validate=False,
        ),
    )
    openvino.save_model(quantized, folder / MODEL_FILE, compress_to_fp16=False)


if __name__ == "__main__":
    _main()
