"""What a set of weights expects, where it comes from and what its numbers mean.

Plain frozen data, which `registry` fills from `weights.toml`.
"""

import re
from dataclasses import dataclass, replace
from typing import Literal, get_args
from urllib.parse import urlsplit

from dpt_cli.errors import RegistryError
from dpt_cli.model.config import Architecture

Task = Literal["depth", "segment"]
SourceKind = Literal["hub", "release", "bundled"]
Layout = Literal["authors", "transformers", "dpt"]
Interpolation = Literal["cubic", "area", "pillow_bilinear"]
Resize = Literal["minimal", "lower_bound", "upper_bound", "exact"]
Enlarging = Literal["bicubic", "bilinear", "bilinear_corners"]

Protocol = Literal["authors", "hub"]

PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)
TASKS: tuple[Task, ...] = ("depth", "segment")

_MIN_PREFIX_DIGITS = 8
_HEX = re.compile(r"[0-9a-fA-F]+")
# A part of a path that is a plain name on every system: no separator, drive or hidden file.
_PLAIN_NAME = re.compile(r"[\w][\w.+@() -]{0,200}(?<![. ])")
_WINDOWS_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def _require_known(name: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"unknown {name} {value!r}; there are {', '.join(known)}")


@dataclass(frozen=True)
class InputSpec:
    """How a photograph is made into a network input.

    Attributes:
        target_hw: Height and width the network size aims at [px].
        mean: Per-channel mean of RGB in [0, 1].
        std: Per-channel standard deviation of RGB in [0, 1].
        interpolation: `cubic` as the authors resize; `area`: shrunk by averaging, enlarged
            cubically; `pillow_bilinear`: as 8 bits by Pillow's bilinear filter, which averages.
        resize: Which side meets its target, the aspect ratio being kept: `minimal`, the one that
            needs less scaling; `lower_bound`, so that neither side is shorter than its target;
            `upper_bound`, so that neither is longer. `exact`: both do, whatever the ratio.
        multiple_of: What both sides are rounded to multiples of [px]; None for the patch's side.

    Source: isl-org/DPT, run_monodepth.py and run_segmentation.py; dpt/transforms.py `Resize`.
    """

    target_hw: tuple[int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: Interpolation = "cubic"
    resize: Resize = "minimal"
    multiple_of: int | None = None

    def __post_init__(self) -> None:
        _require_known("interpolation", self.interpolation, get_args(Interpolation))
        _require_known("resize", self.resize, get_args(Resize))


@dataclass(frozen=True)
class OutputSpec:
    """What the network's raw output means.

    Attributes:
        quantity: `inverse_depth` (unitless, larger is nearer, unknown scale and shift),
            `depth` ([m]) or `labels` (ADE20K logits).
        scale: For `depth`: factor on the raw output.
        shift: For `depth`: offset added to it.
        inverted: For `depth`: whether scale * raw + shift is the inverse of depth [1/m], or depth
            itself [m].
        interpolation: How depth or logits are brought to the photograph's size;
            `bilinear_corners` is bilinear with align_corners=True.

    Source: isl-org/DPT, run_monodepth.py, `DPTDepthModel(scale, shift, invert)`.
    """

    quantity: Literal["inverse_depth", "depth", "labels"]
    scale: float = 1.0
    shift: float = 0.0
    inverted: bool = True
    interpolation: Enlarging = "bicubic"

    def __post_init__(self) -> None:
        _require_known("interpolation", self.interpolation, get_args(Enlarging))


@dataclass(frozen=True)
class Source:
    """One place to download a weights file from.

    Attributes:
        kind: `hub`: a file of a Hugging Face repository; `release`: a URL of the authors;
            `bundled`: a file inside this package.
        layout: Whose parameter names the file has.
        file: File name, within the repository or the package; the URL's last part otherwise.
        repo: Repository id (hub only).
        repo_type: `model` or `space` (hub only).
        revision: Pinned commit or reference (hub only).
        url: Full address (release only).
        sha256: Expected hash of the file, 64 hex digits, or None if none is published.
        sha256_prefix: Its first hex digits, 8 or more, if only those are published.
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
        for name, known in (
            ("kind", get_args(SourceKind)),
            ("layout", get_args(Layout)),
            ("repo_type", ("model", "space", "dataset")),
        ):
            if getattr(self, name) not in known:
                raise RegistryError(
                    f"a source's {name} is {getattr(self, name)!r}: not one of {known}"
                )
        missing = [name for name in needs[self.kind] if not getattr(self, name)]
        if missing:
            raise RegistryError(f"a {self.kind} source of {self.file!r} lacks {missing}")
        most = 1 if self.kind == "release" else 20
        _require_plain_path("file", self.file, most)
        if self.kind == "hub":
            _require_plain_path("repo", self.repo, 2)
            _require_plain_path("revision", self.revision, 20)
        self._require_sound_hashes()

    def _require_sound_hashes(self) -> None:
        if self.sha256 is not None and not (len(self.sha256) == 64 and _HEX.fullmatch(self.sha256)):
            raise RegistryError(f"the sha256 of {self.file!r} is not 64 hex digits")
        prefix = self.sha256_prefix
        if prefix is not None and not (
            len(prefix) >= _MIN_PREFIX_DIGITS and _HEX.fullmatch(prefix)
        ):
            raise RegistryError(
                f"the sha256_prefix of {self.file!r} is not {_MIN_PREFIX_DIGITS} hex digits or more"
            )
        if self.size is not None and not (type(self.size) is int and self.size > 0):
            raise RegistryError(f"the size of {self.file!r} is not a number of bytes")
        if self.url and urlsplit(self.url).scheme not in ("https", "http"):
            raise RegistryError(f"the url of {self.file!r} is not https: {self.url!r}")

    @property
    def is_weak(self) -> bool:
        """Whether a forged file could pass its check, as there is no whole SHA-256 in the registry.

        Eight digits take a minute to match, and the Hub's own hash is whatever its server sends.
        """
        return self.sha256 is None

    def __str__(self) -> str:
        if self.kind == "hub":
            space = "" if self.repo_type == "model" else f"{self.repo_type}s/"
            return f"{space}{self.repo}@{self.revision[:12]}/{self.file}"
        return self.url if self.kind == "release" else f"bundled {self.file.rpartition('/')[2]}"


def _require_plain_path(name: str, path: str, most: int) -> None:
    """Refuse a path that could leave its folder on any system."""
    parts = path.split("/") if isinstance(path, str) else []
    is_plain = 1 <= len(parts) <= most and all(
        _PLAIN_NAME.fullmatch(part) and ".." not in part and not _WINDOWS_DEVICES.fullmatch(part)
        for part in parts
    )
    if not is_plain:
        raise RegistryError(f"a source's {name} is {path!r}, which is no plain name")


@dataclass(frozen=True)
class KnownFile:
    """A published file that is never downloaded, but recognised when a user gives it.

    Attributes:
        file: Its name.
        page: Where people get it.
        sha256: Its hash, 64 hex digits, or None where it is not known.
    """

    file: str
    page: str
    sha256: str | None = None

    def __post_init__(self) -> None:
        if self.sha256 is not None and not (len(self.sha256) == 64 and _HEX.fullmatch(self.sha256)):
            raise RegistryError(f"the sha256 of {self.file!r} is not 64 hex digits")


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
        reported: The accuracy that its authors report, in words.
        sources: Where the file can be downloaded, best first.
        is_default: Whether the task uses this row when no model is named.
        hub_protocol: Whether the row's repository on the Hub prepares photographs in its own way;
            see `as_on_the_hub`.
        protocol: How photographs are prepared: as the authors do, or as that repository does.
        commercial: Whether the licence allows commercial use.
        eth3d_abs_rel: AbsRel on ETH3D in the table of MiDaS's README; None for what is not in it.
        known_files: Published files that are recognised, but never downloaded.
    """

    task: Task
    name: str
    title: str
    architecture: Architecture
    num_parameters: int
    input: InputSpec
    output: OutputSpec
    licence: str
    reported: str
    sources: tuple[Source, ...]
    is_default: bool = False
    hub_protocol: bool = False
    protocol: Protocol = "authors"
    commercial: bool = True
    eth3d_abs_rel: float | None = None
    known_files: tuple[KnownFile, ...] = ()

    @property
    def sha256s(self) -> frozenset[str]:
        """Return the hashes of its published files, as far as they are known."""
        files: list[Source | KnownFile] = [*self.sources, *self.known_files]
        return frozenset(it.sha256.lower() for it in files if it.sha256)

    @property
    def file_names(self) -> frozenset[str]:
        """Return the names of its published files."""
        files: list[Source | KnownFile] = [*self.sources, *self.known_files]
        return frozenset(it.file.rpartition("/")[2] for it in files)

    @property
    def id(self) -> str:
        """Return `task/name`, which no other row has."""
        return f"{self.task}/{self.name}"

    @property
    def multiple_of(self) -> int:
        """Return what the sides of a network size are multiples of by default [px]."""
        return self.input.multiple_of or self.architecture.patch_px

    def as_on_the_hub(self) -> "CheckpointSpec":
        """Return the row with the protocol of its repository on the Hub.

        A photograph is squashed to the target size, and logits are brought back bilinearly. The
        same photograph thus gives the same map in transformers.

        Source: huggingface/transformers, image_processing_dpt.py, and preprocessor_config.json of
            Intel/dpt-large, Intel/dpt-hybrid-midas and Intel/dpt-large-ade.
        """
        is_depth = self.task == "depth"
        return replace(
            self,
            protocol="hub",
            input=replace(self.input, resize="exact", interpolation="pillow_bilinear"),
            output=replace(self.output, interpolation="bicubic" if is_depth else "bilinear"),
        )

    @property
    def meaning(self) -> str:
        """Return in words what the numbers mean."""
        return {
            "inverse_depth": "relative inverse depth, larger is nearer, no unit",
            "depth": "depth in metres",
            "labels": "ADE20K classes",
        }[self.output.quantity]
