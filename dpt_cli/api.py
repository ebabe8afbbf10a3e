"""A model's name to a predictor: find the weights, load the network, make it ready on a device."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

from dpt_cli.checkpoint.fetch import Notify, fetch
from dpt_cli.checkpoint.integrity import sha256_of
from dpt_cli.errors import FetchError
from dpt_cli.maps import DepthMap, LabelMap
from dpt_cli.model.config import PATCH_SIZE
from dpt_cli.predict import Predictor
from dpt_cli.registry import load_registry
from dpt_cli.specs import CheckpointSpec, Task

if TYPE_CHECKING:
    from dpt_cli.engine import Engine


@dataclass(frozen=True)
class Weights:
    """A weights file chosen for a row.

    Attributes:
        path: The file.
        sha256: Hash of its content, 64 hex digits.
        label: What made a map, as written into it: the row, the file's origin and its hash.
        checked: In words, what the hash was compared with.
    """

    path: Path
    sha256: str
    label: str
    checked: str


def find_weights(
    spec: CheckpointSpec, file: Path | None = None, *, offline: bool = False, notify: Notify
) -> Weights:
    """Return the user's own file, or else the row's from the cache or its sources.

    Raises:
        FetchError: There is no such file, or no source gave it.
    """
    if file is not None:
        if not file.is_file():
            raise FetchError(f"no weights file {file}")
        sha256 = sha256_of(file)
        label = f"{spec.id} from {file.name}, sha256 {sha256}"
        return Weights(file, sha256, label, "nothing (a file of your own)")
    found = fetch(spec, offline=offline, notify=notify)
    label = f"{spec.id} from {found.source}, sha256 {found.sha256}"
    return Weights(found.path, found.sha256, label, found.checked)


def load_engine(
    spec: CheckpointSpec, weights: Weights, device: str = "auto", precision: str = "auto"
) -> "Engine":
    """Load a weights file into its row's network and make it ready on a device.

    Raises:
        CheckpointError: The file is damaged or does not fit the row's architecture.
        DeviceError: This machine has no such device, or too little memory on it.
    """
    from dpt_cli.checkpoint.load import load_network
    from dpt_cli.engine.torch_engine import TorchEngine

    return TorchEngine(load_network(weights.path, spec.architecture), device, precision)


@overload
def load(
    model: str | None = ...,
    *,
    task: Literal["depth"] = ...,
    weights: Path | str | None = ...,
    device: str = ...,
    precision: str = ...,
    resolution: int | tuple[int, int] | None = ...,
    multiple_of: int = ...,
    offline: bool = ...,
    registry: Path | str | None = ...,
) -> Predictor[DepthMap]: ...


@overload
def load(
    model: str | None = ...,
    *,
    task: Literal["segment"],
    weights: Path | str | None = ...,
    device: str = ...,
    precision: str = ...,
    resolution: int | tuple[int, int] | None = ...,
    multiple_of: int = ...,
    offline: bool = ...,
    registry: Path | str | None = ...,
) -> Predictor[LabelMap]: ...


def load(
    model: str | None = None,
    *,
    task: Task = "depth",
    weights: Path | str | None = None,
    device: str = "auto",
    precision: str = "auto",
    resolution: int | tuple[int, int] | None = None,
    multiple_of: int = PATCH_SIZE,
    offline: bool = False,
    registry: Path | str | None = None,
) -> Predictor[DepthMap] | Predictor[LabelMap]:
    """Load a model and return a function from photographs to maps.

    Downloads the weights on first use, into the Hugging Face cache.

    Args:
        model: A name that `dpt models list` shows; None for the task's default.
        task: `depth` or `segment`.
        weights: A weights file to use instead of the published one.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        precision: `auto` (fp16 on CUDA, fp32 elsewhere), `fp32`, `fp16` or `bf16`.
        resolution: What the network size aims at [px]: a side, or (height, width).
        multiple_of: 16, or 32 for the authors' network sizes.
        offline: Never touch the network.
        registry: Another `weights.toml`.

    Returns:
        A predictor: uint8 (H, W, 3) RGB in, `DepthMap` or `LabelMap` (H, W) out.

    Raises:
        RegistryError: No such model.
        FetchError: The weights cannot be had, or are not the right file.
        CheckpointError: The weights do not fit the model.
        DeviceError: This machine has no such device.
    """
    spec = load_registry(Path(registry) if registry else None).find(task, model)
    file = Path(weights) if weights else None
    found = find_weights(spec, file, offline=offline, notify=lambda _line: None)
    engine = load_engine(spec, found, device, precision)
    target_hw = (resolution, resolution) if isinstance(resolution, int) else resolution
    return Predictor(spec, engine, found.label, target_hw, multiple_of)
