"""The house rules of CONTRIBUTING.md: who may import what, and what a file may be."""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]
_PACKAGE = _ROOT / "dpt_cli"

# Room by room, longest match first: the third-party packages and the rooms below it may use.
_ROOMS: dict[str, tuple[set[str], set[str]]] = {
    "errors": (set(), set()),
    "ade20k": (set(), set()),
    "colormaps": (set(), set()),
    "host": (set(), set()),
    "files": (set(), {"errors"}),
    "headers": (set(), set()),
    "budget": (set(), {"errors", "headers", "host"}),
    "made": (set(), {"errors", "manifest"}),
    "maps": ({"numpy"}, set()),
    "specs": (set(), {"errors", "model.config"}),
    "registry": (set(), {"specs", "errors", "model.config"}),
    "inputs": (set(), {"errors"}),
    "decode": ({"numpy", "cv2"}, {"files", "headers", "errors"}),
    "plan": (set(), {"inputs", "errors"}),
    "manifest": (set(), {"errors", "files"}),
    "preprocess": ({"numpy", "cv2"}, {"specs", "model.config"}),
    "model.config": (set(), set()),
    "model.timm_parts": ({"torch", "timm", "torchvision"}, set()),
    "model": ({"torch"}, {"model"}),
    "checkpoint.stamp": ({"huggingface_hub"}, set()),
    "checkpoint.integrity": ({"huggingface_hub"}, {"checkpoint.stamp", "specs", "errors"}),
    "checkpoint.download": ({"huggingface_hub", "httpx2"}, {"errors"}),
    "checkpoint.hub_cache": (
        {"huggingface_hub"},
        {"checkpoint.download", "checkpoint.integrity", "specs", "errors"},
    ),
    "checkpoint.fetch": (
        {"huggingface_hub"},
        {"checkpoint.download", "checkpoint.hub_cache", "checkpoint.integrity", "specs", "errors"},
    ),
    "checkpoint.leftovers": (
        {"huggingface_hub"},
        {"checkpoint.integrity", "checkpoint.stamp", "specs"},
    ),
    "checkpoint.convert": ({"torch"}, {"errors", "specs"}),
    "checkpoint.stored": ({"torch"}, set()),
    "checkpoint.safetensors_file": ({"torch"}, {"checkpoint.stored"}),
    "checkpoint.pickle_names": ({"torch"}, {"checkpoint.stored"}),
    "checkpoint.pickled_file": ({"torch"}, {"checkpoint.stored", "checkpoint.pickle_names"}),
    "checkpoint.contents": (
        set(),
        {
            "checkpoint.stored",
            "checkpoint.safetensors_file",
            "checkpoint.pickle_names",
            "checkpoint.pickled_file",
            "errors",
        },
    ),
    "checkpoint.read": ({"torch"}, {"checkpoint.stored", "host"}),
    "checkpoint.load": (
        {"torch"},
        {
            "checkpoint.contents",
            "checkpoint.convert",
            "checkpoint.read",
            "checkpoint.stamp",
            "checkpoint.stored",
            "model",
            "errors",
        },
    ),
    "checkpoint": (set(), set()),
    "engine.choice": (set(), {"errors"}),
    "engine.openvino_engine": ({"numpy"}, {"engine", "errors"}),
    "engine.openvino_compiled": ({"openvino"}, {"engine.openvino_files", "engine.openvino_keep"}),
    "engine.openvino_files": ({"numpy"}, set()),
    "engine.openvino_keep": (set(), {"engine.openvino_files"}),
    "engine.child": (set(), {"errors"}),
    "engine.openvino_export": ({"numpy", "torch"}, {"engine", "model", "errors"}),
    "engine.openvino_int8": ({"numpy", "nncf"}, {"engine", "errors"}),
    "engine": ({"numpy", "torch"}, {"engine", "model", "errors"}),
    "postprocess": ({"numpy"}, {"specs"}),
    "predict": (
        {"numpy"},
        {"preprocess", "engine", "postprocess", "specs", "maps", "model.config"},
    ),
    "colorize": ({"numpy", "cv2", "matplotlib"}, {"maps", "ade20k", "colormaps", "errors"}),
    "writers": ({"numpy"}, {"files", "maps", "ade20k"}),
    "batch": ({"numpy"}, {"budget", "host", "errors", "plan", "predict", "engine"}),
    "measure": (set(), set()),
    "measure.rows": ({"numpy"}, {"preprocess", "specs"}),
    "measure.estimate": ({"torch"}, {"model", "measure.peaks", "measure.rows"}),
    "measure.peaks": ({"torch"}, {"measure.rows"}),
    "measure.machine": ({"torch"}, {"host"}),
    "measure.forecast": (set(), {"measure.estimate", "measure.machine", "measure.rows"}),
    "measure.drift": ({"numpy"}, {"maps"}),
    "measure.loaded": (
        {"numpy"},
        {"measure", "engine", "predict", "maps", "specs", "model.config", "errors"},
    ),
    "measure.bench": (set(), {"measure", "specs", "errors"}),
    "measure.advice": (set(), {"measure.rows"}),
    "conversion_place": (set(), {"checkpoint.fetch", "engine", "errors"}),
    "conversion": (
        {"numpy"},
        {
            *("decode", "inputs", "predict", "maps", "specs", "checkpoint", "engine"),
            *("measure.drift", "model.config", "conversion_place", "errors"),
        },
    ),
    "api": (
        set(),
        {
            *("registry", "specs", "maps", "predict", "engine", "conversion", "checkpoint"),
            *("model", "errors"),
        },
    ),
    "cli.bench_plot": ({"numpy", "matplotlib"}, {"measure.machine", "measure.rows"}),
    "cli": ({"click", "rich", "numpy"}, {""}),
    "": (set(), {""}),
}
_WRITING_ROOMS = (
    *("files", "inputs", "made", "registry", "checkpoint", "manifest", "cli"),
    *("host", "measure.machine"),  # what the operating system tells, it tells in files
    *("conversion", "engine.openvino"),  # OpenVINO's own files
)
_WRITING_CALLS = {"open", "write_text", "write_bytes", "read_bytes", "read_text", "unlink"}


def _modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(_PACKAGE.rglob("*.py")):
        parts = path.relative_to(_PACKAGE).with_suffix("").parts
        yield ".".join(part for part in parts if part != "__init__"), path


_NAMES = dict(_modules())


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _room(module: str) -> str:
    parts = module.split(".")
    while ".".join(parts) not in _ROOMS:
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
    """Return the module of ours that an imported name lies in."""
    if name.partition(".")[0] != "dpt_cli":
        return None
    inner = name.removeprefix("dpt_cli").lstrip(".")
    while inner not in _NAMES:
        inner = inner.rpartition(".")[0]
    return inner


@pytest.mark.parametrize("module", _NAMES)
def test_third_party_packages_stay_in_their_rooms(module: str) -> None:
    used = {name.partition(".")[0] for name in _imports(_NAMES[module])}
    foreign = used - set(sys.stdlib_module_names) - {"dpt_cli"}
    assert foreign <= _ROOMS[_room(module)][0]


@pytest.mark.parametrize("module", _NAMES)
def test_rooms_use_only_the_rooms_below(module: str) -> None:
    allowed = _ROOMS[_room(module)][1]
    used = {inner for name in _imports(_NAMES[module]) if (inner := _inner(name)) is not None}
    forbidden = {
        inner
        for inner in used
        if not any(room == "" or f"{inner}.".startswith(f"{room}.") for room in allowed)
        and inner != ""
    }
    assert not forbidden


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


@pytest.mark.parametrize("module", [name for name in _NAMES if _room(name) not in ("cli", "")])
def test_nothing_below_the_cli_prints_or_exits(module: str) -> None:
    names = {node.id for node in ast.walk(_tree(_NAMES[module])) if isinstance(node, ast.Name)}
    assert not names & {"print", "exit", "breakpoint"}


@pytest.mark.parametrize("module", [n for n in _NAMES if not n.startswith(_WRITING_ROOMS)])
def test_files_are_opened_only_where_files_live(module: str) -> None:
    calls = {
        node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        for node in ast.walk(_tree(_NAMES[module]))
        if isinstance(node, ast.Call)
    }
    assert not calls & _WRITING_CALLS


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


def test_the_top_level_holds_only_what_it_should() -> None:
    known = {
        "dpt_cli", "weights.toml", "tests", "pyproject.toml", "README.md", "LICENSE",
        "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "Makefile", "CITATION.cff",
        ".pre-commit-config.yaml", ".ci", "examples", "training", "benchmarks", ".gitignore",
        "docs", "mkdocs.yml",
    }  # fmt: skip
    made = {".git", ".venv", ".mypy_cache", ".pytest_cache", ".ruff_cache", "dist", "build",
            "dpt-out"}  # fmt: skip
    assert {path.name for path in _ROOT.iterdir()} <= known | made
