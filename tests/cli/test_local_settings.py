"""A settings file found in the current folder, which may have come from anyone."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dpt_cli.checkpoint.registry import MAX_TOML_BYTES
from front_door import FrontDoor, invoke, paths

FILES = {"dpt.toml": "", "pyproject.toml": "[tool.dpt]\n"}


@pytest.fixture
def user(dpt: FrontDoor, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where the user's own settings file goes."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(dpt.desk.parent / "config"))
    path = dpt.desk.parent / "config" / "dpt" / "config.toml"
    path.parent.mkdir(parents=True)
    return path


# Announced


@pytest.mark.parametrize("name", FILES)
def test_a_file_in_the_folder_is_announced_in_one_line(dpt: FrontDoor, name: str) -> None:
    dpt.photograph("a.png")
    Path(name).write_text(f'{FILES[name]}format = "npy"\nbatch-size = 2\nopacity = 1.0\n')
    line, *_ = dpt("depth", "a.png").stderr.splitlines()
    assert f"./{name}" in line
    assert ("format" in line, "batch-size" in line, "opacity" in line) == (True, True, False)


def test_what_the_user_sets_himself_is_not_announced(
    dpt: FrontDoor, user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dpt.photograph("a.png")
    user.write_text("batch-size = 2\n")
    monkeypatch.setenv("DPT_RESOLUTION", "96")
    Path("dpt.toml").write_text('format = "npy"\nresolution = 32\n')
    assert "settings from" not in dpt("depth", "a.png", "--format", "color").stderr


def test_a_file_in_the_folder_cannot_silence_its_announcement(dpt: FrontDoor, user: Path) -> None:
    dpt.photograph("a.png")
    Path("dpt.toml").write_text("quiet = true\n")
    assert "settings from ./dpt.toml: quiet" in dpt("depth", "a.png").stderr
    assert dpt("depth", "a.png", "-q").stderr == ""
    Path("dpt.toml").write_text("batch-size = 2\n")
    user.write_text("quiet = true\n")
    assert dpt("depth", "a.png").stderr == ""


# Refused

REFUSED = {
    "registry": ("depth", "a.png"),
    "weights": ("depth", "a.png"),
    "output": ("depth", "a.png"),
    "known-from": ("depth", "a.png"),
    "known-depth": ("depth", "a.png"),
    "depth-stats": ("segment", "a.png"),
    "csv": ("bench",),
    "plot": ("bench",),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("key", REFUSED)
def test_what_reaches_beyond_the_folder_is_refused(dpt: FrontDoor, key: str, name: str) -> None:
    dpt.photograph("a.png")
    victim = dpt.desk.parent / "victim.png"
    victim.write_text("mine")
    Path(name).write_text(f'{FILES[name]}{key} = "{victim}"\n')
    result = invoke(*REFUSED[key], code=2)
    (error,) = result.stderr.splitlines()
    for way_out in (f"./{name}", f"--{key}", f"DPT_{key.upper().replace('-', '_')}", "config.toml"):
        assert way_out in error
    assert victim.read_text() == "mine"
    assert result.stdout == ""


@pytest.mark.parametrize("table", ["", "[depth]\n"])
@pytest.mark.parametrize(
    "folder", ["/out", "../out", "in/../../out", "~/out", "link", "link/below"]
)
def test_an_output_that_leaves_the_folder_is_refused(
    dpt: FrontDoor, table: str, folder: str
) -> None:
    dpt.photograph("a.png")
    Path("link").symlink_to(dpt.desk.parent)
    Path("dpt.toml").write_text(f'{table}output = "{folder}"\n')
    assert "--output" in dpt("depth", "a.png", code=2).stderr


@pytest.mark.parametrize("folder", ["out", "./a/b", "inside", "a b"])
def test_an_output_in_the_folder_is_taken(dpt: FrontDoor, folder: str) -> None:
    dpt.photograph("a.png")
    Path("real").mkdir()
    Path("inside").symlink_to("real")
    Path("dpt.toml").write_text(f'output = "{folder}"\n')
    assert paths(dpt("depth", "a.png")) == [str(Path(folder, "a_depth.png"))]


@pytest.mark.parametrize("way_out", ["flag", "variable", "own variable", "user"])
def test_every_way_out_works(
    dpt: FrontDoor, user: Path, monkeypatch: pytest.MonkeyPatch, way_out: str
) -> None:
    dpt.photograph("a.png")
    Path("dpt.toml").write_text('output = "/nowhere"\n')
    if way_out == "variable":
        monkeypatch.setenv("DPT_OUTPUT", "../out")
    elif way_out == "own variable":
        monkeypatch.setenv("DPT_DEPTH_OUTPUT", "../out")
    elif way_out == "user":
        user.write_text('output = "../out"\n')
    flags = ("-o", "../out") if way_out == "flag" else ()
    assert paths(dpt("depth", "a.png", *flags)) == ["../out/a_depth.png"]


def test_the_users_own_file_keeps_every_key(dpt: FrontDoor, user: Path) -> None:
    dpt.photograph("a.png")
    output = dpt.desk.parent / "elsewhere"
    text = f'registry = "{dpt.registry}"\nweights = "{dpt.weights()}"\noutput = "{output}"\n'
    user.write_text(text + 'csv = "../rows.csv"\n')
    result = invoke("depth", "a.png")
    assert paths(result) == [str(output / "a_depth.png")]
    assert "settings from" not in result.stderr


def test_a_key_of_another_command_is_not_in_the_way(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    Path("dpt.toml").write_text('[bench]\ncsv = "/rows.csv"\n')
    dpt("depth", "a.png")


# Files that are no settings


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _text(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


HOSTILE: dict[str, Callable[[Path], object]] = {
    "nested arrays": _text(b"a = " + b"[" * 50_000),
    "nested tables": _text(b"a = " + b"{a=" * 50_000),
    "dotted key": _text(b"a." * 400_000 + b"b = 1"),
    "many long keys": _text((b"a." * 500 + b"b = 1\n") * 900),
    "under a long header": _text(b"[" + b"a." * 5000 + b"b]\n" + b"c = 1\n" * 100_000),
    "huge": _text(b"# " + b"x" * MAX_TOML_BYTES),
    "not UTF-8": _text(b"device = '\xff'"),
    "NUL": _text(b"device = '\0'"),
    "escaped NUL": _text(b'output = "a\\u0000b"'),
    "NUL in a list": _text(b'[bench]\nimages = ["a\\u0000b"]'),
    "long number": _text(b"batch-size = 0x" + b"f" * 100_000),
    "long number in words": _text(b"device = 0x" + b"f" * 100_000),
    "list of numbers": _text(b"[bench]\nimages = [1]"),
    "FIFO": _fifo,
    "device": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.fixture(params=HOSTILE)
def hostile(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param in ("FIFO", "device") and os.name != "posix":
        pytest.skip("POSIX has them")
    monkeypatch.chdir(tmp_path)
    HOSTILE[request.param](tmp_path / "dpt.toml")
    return str(request.param)


def test_a_hostile_file_is_one_line(hostile: str) -> None:
    for command in ("depth", "bench"):
        (line,) = invoke(command, *(["a.png"] * (command == "depth")), code=2).stderr.splitlines()
        assert "./dpt.toml" in line
        assert len(line) < 1000


def test_a_hostile_file_is_not_in_the_way_of_help_or_completion(
    hostile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert invoke("depth", "--help").stdout.startswith("Usage: ")
    monkeypatch.setenv("_DPT_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "dpt depth --format pf")
    monkeypatch.setenv("COMP_CWORD", "3")
    result = invoke()
    assert (result.stdout, result.stderr) == ("plain,pfm\n", "")


@pytest.mark.parametrize("text", ["a = " + "[" * 50_000, "modle = 3"])
def test_a_hostile_users_file_is_one_line(dpt: FrontDoor, user: Path, text: str) -> None:
    user.write_text(text)
    (line,) = invoke("depth", "a.png", code=2).stderr.splitlines()
    assert str(user) in line


def test_a_settings_value_reaches_no_terminal_raw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    raw = "\x1b]0;x\x07\u202e\x9b"
    (tmp_path / "dpt.toml").write_text('model = "\\u001b]0;x\\u0007\\u202e\\u009b"\n')
    results = [
        invoke("depth", "--help"),
        invoke("config", "depth"),
        invoke("config", "depth", "--json"),
        invoke("depth", "a.png", code=2),
    ]
    for result in results:
        assert not set(raw[0] + raw[-3:]) & set(result.output)
