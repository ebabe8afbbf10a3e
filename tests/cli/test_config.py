"""`dpt config`: every option's value, and where it came from."""

import json
from pathlib import Path
from typing import Any

import pytest

from dpt_cli.cli import dpt as root
from dpt_cli.cli.settings import commands_with_settings, keyed_options
from front_door import FrontDoor, invoke
from small_models import row


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    return tmp_path


def shown(*arguments: str) -> dict[tuple[str, str], tuple[Any, str]]:
    rows = json.loads(invoke("config", "--json", *arguments).stdout)
    assert all(list(it) == ["command", "option", "value", "from"] for it in rows)
    return {(it["command"], it["option"]): (it["value"], it["from"]) for it in rows}


def test_every_option_is_shown(desk: Path) -> None:
    commands = [command for command in commands_with_settings(root) if command.has_table]
    expected = [(command.name, key) for command in commands for key in keyed_options(command)]
    assert {"depth", "segment"} <= {command.name for command in commands}
    assert list(shown()) == expected
    lines = invoke("config").stdout.splitlines()
    assert [tuple(line.split()[:2]) for line in lines[1:]] == expected


def test_one_command_alone(desk: Path) -> None:
    assert {command for command, _ in shown("segment")} == {"segment"}


def test_another_command_is_usage(desk: Path) -> None:
    result = invoke("config", "dept", code=2)
    assert "'dept' takes no settings. Did you mean 'depth'? There are: depth, segment" in (
        result.stderr
    )


def test_defaults(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DPT_ENGINE")
    values = shown()
    assert {place for _, place in values.values()} == {"default"}
    assert values["depth", "output"][0] == "dpt-out"
    assert values["depth", "model"][0] == "hybrid"
    assert values["depth", "format"][0] == ["color"]
    assert values["depth", "batch-size"][0] == 1
    assert values["depth", "offline"][0] is False
    assert values["depth", "debug"][0] is False
    assert values["depth", "resolution"][0] is None
    assert values["segment", "opacity"][0] == 0.5
    assert values["bench", "model"][0] == "hybrid"
    assert values["bench", "batch-size"][0] == "1"
    assert values["bench", "images"][0] is None


def test_values_and_places(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (desk / "dpt.toml").write_text('output = "there"\nresolution = 384\n[depth]\nmodel = "large"\n')
    user = desk / "home" / "dpt" / "config.toml"
    user.parent.mkdir(parents=True)
    user.write_text('model = "hybrid"\noutput = "nowhere"\ndebug = true\nformat = ["npy"]\n')
    for name, value in {"RESOLUTION": "100x200", "BATCH_SIZE": "4", "DEPTH_QUIET": "1"}.items():
        monkeypatch.setenv(f"DPT_{name}", value)
    monkeypatch.setenv("DPT_SEGMENT_CLASSES", "sky,swimming pool")
    values = shown()
    assert values["depth", "output"] == ("there", "./dpt.toml")
    assert values["depth", "model"] == ("large", "./dpt.toml [depth]")
    assert values["segment", "model"] == ("hybrid", str(user))
    assert values["depth", "debug"] == (True, str(user))
    assert values["depth", "format"] == (["npy"], str(user))
    assert values["depth", "resolution"] == ("100x200", "DPT_RESOLUTION")
    assert values["depth", "batch-size"] == (4, "DPT_BATCH_SIZE")
    assert values["depth", "quiet"] == (True, "DPT_DEPTH_QUIET")
    assert values["segment", "quiet"] == (False, "default")
    assert values["segment", "classes"] == (["sky", "swimming pool"], "DPT_SEGMENT_CLASSES")
    assert values["depth", "colormap"] == ("inferno", "default")


def test_the_table_is_plain_and_aligned(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("DPT_FORMAT", "color,npy")
    monkeypatch.setenv("DPT_QUIET", "yes")
    header, *lines = invoke("config", "depth").stdout.splitlines()
    assert header.split() == ["COMMAND", "OPTION", "VALUE", "FROM"]
    assert {line[header.index("FROM") - 1] for line in lines} == {" "}
    places = {line[header.index("OPTION") :].split()[0]: line for line in lines}
    assert places["format"].split() == ["depth", "format", "color,npy", "DPT_FORMAT"]
    assert places["quiet"].split() == ["depth", "quiet", "true", "DPT_QUIET"]
    assert places["weights"].split() == ["depth", "weights", "-", "default"]


def test_the_default_model_is_the_registrys(dpt: FrontDoor) -> None:
    source = dpt.hub_source("depth/model.safetensors")
    dpt.rows(depth={"mine": row("depth", [source], default=True)}, segment={})
    values = shown("depth", "--registry", str(dpt.registry))
    assert values["depth", "model"] == ("mine", "default")
    assert values["depth", "registry"] == (str(dpt.registry), "--registry")


def test_files_are_named_on_stderr(desk: Path) -> None:
    user = desk / "home" / "dpt" / "config.toml"
    assert invoke("config").stderr == f"not there: {user}\n"
    (desk / "pyproject.toml").write_text("[tool.dpt]\nquiet = true\n")
    user.parent.mkdir(parents=True)
    user.write_text("")
    assert invoke("config").stderr == f"read: ./pyproject.toml [tool.dpt]\nread: {user}\n"


def test_a_variable_that_nothing_reads_is_told(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DPT_MODLE", "large")
    monkeypatch.setenv("DPT_REGISTRY", "")
    assert invoke("config").stderr.splitlines()[1:] == [
        "no option reads DPT_MODLE. Did you mean DPT_MODEL?"
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("modle = 3", "./dpt.toml: unknown key 'modle'"),
        ("batch-size = 0", "'--batch-size' (set by ./dpt.toml): 0 is not in the range"),
        ("model =", "./dpt.toml is not valid TOML"),
    ],
)
def test_what_would_stop_a_run_stops_it_too(desk: Path, text: str, message: str) -> None:
    (desk / "dpt.toml").write_text(text)
    result = invoke("config", code=2)
    assert message in result.stderr
    assert result.stdout == ""


def test_a_users_registry_that_is_not_there_stops_it_too(desk: Path) -> None:
    user = desk / "home" / "dpt" / "config.toml"
    user.parent.mkdir(parents=True)
    user.write_text('registry = "no-such.toml"')
    result = invoke("config", code=2)
    assert "cannot read the registry no-such.toml" in result.stderr
    assert result.stdout == ""


def test_what_is_refused_is_shown_once_with_what_counts_instead(desk: Path) -> None:
    user = desk / "home" / "dpt" / "config.toml"
    user.parent.mkdir(parents=True)
    user.write_text('weights = "mine.pt"')
    (desk / "dpt.toml").write_text('weights = "theirs.pt"\noutput = "/out"\nformat = "npy"\n')
    result = invoke("config", "depth", "--json")
    rows = {it["option"]: (it["value"], it["from"]) for it in json.loads(result.stdout)}
    assert rows["weights"] == ("mine.pt", str(user))
    assert rows["output"] == ("dpt-out", "default")
    assert rows["format"] == (["npy"], "./dpt.toml")
    refused = [line for line in result.stderr.splitlines() if line.startswith("refused: ")]
    assert [line.removeprefix("refused: ").partition(" is not")[0] for line in refused] == [
        "./dpt.toml: weights",
        "./dpt.toml: output",
    ]
    assert invoke("config").stderr.count("refused: ") == 2
