"""The rules of CONTRIBUTING.md: which folder may import which, and how files are named."""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]
_PACKAGE = _ROOT / "dpt_cli"

# Folder by folder: the third-party packages and the other folders each may use. An entry for a file
# beats its folder's. In this order nothing imports upward.
_FOLDERS: dict[str, tuple[set[str], set[str]]] = {
    "version": (set(), set()),
    "errors": (set(), set()),
    "host": (set(), set()),
    "model": ({"torch"}, set()),
    "model.timm_parts": ({"torch", "timm", "torchvision"}, set()),
    "model.config": (set(), set()),
    "model.architectures": (set(), set()),
    "model.layouts": (set(), set()),
    "photos": ({"numpy", "cv2"}, {"errors"}),
    "photos.heif": ({"numpy", "PIL"}, {"errors"}),
    "photos.heic": ({"numpy", "pillow_heif"}, {"errors"}),
    "photos.find": (set(), {"errors"}),
    "photos.headers": (set(), set()),
    "maps": ({"numpy", "cv2", "matplotlib", "PIL"}, {"errors", "version"}),
    "calibration": ({"numpy", "cv2"}, {"maps", "errors"}),
    "checkpoint": ({"torch", "huggingface_hub", "httpx2"}, {"model", "errors", "host"}),
    "checkpoint.registry": (set(), {"model.config", "model.architectures", "errors"}),
    "checkpoint.specs": (set(), {"model.config", "errors"}),
    "engine": ({"numpy", "torch", "openvino", "nncf"}, {"model", "errors", "host"}),
    "engine.choice": (set(), {"errors", "host"}),
    "engine.openvino.engine": ({"numpy"}, {"errors"}),
    "formats": ({"numpy"}, {"maps", "photos", "errors"}),
    "formats.entry": (set(), {"maps", "errors"}),
    "formats.png": ({"numpy", "isal"}, {"errors"}),
    "formats.read": ({"numpy", "PIL"}, {"maps", "photos", "errors"}),
    "metrics": ({"numpy"}, {"maps"}),
    "metrics.ablations": (set(), set()),
    "metrics.protocol": (set(), set()),
    "metrics.published": (set(), set()),
    "metrics.datasets": (set(), set()),
    "predict.pictures": ({"numpy", "PIL"}, {"photos"}),
    "predict": (
        {"numpy", "cv2", "PIL"},
        {"photos", "checkpoint", "engine", "maps", "metrics", "model.config", "errors", "host"},
    ),
    "pipeline": (
        {"numpy"},
        {
            *(
                "predict",
                "formats",
                "maps",
                "photos",
                "calibration",
                "checkpoint",
                "engine",
                "host",
                "errors",
            ),
            "version",
        },
    ),
    "pipeline.plan": (set(), {"photos.find", "errors"}),
    "gallery": (
        {"numpy", "cv2", "PIL", "jinja2", "markupsafe"},
        {"formats", "maps", "photos", "pipeline", "host", "errors", "version"},
    ),
    "evaluation": (
        {"numpy", "cv2", "torch", "h5py", "scipy"},
        {
            *("pipeline", "predict", "formats", "metrics", "maps", "photos", "checkpoint.specs"),
            *("engine", "errors"),
        },
    ),
    "bench": (
        {"numpy", "torch"},
        {
            *("predict", "metrics", "maps", "photos", "checkpoint.specs", "engine", "model"),
            *("host", "errors"),
        },
    ),
    "doctor": (
        {"numpy", "torch", "huggingface_hub"},
        {
            *("predict", "pipeline", "formats", "photos", "checkpoint", "engine", "model"),
            *("host", "errors", "version"),
        },
    ),
    "cli": ({"click", "rich", "numpy", "matplotlib"}, {""}),
    "": (set(), {""}),
}
_OPENS_FILES = (
    *("formats.files", "formats.read", "formats.recorded", "photos", "checkpoint", "gallery"),
    *("pipeline.manifest", "pipeline.made", "cli"),
    *("host", "bench.machine"),  # the operating system answers in files
    "calibration.known",
    "doctor.folder",  # tries out a folder
    "evaluation",
    *("predict.conversion", "engine.openvino"),  # OpenVINO's own files
)
_OPENING_CALLS = {"open", "write_text", "write_bytes", "read_bytes", "read_text", "unlink"}


def _modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(_PACKAGE.rglob("*.py")):
        parts = path.relative_to(_PACKAGE).with_suffix("").parts
        yield ".".join(part for part in parts if part != "__init__"), path


_NAMES = dict(_modules())


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _folder(module: str) -> str:
    parts = module.split(".")
    while ".".join(parts) not in _FOLDERS:
        parts.pop()
    return ".".join(parts)


def _imports(path: Path, *, only_at_import: bool = False) -> Iterator[str]:
    nodes = _top_level(_tree(path)) if only_at_import else ast.walk(_tree(path))
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _top_level(tree: ast.Module) -> Iterator[ast.stmt]:
    for node in tree.body:
        if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)):
            yield node


def _inner(name: str) -> str | None:
    """Return the module of dpt_cli that an imported name belongs to."""
    if name.partition(".")[0] != "dpt_cli":
        return None
    inner = name.removeprefix("dpt_cli").lstrip(".")
    while inner not in _NAMES:
        inner = inner.rpartition(".")[0]
    return inner


@pytest.mark.parametrize("module", _NAMES)
def test_third_party_packages_stay_in_their_folders(module: str) -> None:
    used = {name.partition(".")[0] for name in _imports(_NAMES[module])}
    foreign = used - set(sys.stdlib_module_names) - {"dpt_cli"}
    assert foreign <= _FOLDERS[_folder(module)][0]


@pytest.mark.parametrize("module", _NAMES)
def test_folders_use_only_the_folders_below(module: str) -> None:
    allowed = {*_FOLDERS[_folder(module)][1], module.partition(".")[0]}
    used = {inner for name in _imports(_NAMES[module]) if (inner := _inner(name)) is not None}
    forbidden = {
        inner
        for inner in used
        if not any(place == "" or f"{inner}.".startswith(f"{place}.") for place in allowed)
        and inner != ""
    }
    assert not forbidden


def test_no_folder_uses_one_above_it() -> None:
    folders = [name for name in _FOLDERS if name and "." not in name]
    for name, (_, below) in _FOLDERS.items():
        place = name.partition(".")[0]
        used = {other.partition(".")[0] for other in below} - {""}
        assert all(folders.index(other) < folders.index(place) for other in used), name


def test_no_two_files_import_each_other() -> None:
    graph = {
        module: {inner for name in _imports(path) if (inner := _inner(name)) not in (None, module)}
        for module, path in _NAMES.items()
    }
    done: set[str] = set()

    def visit(module: str, above: tuple[str, ...]) -> None:
        assert module not in above, f"a circle: {' -> '.join((*above, module))}"
        if module not in done:
            for other in graph[module]:
                visit(str(other), (*above, module))
            done.add(module)

    for module in graph:
        visit(module, ())


@pytest.mark.parametrize("module", [name for name in _NAMES if _folder(name) not in ("cli", "")])
def test_nothing_below_the_cli_prints_or_exits(module: str) -> None:
    names = {node.id for node in ast.walk(_tree(_NAMES[module])) if isinstance(node, ast.Name)}
    assert not names & {"print", "exit", "breakpoint"}


@pytest.mark.parametrize("module", [n for n in _NAMES if not n.startswith(_OPENS_FILES)])
def test_files_are_opened_only_where_files_live(module: str) -> None:
    calls = {
        node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        for node in ast.walk(_tree(_NAMES[module]))
        if isinstance(node, ast.Call)
    }
    assert not calls & _OPENING_CALLS


@pytest.mark.parametrize("module", _NAMES)
def test_a_file_says_what_it_is_for(module: str) -> None:
    path = _NAMES[module]
    docstring = ast.get_docstring(_tree(path))
    assert docstring
    if module:  # the package's own docstring is its manual
        assert len(docstring.splitlines()) <= 4
    assert path.stem not in ("utils", "helpers", "common", "misc")


@pytest.mark.parametrize("module", [name for name in _NAMES if name.startswith("model.")])
def test_every_class_of_the_network_names_its_source(module: str) -> None:
    for node in ast.walk(_tree(_NAMES[module])):
        if isinstance(node, ast.ClassDef) and not node.name.endswith("Config"):
            docstring = ast.get_docstring(node) or ""
            assert "DPT §" in docstring or "DPT supplement" in docstring or "Source:" in docstring
