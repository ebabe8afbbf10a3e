"""What a set of weights expects, where it comes from and what its numbers mean.

Plain frozen data, filled by `registry` from `weights.toml`. Nothing here reads a file.
"""

from dataclasses import dataclass
from typing import Literal, get_args

from dpt_cli.errors import RegistryError
from dpt_cli.model.config import DPTConfig

Task = Literal["depth", "segment"]
SourceKind = Literal["hub", "release", "bundled"]
Layout = Literal["authors", "transformers", "dpt"]
Interpolation = Literal["cubic", "area"]

TASKS: tuple[Task, ...] = ("depth", "segment")


@dataclass(frozen=True)
class InputSpec:
    """How a photograph is made into a network input.

    Attributes:
        target_hw: Height and width [px] the "minimal" rule aims at.
        mean: Per-channel mean of RGB in [0, 1].
        std: Per-channel standard deviation of RGB in [0, 1].
        interpolation: `cubic` as the authors resize, or `area`: shrunk by averaging, enlarged
            cubically.

    Source: isl-org/DPT, run_monodepth.py and run_segmentation.py.
    """

    target_hw: tuple[int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: Interpolation = "cubic"

    def __post_init__(self) -> None:
        if self.interpolation not in get_args(Interpolation):
            raise ValueError(f"unknown interpolation {self.interpolation!r}")


@dataclass(frozen=True)
class OutputSpec:
    """What the network's raw output means.

    Attributes:
        quantity: `inverse_depth` (unitless, larger is nearer, unknown scale and shift),
            `depth` ([m], as 1 / (scale * raw + shift)) or `labels` (ADE20K logits).
        scale: For `depth`: factor on the raw output [1/m].
        shift: For `depth`: offset added to it [1/m].

    Source: isl-org/DPT, run_monodepth.py, `DPTDepthModel(scale, shift, invert)`.
    """

    quantity: Literal["inverse_depth", "depth", "labels"]
    scale: float = 1.0
    shift: float = 0.0


@dataclass(frozen=True)
class Source:
    """One place a weights file can be had.

    Attributes:
        kind: `hub`: a file of a Hugging Face repository; `release`: a URL of the authors;
            `bundled`: a file inside this package.
        layout: Whose parameter names the file uses.
        file: File name, within the repository or the package; the URL's last part otherwise.
        repo: Repository id (hub only).
        repo_type: `model` or `space` (hub only).
        revision: Pinned commit or reference (hub only).
        url: Full address (release only).
        sha256: Expected hash of the file, 64 hex digits, or None where none is published.
        sha256_prefix: First hex digits of it, where only those are published.
        size: Expected size [bytes], or None.
    """

    kind: SourceKind
    layout: Layout
    file: str
    repo: str = ""
    repo_type: Literal["model", "space", "dataset"] = "model"
    revision: str = ""
    url: str = ""
    sha256: str | None = None
    sha256_prefix: str | None = None
    size: int | None = None

    def __post_init__(self) -> None:
        needs = {"hub": ("repo", "revision"), "release": ("url",), "bundled": ("sha256",)}
        missing = [name for name in needs[self.kind] if not getattr(self, name)]
        if missing:
            raise RegistryError(f"a {self.kind} source of {self.file!r} lacks {missing}")

    def __str__(self) -> str:
        if self.kind == "hub":
            space = "" if self.repo_type == "model" else f"{self.repo_type}s/"
            return f"{space}{self.repo}@{self.revision[:12]}/{self.file}"
        return self.url if self.kind == "release" else f"bundled {self.file}"


@dataclass(frozen=True)
class CheckpointSpec:
    """One row of `weights.toml`: a named set of weights for one task.

    Attributes:
        task: `depth` or `segment`.
        name: The word after `--model`.
        title: The weights' name in prose.
        architecture: The shape of the network.
        num_parameters: Parameters the network reads.
        input: How photographs are prepared.
        output: What the numbers mean.
        licence: SPDX identifier of the weights' licence.
        reported: The accuracy the paper reports, in words.
        sources: Where the file can be had, best first; empty where nobody published one.
        is_default: Whether the task uses this row when no model is named.
    """

    task: Task
    name: str
    title: str
    architecture: DPTConfig
    num_parameters: int
    input: InputSpec
    output: OutputSpec
    licence: str
    reported: str
    sources: tuple[Source, ...]
    is_default: bool = False

    @property
    def id(self) -> str:
        """Return `task/name`, which no other row has."""
        return f"{self.task}/{self.name}"

    @property
    def meaning(self) -> str:
        """Say in words what the numbers mean."""
        return {
            "inverse_depth": "relative inverse depth, larger is nearer, no unit",
            "depth": "depth in metres",
            "labels": "ADE20K classes",
        }[self.output.quantity]
