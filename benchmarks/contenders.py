"""The contenders of `peers.py`: one network a process, which runs whenever a line comes in.

Also run by the authors' own Python, so nothing of ours is imported before it is needed.
"""

import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Forward = Callable[[], np.ndarray]

# As dpt_cli/model/timm_parts.py declares them, whose import would bring timm into what is measured.
_TORCHVISION_OPERATORS = ("torchvision::nms", "torchvision::qnms")


def import_transformers() -> Any:
    """Import transformers also where torchvision was built for another torch than this one."""
    import torch

    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        for name in _TORCHVISION_OPERATORS:
            torch.library.define(name, "(Tensor dets, Tensor scores, float threshold) -> Tensor")
    import transformers

    return transformers


def _transformers_network(folder: Path) -> Any:
    """Return transformers' network as a module with one tensor in and one out."""
    import torch

    network = import_transformers().DPTForDepthEstimation.from_pretrained(folder).eval()

    class Depth(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return self.network(image).predicted_depth

    return Depth().requires_grad_(False)


def _on_torch(network: Any, image: np.ndarray) -> Forward:
    import torch

    batch = torch.from_numpy(image)

    def forward() -> np.ndarray:
        with torch.inference_mode():
            return network(batch).numpy()

    return forward


def transformers(_model: str, folder: Path, image: np.ndarray) -> Forward:
    """Return transformers, eager, in fp32, as `from_pretrained` gives it."""
    return _on_torch(_transformers_network(folder), image)


def authors(model: str, folder: Path, image: np.ndarray) -> Forward:
    """Return the authors' code, from the checkout in AUTHORS."""
    sys.path.insert(0, os.environ["AUTHORS"])
    from dpt.models import DPTDepthModel

    backbone = {"large": "vitl16_384", "hybrid": "vitb_rn50_384"}[model]
    file = str(folder / "authors.pt")
    network = DPTDepthModel(path=file, backbone=backbone, enable_attention_hooks=False)
    return _on_torch(network.eval(), image)


def onnxruntime(_model: str, folder: Path, image: np.ndarray) -> Forward:
    """Return ONNX Runtime on transformers' network, exported as it is at this size."""
    import onnxruntime as ort

    file = folder / f"plain-{image.shape[2]}.onnx"
    if not file.exists():
        import torch

        part = file.with_suffix(".part")
        network, example = _transformers_network(folder), (torch.from_numpy(image),)
        torch.onnx.export(network, example, str(part), dynamo=False)
        part.rename(file)
    session = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
    (name,) = (it.name for it in session.get_inputs())
    return lambda: session.run(None, {name: image})[0]


def openvino(_model: str, folder: Path, image: np.ndarray) -> Forward:
    """Return OpenVINO on transformers' network, exported as it is at this size, in fp32."""
    from dpt_cli.engine.openvino_engine import import_openvino

    ov = import_openvino()
    file = folder / f"plain-{image.shape[2]}.xml"
    if not file.exists():
        import torch

        network, example = _transformers_network(folder), torch.from_numpy(image)
        exported = ov.convert_model(network, example_input=example, input=list(image.shape))
        ov.save_model(exported, file, compress_to_fp16=False)
    hints = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    compiled = ov.Core().compile_model(file, "CPU", hints)
    return lambda: compiled(image)[0]


def dpt(model: str, folder: Path, image: np.ndarray, engine: str, precision: str) -> Forward:
    """Return one of our engines."""
    from dpt_cli.api import find_weights, load_engine
    from dpt_cli.registry import load_registry

    spec = load_registry().find("depth", model)
    weights = find_weights(
        spec, folder / "model.safetensors", offline=True, notify=lambda _line: None
    )
    loaded = load_engine(spec, weights, "cpu", precision, engine)
    return lambda: loaded(image)[0].values[None]


CONTENDERS: dict[str, Callable[[str, Path, np.ndarray], Forward]] = {
    "transformers": transformers,
    "the authors' code": authors,
    "ONNX Runtime, plain export": onnxruntime,
    "OpenVINO, plain export": openvino,
    "dpt, torch": lambda *given: dpt(*given, engine="torch", precision="fp32"),
    "dpt, OpenVINO": lambda *given: dpt(*given, engine="openvino", precision="fp32"),
    "dpt, OpenVINO int8": lambda *given: dpt(*given, engine="openvino", precision="int8"),
}


def _main() -> None:
    name, model, folder, image_file, output_file = sys.argv[1:]
    # Whatever libraries print must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    forward = CONTENDERS[name](model, Path(folder), np.load(image_file))
    np.save(output_file, forward())
    print("ready", file=answers, flush=True)
    for _line in sys.stdin:
        started = time.perf_counter()
        forward()
        print(json.dumps(time.perf_counter() - started), file=answers, flush=True)


if __name__ == "__main__":
    _main()
