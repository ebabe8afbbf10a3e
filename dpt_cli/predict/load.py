"""From a model's name to a predictor: find the weights and load the network on a device."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict, Unpack, overload

from dpt_cli.checkpoint.choose import choose_model
from dpt_cli.checkpoint.fetch import Notify, fetch
from dpt_cli.checkpoint.integrity import sha256_of
from dpt_cli.checkpoint.registry import load_registry
from dpt_cli.checkpoint.specs import CheckpointSpec, Protocol, Task
from dpt_cli.engine.choice import no_graphs, resolve_engine
from dpt_cli.errors import ConversionError, DeviceError, FetchError
from dpt_cli.host import has_bf16
from dpt_cli.maps import DepthMap, LabelMap
from dpt_cli.predict.arguments import (
    check_choice,
    check_multiple,
    in_protocol,
    in_pythons_words,
    target_size,
)
from dpt_cli.predict.predictor import Predictor

if TYPE_CHECKING:
    from dpt_cli.engine import Engine


@dataclass(frozen=True)
class Weights:
    """The weights file of a model.

    Attributes:
        path: The file.
        sha256: Hash of its content, 64 hex digits.
        label: The model, the origin of the file and its hash, as written into maps.
        checked: What the hash was compared with, in words.
    """

    path: Path
    sha256: str
    label: str
    checked: str


def find_weights(
    spec: CheckpointSpec, file: Path | None = None, *, offline: bool = False, notify: Notify
) -> Weights:
    """Return the user's own file if given, or the published one from the cache or a download.

    Raises:
        FetchError: There is no such file, or no source provided it.
    """
    try:
        if file is not None:
            return _own_weights(spec, file, notify)
        found = fetch(spec, offline=offline, notify=notify)
    except FetchError as error:
        raise FetchError(f"{error}{_preview_hint(spec)}") from error
    label = f"{spec.id} from {found.source}, sha256 {found.sha256}"
    return Weights(found.path, found.sha256, label, found.checked)


def _own_weights(spec: CheckpointSpec, file: Path, notify: Notify) -> Weights:
    if not file.is_file():
        raise FetchError(f"no weights file {file}")
    if not spec.commercial:
        notify(f"The licence of {spec.name}, {spec.licence}, forbids commercial use")
    sha256 = sha256_of(file)
    label = f"{spec.id} from {file.name}, sha256 {sha256}"
    return Weights(file, sha256, label, "nothing (a file of your own)")


def _preview_hint(spec: CheckpointSpec) -> str:
    """Return a line that names the bundled weights of the task, if there are any."""
    for row in load_registry().of_task(spec.task):
        if any(source.kind == "bundled" for source in row.sources) and row.name != spec.name:
            return f"\nWithout a download: --model {row.name}, a small network for previews."
    return ""


def load_engine(
    spec: CheckpointSpec,
    weights: Weights,
    device: str = "auto",
    precision: str = "auto",
    engine: str = "auto",
    notify: Notify = lambda _line: None,
    *,
    cuda_graphs: bool | None = None,
) -> "Engine":
    """Load a weights file into its network on a device.

    The arguments are those of `load`.

    Raises:
        CheckpointError: The file is damaged or does not fit the architecture.
        DeviceError: This machine has no such device or engine or too little memory on it, or CUDA
            graphs are asked for elsewhere.
    """
    if resolve_engine(engine, device, precision) == "openvino":
        if cuda_graphs:
            raise DeviceError(no_graphs("cpu (OpenVINO)"))
        from dpt_cli.predict.conversion import load_openvino

        asked = "fp32" if precision == "auto" else precision
        has_choice = engine == "auto" and asked != "int8"
        try:
            return load_openvino(
                spec, weights.path, weights.sha256, asked, notify, must_keep=has_choice
            )
        except ConversionError as error:
            if not has_choice:
                raise
            notify(f"Using torch: {error}")
    from dpt_cli.checkpoint.load import load_network
    from dpt_cli.engine.torch.engine import TorchEngine

    network = load_network(weights.path, spec.architecture, sha256=weights.sha256)
    on_torch = TorchEngine(network, device, precision, cuda_graphs=cuda_graphs)
    if (on_torch.device, on_torch.precision) == ("cpu", "bf16") and has_bf16() is False:
        notify(
            "This CPU has no bf16 in hardware: torch emulates it, usually slower than "
            "--precision fp32"
        )
    return on_torch


class LoadOptions(TypedDict, total=False):
    """The arguments of `load` that do not decide its type."""

    weights: Path | str | None
    device: str
    precision: str
    engine: str
    resolution: int | tuple[int, int] | None
    multiple_of: int | None
    protocol: Protocol
    cuda_graphs: bool | None
    offline: bool
    registry: Path | str | None


@overload
def load(
    model: str | None = ..., *, task: Literal["depth"] = ..., **options: Unpack[LoadOptions]
) -> Predictor[DepthMap]: ...


@overload
def load(
    model: str | None = ..., *, task: Literal["segment"], **options: Unpack[LoadOptions]
) -> Predictor[LabelMap]: ...


def load(
    model: str | None = None,
    *,
    task: Task = "depth",
    weights: Path | str | None = None,
    device: str = "auto",
    precision: str = "auto",
    engine: str = "auto",
    resolution: int | tuple[int, int] | None = None,
    multiple_of: int | None = None,
    protocol: Protocol = "authors",
    cuda_graphs: bool | None = None,
    offline: bool = False,
    registry: Path | str | None = None,
) -> Predictor[DepthMap] | Predictor[LabelMap]:
    """Load a model and return a predictor, which turns photographs into maps.

    Downloads the weights on first use, into the Hugging Face cache.

    Args:
        model: A name that `dpt models list` shows; None for the model that `weights` fits, or else
            the task's default. `Predictor.spec` says which.
        task: `depth` or `segment`.
        weights: A weights file to use instead of the published one.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        precision: `auto` (fp16 on CUDA, fp32 elsewhere), `fp32`, `fp16`, `bf16` or `int8`.
        engine: `auto` (OpenVINO for int8, and where it is installed and the run is on a CPU in
            fp32, or in bf16 if the CPU has it in hardware; torch elsewhere), `torch` or `openvino`.
        resolution: Size at which the network runs [px]: a side, or (height, width).
        multiple_of: What both sides of the network size are rounded to multiples of [px]; None for
            the weights' own, which is 16 for DPT. 32 gives its authors' network sizes.
        protocol: `authors`, or `hub` to prepare photographs as transformers does for the weights'
            repository on the Hub, and get the same maps as from there.
        cuda_graphs: On CUDA, record the network's kernels for each shape of a batch and replay
            them; None for shapes that keep coming.
        offline: Do not use the internet.
        registry: Use this `weights.toml`.

    Returns:
        A predictor: photographs in, as paths, PIL images, arrays or tensors; `DepthMap` or
        `LabelMap` (H, W) out.

    Raises:
        ArgumentError: An argument is invalid.
        RegistryError: There is no such model.
        FetchError: The weights cannot be downloaded, or their hash is wrong.
        CheckpointError: The weights do not fit the model.
        DeviceError: This machine has no such device or engine.
    """
    check_choice("task", task)
    check_choice("device", device)
    check_choice("precision", precision)
    check_choice("engine", engine)
    check_choice("protocol", protocol)
    target_hw = target_size(resolution)
    with in_pythons_words():
        file = Path(weights) if weights else None
        rows = load_registry(Path(registry) if registry else None)
        spec, _ = choose_model(rows, task, model, file)
        check_multiple(multiple_of, spec.architecture.patch_px)
        spec = in_protocol(spec, protocol, resolution, multiple_of)
        found = find_weights(spec, file, offline=offline, notify=lambda _line: None)
        loaded = load_engine(spec, found, device, precision, engine, cuda_graphs=cuda_graphs)
    return Predictor(spec, loaded, found.label, target_hw, multiple_of, found.sha256)
