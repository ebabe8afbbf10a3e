"""Options set in advance: which place wins, what a file may hold, what errors say."""

import itertools
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click
import pytest
from click.testing import Result

from dpt_cli.cli import dpt as root
from dpt_cli.cli.settings import SettingsCommand, commands_with_settings, keyed_options
from dpt_cli.cli.settings_files import user_settings_path
from front_door import FrontDoor, invoke


@dataclass
class Desk:
    """A working folder and a home, both empty at first."""

    folder: Path
    home: Path
    monkeypatch: pytest.MonkeyPatch
    files: dict[str, Path] = field(init=False)

    def __post_init__(self) -> None:
        self.files = {
            "dpt.toml": self.folder / "dpt.toml",
            "pyproject.toml": self.folder / "pyproject.toml",
            "user": self.home / "dpt" / "config.toml",
        }

    def write(self, name: str, text: str) -> None:
        path = self.files[name]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def setenv(self, **variables: str) -> None:
        for name, value in variables.items():
            self.monkeypatch.setenv(name, value)

    def depth(self, *flags: str) -> Result:
        # A photograph that is not there: no network is loaded, whatever the settings say.
        return invoke("depth", "nowhere.png", *flags, code=2)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    folder, home = tmp_path / "desk", tmp_path / "home"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    monkeypatch.setenv("HOME", str(home))
    return Desk(folder, home, monkeypatch)


@dataclass(frozen=True)
class Place:
    """Somewhere to set --device; what is said of it ends in `origin`."""

    name: str
    origin: str
    file: str | None = None
    table: str | None = None
    variable: str | None = None

    @property
    def value(self) -> str:
        return f"from-{self.name}"


# The strongest first.
PLACES = (
    Place("flag", ""),
    Place("command-variable", "DPT_DEPTH_DEVICE", variable="DPT_DEPTH_DEVICE"),
    Place("variable", "DPT_DEVICE", variable="DPT_DEVICE"),
    Place("project-table", "./dpt.toml [depth]", "dpt.toml", "depth"),
    Place("project", "./dpt.toml", "dpt.toml", ""),
    Place("user-table", "config.toml [depth]", "user", "depth"),
    Place("user", "config.toml", "user", ""),
)
PYPROJECT = (
    PLACES[2],
    *(
        Place(name, f"./pyproject.toml [{table}]", "pyproject.toml", table)
        for name, table in [("pyproject-table", "tool.dpt.depth"), ("pyproject", "tool.dpt")]
    ),
    PLACES[5],
)


def put(desk: Desk, places: Sequence[Place]) -> list[str]:
    """Set --device in every one of them; return the flags."""
    texts: dict[str, str] = {}
    # The weakest first is the tables' order backwards: a file's top comes before its tables.
    for place in reversed(places):
        if place.variable is not None:
            desk.setenv(**{place.variable: place.value})
        elif place.file is not None:
            header = f"[{place.table}]\n" if place.table else ""
            texts[place.file] = texts.get(place.file, "") + f'{header}device = "{place.value}"\n'
    for name, text in texts.items():
        desk.write(name, text)
    return ["--device", "from-flag"] if PLACES[0] in places else []


NEIGHBOURS = [
    pair
    for chain in (PLACES, PYPROJECT)
    for pair in [*itertools.pairwise(chain), (chain[-1], None)]
]


@pytest.mark.parametrize(
    ("winner", "loser"),
    NEIGHBOURS,
    ids=[f"{a.name} over {b.name if b else 'default'}" for a, b in NEIGHBOURS],
)
def test_the_nearer_place_wins(desk: Desk, winner: Place, loser: Place | None) -> None:
    flags = put(desk, [winner, loser] if loser else [winner])
    # The values are no devices: the message names the one that won, and where it was set.
    message = desk.depth(*flags).stderr
    assert f"'{winner.value}' is not one of auto" in message
    expected = f"(set by {winner.origin}):" if winner.origin else "'--device': "
    assert expected.replace("(set by config", f"(set by {desk.home}/dpt/config") in message


def test_all_places_at_once(desk: Desk) -> None:
    flags = put(desk, PLACES)
    assert "'from-flag' is not one of auto" in desk.depth(*flags).stderr


def test_the_projects_own_file_hides_pyproject(desk: Desk) -> None:
    desk.write("dpt.toml", "quiet = true\n")
    desk.write("pyproject.toml", '[tool.dpt]\ndevice = "from-pyproject"\n')
    desk.setenv(DPT_MODEL="no-such")
    assert "from-pyproject" not in desk.depth().stderr


def test_an_empty_variable_sets_nothing(desk: Desk) -> None:
    desk.write("dpt.toml", 'device = "from-project"\n')
    desk.setenv(DPT_DEVICE="", DPT_DEPTH_DEVICE="")
    assert "from-project" in desk.depth().stderr


def test_a_table_is_for_its_command_alone(desk: Desk) -> None:
    desk.write("dpt.toml", '[segment]\ndevice = "of-segment"\n[depth]\ndevice = "of-depth"\n')
    assert "'of-depth'" in desk.depth().stderr
    assert "'of-segment'" in invoke("segment", "nowhere.png", code=2).stderr


@pytest.mark.parametrize("layer", ["file", "variable"])
def test_what_only_another_command_has_is_ignored(desk: Desk, layer: str) -> None:
    if layer == "file":
        desk.write("dpt.toml", 'colormap = "no-such"\ndevice = "seen"\n')
    else:
        desk.setenv(DPT_COLORMAP="no-such", DPT_DEVICE="seen")
    assert "'seen'" in invoke("segment", "nowhere.png", code=2).stderr


def test_settings_make_files(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    text = (
        'output = "elsewhere"\noffline = false\n[depth]\nformat = ["npy", "pfm"]\nbatch_size = 2\n'
    )
    (dpt.desk / "dpt.toml").write_text(text)
    result = dpt("depth", "a.png")
    assert {Path(line).parent.name for line in result.stdout.splitlines()} == {"elsewhere"}
    assert {Path(line).suffix for line in result.stdout.splitlines()} == {".npy", ".pfm"}


def test_settings_reach_the_commands_below_a_group(dpt: FrontDoor) -> None:
    user = user_settings_path()
    user.parent.mkdir(parents=True, exist_ok=True)
    user.write_text(f'registry = "{dpt.registry}"\n')
    try:
        assert "metric" in invoke("models", "list").stdout
    finally:
        user.unlink()  # every test has the same


def test_help_and_version_take_no_settings(desk: Desk) -> None:
    for key in ("help", "version", "inputs", "INPUT"):
        desk.write("dpt.toml", f"{key} = true\n")
        assert f"unknown key '{key}'" in desk.depth().stderr


WRONG = {
    'modle = "large"': "./dpt.toml: unknown key 'modle'. Did you mean 'model'?",
    "[depth]\nbatchsize = 2": "./dpt.toml [depth]: unknown key 'batchsize'. "
    "Did you mean 'batch-size'?",
    "[dept]\nmodel = 'x'": "./dpt.toml: unknown key 'dept'. Did you mean 'depth'?",
    "[segment]\nclases = 'sky'": "./dpt.toml [segment]: unknown key 'clases'. "
    "Did you mean 'classes'?",
    "[depth]\nclasses = 'sky'": "./dpt.toml [depth]: unknown key 'classes'.",
    "depth = 3": "./dpt.toml: depth must be a table, [depth]",
    "[models]\nregistry = 'x'": "./dpt.toml: unknown key 'models'.",
    'batch-size = "4"': "./dpt.toml: batch-size must be an integer, not '4'",
    "batch_size = true": "./dpt.toml: batch_size must be an integer, not True",
    "multiple-of = 16.5": "./dpt.toml: multiple-of must be an integer, not 16.5",
    "offline = 1": "./dpt.toml: offline must be true or false, not 1",
    'quiet = "yes"': "./dpt.toml: quiet must be true or false, not 'yes'",
    "opacity = '0.5'": "./dpt.toml: opacity must be a number, not '0.5'",
    "model = 3": "./dpt.toml: model must be a string, not 3",
    "model = ['hybrid', 'large']": "./dpt.toml: model must be a string, not ['hybrid', 'large']",
    "[bench]\nmodel = 3": "./dpt.toml [bench]: model must be a string or a list of strings, not 3",
    "output = ['a']": "./dpt.toml: output must be a string, not ['a']",
    "precision = true": "./dpt.toml: precision must be a string, not True",
    "resolution = [384, 384]": "./dpt.toml: resolution must be a string or a number",
    "format = 3": "./dpt.toml: format must be a string or a list of strings, not 3",
    "force = true": "./dpt.toml: force belongs to one run: give it as a flag",
    "[depth]\ndry_run = true": "./dpt.toml [depth]: dry_run belongs to one run: give it as a flag",
    "model = { name = 'x' }": "./dpt.toml: model must be a string, not {'name': 'x'}",
    "modle = 1\nformt = 2": "'modle'. Did you mean 'model'? "
    "Keys are the long options of 'dpt COMMAND --help'. (and 1 more)",
    "model": "./dpt.toml is not valid TOML: ",
    'model = "\udcff"': "./dpt.toml is not valid TOML: ",
}


@pytest.mark.parametrize("text", WRONG, ids=ascii)
def test_a_wrong_file_is_usage(desk: Desk, text: str) -> None:
    desk.files["dpt.toml"].write_bytes(text.encode("utf-8", "surrogateescape"))
    result = desk.depth()
    assert WRONG[text] in result.stderr
    assert result.stderr.startswith("Error: ")
    assert result.stdout == ""
    # A wrong file does not prevent the help.
    assert invoke("depth", "--help").stdout.startswith("Usage: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tool]\ndpt = 3", "./pyproject.toml: tool.dpt must be a table"),
        ("[tool.dpt]\nmodle = 'x'", "./pyproject.toml [tool.dpt]: unknown key 'modle'."),
        ("[tool.dpt.depth]\nmodle = 'x'", "./pyproject.toml [tool.dpt.depth]: unknown key"),
        ("[tool", "./pyproject.toml is not valid TOML"),
    ],
)
def test_a_wrong_table_in_pyproject_is_usage(desk: Desk, text: str, message: str) -> None:
    desk.write("pyproject.toml", text)
    assert message in desk.depth().stderr


@pytest.mark.parametrize(
    "text", ["", "tool = 3", "[tool.ruff]\nmodle = 1", "[project]\nname = 'x'"]
)
def test_another_projects_pyproject_says_nothing(desk: Desk, text: str) -> None:
    desk.write("pyproject.toml", text)
    desk.write("user", 'device = "from-user"')
    assert "from-user" in desk.depth().stderr


def test_a_wrong_table_of_one_command_stops_another(desk: Desk) -> None:
    desk.write("dpt.toml", "[depth]\nmodle = 3")
    assert "[depth]: unknown key 'modle'" in invoke("segment", "a.png", code=2).stderr


def test_a_wrong_users_file_is_named(desk: Desk) -> None:
    desk.write("user", "modle = 3")
    assert f"{desk.files['user']}: unknown key 'modle'" in desk.depth().stderr


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads anything")
def test_a_file_that_may_not_be_read_is_usage(desk: Desk) -> None:
    desk.write("dpt.toml", "")
    desk.files["dpt.toml"].chmod(0)
    assert "cannot read ./dpt.toml: Permission denied" in desk.depth().stderr


def test_a_folder_of_that_name_is_no_file(desk: Desk) -> None:
    desk.files["dpt.toml"].mkdir()
    desk.setenv(DPT_DEVICE="seen")
    assert "'seen'" in desk.depth().stderr


def test_a_byte_order_mark_is_no_error(desk: Desk) -> None:
    desk.write("dpt.toml", '\ufeffdevice = "seen"\n')
    assert "'seen'" in desk.depth().stderr


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("batch-size", "0", "0 is not in the range x>=1"),
        ("format", '["npy", "pmf"]', "unknown format 'pmf'. Did you mean 'pfm'?"),
        ("format", "[]", "unknown format ''"),
        ("resolution", "8", "8: a side is 16 to"),
        ("resolution", '"big"', "'big' is neither a side"),
        ("multiple-of", "0", "0 is not a number from 1 to"),
        ("precision", '"fp8"', "'fp8' is not one of"),
    ],
)
def test_a_value_that_cannot_be_names_its_place(
    desk: Desk, key: str, value: str, message: str
) -> None:
    desk.write("dpt.toml", f"[depth]\n{key} = {value}\n")
    assert f"'--{key}' (set by ./dpt.toml [depth]): {message}" in desk.depth().stderr


def test_a_users_value_that_cannot_be_names_its_place(desk: Desk) -> None:
    desk.write("user", "[depth]\nweights = '.'\n")
    place = f"{desk.files['user']} [depth]"
    message = f"'--weights' (set by {place}): File '.' is a directory"
    assert message in desk.depth().stderr


def test_a_colormap_that_is_none_names_its_place(desk: Desk) -> None:
    desk.setenv(DPT_COLORMAP="infernal")
    message = desk.depth().stderr
    assert "'--colormap' (set by DPT_COLORMAP): unknown colormap 'infernal'" in message


def test_an_unknown_model_names_its_place(desk: Desk) -> None:
    desk.setenv(DPT_MODEL="hybrid-kitti")
    message = invoke("segment", "nowhere.png", code=2).stderr
    assert "no model 'hybrid-kitti' for segment." in message
    assert message.endswith("(--model is set by DPT_MODEL)\n")
    assert "set by" not in invoke("segment", "nowhere.png", "--model", "x", code=2).stderr


def test_another_error_of_the_registry_does_not_blame_the_model(desk: Desk) -> None:
    desk.setenv(DPT_MODEL="hybrid", DPT_REGISTRY="no-such.toml")
    assert "set by" not in desk.depth().stderr


def test_a_home_in_a_path_is_the_home(desk: Desk) -> None:
    desk.write("user", 'registry = "~/mine.toml"\n')
    assert (
        f"cannot read the registry {desk.home / 'mine.toml'}"
        in invoke("models", "list", code=2).stderr
    )


@pytest.mark.parametrize(
    ("value", "is_quiet"),
    [("1", True), ("true", True), ("YES", True), ("0", False), ("false", False), ("off", False)],
)
def test_a_variable_turns_a_flag_on_or_off(desk: Desk, value: str, is_quiet: bool) -> None:
    desk.write("dpt.toml", f"quiet = {str(not is_quiet).lower()}\n")
    desk.setenv(DPT_QUIET=value)
    (desk.folder / "a.png").write_bytes(b"no photograph")
    result = invoke("depth", "a.png", code=3)
    assert ("1 photograph, DPT-Hybrid" not in result.stderr) is is_quiet


def test_a_variable_that_is_neither_yes_nor_no_is_usage(desk: Desk) -> None:
    desk.setenv(DPT_QUIET="maybe")
    assert "'--quiet' (set by DPT_QUIET): 'maybe' is not a valid boolean" in desk.depth().stderr


def test_no_variable_overwrites(desk: Desk) -> None:
    variables = {name for command in commands_with_settings(root) for name in _variables(command)}
    assert "DPT_QUIET" in variables
    assert not variables & {"DPT_FORCE", "DPT_DEPTH_FORCE", "DPT_FROM", "DPT_DRY_RUN"}


def _variables(command: click.Command) -> list[str]:
    return [name for option in command.params for name in option.envvar or ()]


def test_debug_can_be_set(desk: Desk) -> None:
    desk.write("dpt.toml", "debug = true\n")
    assert "Traceback" in invoke("depth", "nowhere.png", "--model", "x", code=2).stderr


def test_every_long_option_has_one_name_and_no_argument_has_any() -> None:
    for command in commands_with_settings(root):
        for key, option in keyed_options(command).items():
            name = key.replace("-", "_").upper()
            own = [f"DPT_{command.name}_{name}".upper()] if command.has_table else []
            assert option.envvar == [*own, f"DPT_{name}"]
        assert all(it.envvar is None for it in command.params if isinstance(it, click.Argument))


def test_every_command_that_loads_weights_takes_settings() -> None:
    def leaves(command: click.Command) -> list[click.Command]:
        if isinstance(command, click.Group):
            return [leaf for below in command.commands.values() for leaf in leaves(below)]
        return [command]

    others = {leaf.name for leaf in leaves(root) if not isinstance(leaf, SettingsCommand)}
    assert others == {"config", "convert", "formats", "gallery", "info"}


def _windows(monkeypatch: pytest.MonkeyPatch, home: Path) -> Path:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(click, "get_app_dir", lambda name: str(home / "AppData" / name))
    return home / "AppData" / "dpt" / "config.toml"


def _linux(monkeypatch: pytest.MonkeyPatch, home: Path) -> Path:
    monkeypatch.setattr(sys, "platform", "linux")
    return home / ".config" / "dpt" / "config.toml"


@pytest.mark.parametrize("platform", [_linux, _windows])
@pytest.mark.parametrize("xdg", [None, "", "relative"])
def test_the_users_file_lies_where_the_platform_has_it(
    desk: Desk, platform: Callable[[pytest.MonkeyPatch, Path], Path], xdg: str | None
) -> None:
    if xdg is None:
        desk.monkeypatch.delenv("XDG_CONFIG_HOME")
    else:
        desk.setenv(XDG_CONFIG_HOME=xdg)
    expected = platform(desk.monkeypatch, desk.home)
    assert user_settings_path() == expected
