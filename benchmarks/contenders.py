"""The contenders of `peers.py`: one network per process, which runs once per line of input.

On a GPU, all run in fp16; transformers and the authors' code convert the whole network to it.

This file also runs in the authors' Python environment, so it imports dpt_cli only where needed.
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

# As in dpt_cli/model/timm_parts.py, which is not imported because it would import timm.
_TORCHVISION_OPERATORS = ("torchvision::nms", "torchvision::qnms")


def import_transformers() -> Any:
    """Import transformers, even if torchvision was built for another torch than this one."""
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


def _on_torch(network: Any, image: np.ndarray, device: str, precision: str) -> Forward:
    import torch

    options = {"device": device, "dtype": torch.float16 if precision == "fp16" else torch.float32}
    network, batch = network.to(**options), torch.from_numpy(image)

    def forward() -> np.ndarray:
        with torch.inference_mode():
            return network(batch.to(**options)).float().cpu().numpy()

    return forward


def transformers(
    _model: str, folder: Path, image: np.ndarray, device: str, precision: str
) -> Forward:
    """Return transformers' eager network from `from_pretrained`."""
    return _on_torch(_transformers_network(folder), image, device, precision)


def authors(model: str, folder: Path, image: np.ndarray, device: str, precision: str) -> Forward:
    """Return the authors' code from the checkout in AUTHORS; on a GPU, as with `--optimize`."""
    sys.path.insert(0, os.environ["AUTHORS"])
    from dpt.models import DPTDepthModel

    backbone = {"large": "vitl16_384", "hybrid": "vitb_rn50_384"}[model]
    file = str(folder / "authors.pt")
    network = DPTDepthModel(path=file, backbone=backbone, enable_attention_hooks=False)
    if device == "cuda":
        import torch

        network = network.to(memory_format=torch.channels_last)
    return _on_torch(network.eval(), image, device, precision)


def onnxruntime(_model: str, folder: Path, image: np.ndarray, *_where: str) -> Forward:
    """Return ONNX Runtime on transformers' network, exported unchanged at this size."""
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


def openvino(_model: str, folder: Path, image: np.ndarray, *_where: str) -> Forward:
    """Return OpenVINO on transformers' network, exported unchanged at this size, in fp32."""
    from dpt_cli.engine.openvino.engine import import_openvino

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


def dpt(
    model: str,
    folder: Path,
    image: np.ndarray,
    device: str,
    precision: str,
    engine: str = "torch",
    cuda_graphs: bool = False,
) -> Forward:
    """Return one of `dpt`'s engines."""
    from dpt_cli.checkpoint.registry import load_registry
    from dpt_cli.predict.load import find_weights, load_engine

    spec = load_registry().find("depth", model)
    weights = find_weights(
        spec, folder / "model.safetensors", offline=True, notify=lambda _line: None
    )
    if (device, engine) == ("cpu", "torch"):
        from dpt_cli.cli.memory import keep_freed_memory

        keep_freed_memory()  # as the command does
    loaded = load_engine(spec, weights, device, precision, engine, cuda_graphs=cuda_graphs)
    return lambda: np.stack([output.values for output in loaded(image)])


def least(model: str, _folder: Path, image: np.ndarray, device: str, precision: str) -> Forward:
    """Return a plain matrix product and a plain convolution with as many operations."""
    import torch
    import torch.nn.functional as F

    from dpt_cli.bench.estimate import count_operations
    from dpt_cli.checkpoint.registry import load_registry

    architecture = load_registry().find("depth", model).architecture
    operations = count_operations(architecture, image.shape[2:])
    options = {"device": device, "dtype": torch.float16 if precision == "fp16" else torch.float32}
    side, channels = 2048, 256
    num_rows = len(image) * operations.matrix // (2 * side**2)
    num_columns = len(image) * operations.convolution // (2 * 9 * channels**2 * 96)
    rows, matrix = torch.randn(num_rows, side, **options), torch.randn(side, side, **options)
    strip = torch.randn(1, channels, 96, num_columns, **options)
    strip = strip.to(memory_format=torch.channels_last)
    kernel = torch.randn(channels, channels, 3, 3, **options)

    def run() -> np.ndarray:
        with torch.inference_mode():
            product, convolved = rows @ matrix, F.conv2d(strip, kernel, padding=1)
            return torch.stack([product[0, 0], convolved[0, 0, 0, 0]]).cpu().numpy()

    return run


CONTENDERS: dict[str, Callable[[str, Path, np.ndarray, str, str], Forward]] = {
    "transformers": transformers,
    "the authors' code": authors,
    "ONNX Runtime, plain export": onnxruntime,
    "OpenVINO, plain export": openvino,
    "as many plain operations": least,
    "dpt, torch": dpt,
    "dpt, torch --cuda-graphs": lambda *given: dpt(*given, cuda_graphs=True),
    "dpt, OpenVINO": lambda *given: dpt(*given, engine="openvino"),
    "dpt, OpenVINO int8": lambda *given: dpt(*given[:-1], "int8", engine="openvino"),
}


def runs_on(name: str, device: str) -> bool:
    """Return whether a contender runs on a device."""
    if device == "cpu":
        return "--cuda-graphs" not in name
    return "OpenVINO" not in name and "ONNX" not in name


def _main() -> None:
    name, model, folder, image_file, output_file, device, precision, batch_size = sys.argv[1:]
    # Keep what libraries print apart from the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    image = np.repeat(np.load(image_file), int(batch_size), axis=0)
    forward = CONTENDERS[name](model, Path(folder), image, device, precision)
    np.save(output_file, forward())
    print("ready", file=answers, flush=True)
    for _line in sys.stdin:
        started = time.perf_counter()
        forward()
        print(json.dumps(time.perf_counter() - started), file=answers, flush=True)


if __name__ == "__main__":
    _main()
