"""What the shell offers: models, colormaps, classes, formats, devices; bash itself where it is."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dpt_cli.checkpoint.registry import load_registry
from dpt_cli.cli.complete import COLORMAPS
from front_door import invoke

HEAVY = ("torch", "timm", "cv2", "matplotlib")
SHELLS = ("bash", "zsh", "fish")


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def offered(typed: str, shell: str = "bash") -> list[str]:
    """Return what is offered for the last word, in the shell's own protocol."""
    last = len(typed.split(" ")) - 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("_DPT_COMPLETE", f"{shell}_complete")
        patch.setenv("COMP_WORDS", typed)
        patch.setenv("COMP_CWORD", typed.split(" ")[last] if shell == "fish" else str(last))
        lines = invoke().stdout.rstrip("\n").split("\n")
    if shell == "zsh":  # three lines an item: type, word, help
        return [word.replace("\\:", ":") for word in lines[1::3]]
    return [line.split("\t")[0].partition(",")[2] for line in lines]


DEPTH_MODELS = [spec.name for spec in load_registry().rows if spec.task == "depth"]

OFFERS = {
    "dpt depth --model ": DEPTH_MODELS,
    "dpt depth --model hyb": ["hybrid", "hybrid-kitti", "hybrid-nyu"],
    "dpt segment photo.jpg --model ": ["hybrid", "large"],
    "dpt depth --colormap inf": ["inferno", "inferno_r"],
    "dpt depth --colormap spec": ["Spectral", "Spectral_r"],
    "dpt depth --colormap gray_": ["gray_r"],
    "dpt depth --format color,pf": ["color,pfm"],
    "dpt segment --classes sky,wal": ["sky,wall"],
    "dpt depth --precision fp": ["fp32", "fp16"],
    "dpt depth --device ": ["auto", "cpu", "cuda", "mps"],
    "dpt models pull segment/": ["segment/hybrid", "segment/large"],
    "dpt models path --task segment s": ["segment/hybrid", "segment/large"],
    "dpt bench --model large,hyb": ["large,hybrid", "large,hybrid-kitti", "large,hybrid-nyu"],
    "dpt bench --task segment --resolution 384 to 512 --model ": ["hybrid", "large"],
    "dpt bench --precision fp32,b": ["fp32,bf16"],
    "dpt config ": ["depth", "segment", "bench", "doctor"],
}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("typed", OFFERS)
def test_words_are_offered(typed: str, shell: str) -> None:
    assert offered(typed, shell) == OFFERS[typed]


def test_titles_are_offered_beside_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_DPT_COMPLETE", "zsh_complete")
    monkeypatch.setenv("COMP_WORDS", "dpt depth --model lar")
    monkeypatch.setenv("COMP_CWORD", "3")
    assert invoke().stdout == "plain\nlarge\nDPT-Large (MIX 6)\n"


@pytest.mark.parametrize("layer", ["flag", "variable", "file"])
def test_models_are_those_of_the_registry_in_use(
    desk: Path, monkeypatch: pytest.MonkeyPatch, layer: str
) -> None:
    own = Path(__file__).parents[2] / "weights.toml"
    (desk / "own.toml").write_text(own.read_text().replace("[depth.large", "[depth.lavish"))
    if layer == "variable":
        monkeypatch.setenv("DPT_REGISTRY", "own.toml")
    if layer == "file":
        monkeypatch.setenv("XDG_CONFIG_HOME", str(desk))
        (desk / "dpt").mkdir()
        (desk / "dpt" / "config.toml").write_text('registry = "own.toml"\n')
    flag = "--registry own.toml " if layer == "flag" else ""
    assert offered(f"dpt depth {flag}--model la") == ["lavish"]


@pytest.mark.parametrize("text", ["modle = 3", "[", "batch-size = 'x'", "registry = 'no-such'"])
def test_a_wrong_file_is_not_told_at_the_prompt(desk: Path, text: str) -> None:
    (desk / "dpt.toml").write_text(text)
    # Not even looked at, where it is another's registry.
    assert offered("dpt depth --model lar") == ["large"]
    assert offered("dpt depth --format pf") == ["pfm"]


def test_the_colormaps_offered_are_matplotlibs() -> None:
    import matplotlib as mpl

    every = {*COLORMAPS, *(f"{name}_r" for name in COLORMAPS)}
    assert every <= set(mpl.colormaps)
    assert len(set(COLORMAPS)) == len(COLORMAPS)


# A program of its own: `dpt`, which says at its end what it imported.
SHIM = f"""#!{sys.executable}
import sys
from dpt_cli.cli import main
try:
    main()
finally:
    heavy = [name for name in {HEAVY!r} if name in sys.modules]
    print("imported:", *heavy, file=sys.stderr)
"""


@pytest.fixture
def shim(tmp_path: Path) -> dict[str, str]:
    """Put `dpt` on a path of its own; return the environment."""
    program = tmp_path / "bin" / "dpt"
    program.parent.mkdir()
    program.write_text(SHIM)
    program.chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }


@pytest.mark.parametrize("arguments", [("config",), ("config", "depth", "--json")], ids=" ".join)
def test_config_imports_nothing_heavy(shim: dict[str, str], arguments: tuple[str, ...]) -> None:
    done = subprocess.run(["dpt", *arguments], env=shim, capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "imported:"


# How each shell loads the README's line and lists what follows a word.
LISTS = {
    "bash": 'eval "$(_DPT_COMPLETE=bash_source dpt)"; COMP_WORDS=({words}); COMP_CWORD={last}; '
    "_dpt_completion dpt; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
    "zsh": 'autoload -U compinit && compinit -u -d "$PWD/dump"; '
    'eval "$(_DPT_COMPLETE=zsh_source dpt)"; echo $_comps[dpt]',
    "fish": '_DPT_COMPLETE=fish_source dpt | source; complete -C "{typed}"',
}


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_takes_the_readmes_line(shim: dict[str, str], shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} on this machine")
    typed = "dpt depth --colormap infe"
    script = LISTS[shell].format(words=typed, last=3, typed=typed)
    done = subprocess.run(
        [shell, "-c", script], env=shim, capture_output=True, text=True, check=False
    )
    expected = ["_dpt_completion"] if shell == "zsh" else ["inferno", "inferno_r"]
    assert done.stdout.split() == expected, done.stderr
    assert set(done.stderr.splitlines()) == {"imported:"}
