"""Quantise a converted network to 8-bit weights and activations, in a child process.

NNCF prints to standard output and takes several times the weights' memory.
"""

import importlib.util
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dpt_cli.engine.child import run_module
from dpt_cli.engine.openvino.compiled import import_openvino
from dpt_cli.engine.openvino.files import MODEL_FILE, WEIGHTS_FILE, Conversion
from dpt_cli.errors import DeviceError

_SAMPLES_FILE = "samples.npz"


def require_nncf() -> None:
    """Raise DeviceError if NNCF, which makes int8 weights, is not installed."""
    if importlib.util.find_spec("nncf") is None:
        raise DeviceError("int8 weights are made by NNCF: pip install 'dpt-vision[int8]'")


def quantize(
    source: Conversion,
    samples: Sequence[npt.NDArray[np.float32]],
    kept: Sequence[str],
    folder: Path,
) -> None:
    """Calibrate on samples and write an int8 network into a new folder.

    Args:
        source: The fp32 network.
        samples: Network inputs, float32 (3, h, w), normalised.
        kept: Parts of the network that stay in fp32, by their attribute in `model.dpt.DPT`.
        folder: The folder to write to.

    Raises:
        OSError: The folder cannot be written.
        DeviceError: Quantising failed.
    """
    folder.mkdir(parents=True)
    arrays = {str(index): sample for index, sample in enumerate(samples)}
    np.savez(folder / _SAMPLES_FILE, allow_pickle=False, **arrays)
    order = {
        "source": str(source.folder.absolute()),
        "of": dict(source.record["of"]),
        "folder": str(folder.absolute()),
        "kept": list(kept),
    }
    done = run_module(__name__, json.dumps(order))
    (folder / _SAMPLES_FILE).unlink()
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise DeviceError(f"the network cannot be quantised to int8: {last}")


def _main() -> None:
    order = json.loads(sys.argv[1])
    folder = Path(order["folder"])
    source = Conversion.open(Path(order["source"]), order["of"])
    openvino = import_openvino()
    import nncf

    with np.load(folder / _SAMPLES_FILE) as file:
        samples = [file[name][None] for name in sorted(file, key=int)]
    weights = openvino.Tensor(source.read(WEIGHTS_FILE), shared_memory=True)
    quantized = nncf.quantize(
        openvino.Core().read_model(source.read(MODEL_FILE).tobytes(), weights),
        nncf.Dataset(samples),
        subset_size=len(samples),
        model_type=nncf.ModelType.TRANSFORMER,
        preset=nncf.QuantizationPreset.MIXED,
        ignored_scope=nncf.IgnoredScope(
            # The names come from tracing: __module.fusion.3.project/aten::_convolution.
            patterns=[rf"__module\.{part}\b.*" for part in order["kept"]],
            validate=False,
        ),
    )
    openvino.save_model(quantized, folder / MODEL_FILE, compress_to_fp16=False)


if __name__ == "__main__":
    _main()
