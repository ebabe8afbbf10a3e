"""`dpt models`: list, pull, verify, path."""

import json
from pathlib import Path

import pytest

from front_door import FrontDoor, invoke
from small_models import COMMIT, REPO, files, row

KEYS = [
    "task",
    "name",
    "title",
    "default",
    "parameters",
    "cached",
    "path",
    "bytes",
    "licence",
    "commercial",
    "eth3d_abs_rel",
    "quantity",
    "meaning",
    "reported",
    "sources",
    "check",
]
SIZE = len(files("depth")["model.safetensors"])


def pulled(dpt: FrontDoor, name: str = "depth/small") -> Path:
    return Path(dpt("models", "pull", name).stdout.strip())


def spoil(path: Path) -> None:
    path.resolve().write_bytes(b"something else")


def test_list_has_a_line_for_every_row(dpt: FrontDoor) -> None:
    pulled(dpt)
    result = dpt("models", "list")
    head, *lines = result.stdout.splitlines()
    assert head.split("  ")[0] == "TASK"
    assert [line.split()[:2] for line in lines] == [
        ["depth", "small"],
        ["depth", "metric"],
        ["depth", "unpublished"],
        ["segment", "small"],
    ]
    assert f"{SIZE / 1e6:.0f} MB" in lines[0]
    assert "relative inverse depth, larger is nearer" in lines[0]
    assert "depth in metres" in lines[1]
    assert result.stderr == "* used where no --model is named\n"


def test_list_as_json_has_stable_keys(dpt: FrontDoor) -> None:
    result = dpt("models", "list", "--json")
    rows = json.loads(result.stdout)
    assert [list(row) for row in rows] == [KEYS] * 4
    assert result.stderr == ""


def test_json_says_what_is_on_this_disk(dpt: FrontDoor) -> None:
    path = pulled(dpt)
    rows = json.loads(dpt("models", "list", "--json").stdout)
    facts = [(row["cached"], row["path"], row["bytes"]) for row in rows]
    assert facts == [(True, str(path), SIZE)] + [(False, None, None)] * 3


@pytest.mark.parametrize("flag", [(), ("--json",)], ids=["table", "json"])
def test_what_a_registry_calls_its_weights_is_printed_as_text(
    dpt: FrontDoor, flag: tuple[str, ...]
) -> None:
    title = "[red]été\x1b[31m\u202e"
    dpt.rows(depth={"small": row("depth", [], title=title, default=True)})
    result = dpt("models", "list", *flag)
    assert not set("\x1b\u202e") & set(result.stdout)
    assert "[red]" in result.stdout
    if flag:
        assert result.stdout.isascii()
        assert json.loads(result.stdout)[0]["title"] == title
    else:
        assert r"été\x1b[31m\u202e" in result.stdout


def test_what_pull_says_is_escaped(dpt: FrontDoor) -> None:
    sources = [dpt.hub_source("depth/model.safetensors")]
    dpt.rows(depth={"small": row("depth", sources, title="a\x07b")})
    assert r"depth/small: a\x07b" in dpt("models", "pull", "depth/small").stderr


def test_list_of_one_task(dpt: FrontDoor) -> None:
    rows = json.loads(dpt("models", "list", "--json", "--task", "segment").stdout)
    assert [row["task"] for row in rows] == ["segment"]


def test_the_packaged_registry_is_listed() -> None:
    rows = json.loads(invoke("models", "list", "--json").stdout)
    assert [f"{row['task']}/{row['name']}" for row in rows if row["default"]] == [
        "depth/hybrid",
        "segment/hybrid",
    ]


def test_pull_prints_only_paths_on_stdout(dpt: FrontDoor) -> None:
    result = dpt("models", "pull", "small", "metric")
    read = [Path(line).read_bytes() for line in result.stdout.splitlines()]
    depth, segment = files("depth"), files("segment")
    assert read == [depth["model.safetensors"], segment["authors.pt"], depth["authors.pt"]]
    sha256 = dpt.hub_source("depth/model.safetensors")["sha256"]
    assert f"sha256 {sha256} (checked against: sha256)" in result.stderr


def test_pull_of_one_task(dpt: FrontDoor) -> None:
    result = dpt("models", "pull", "small", "--task", "segment")
    assert Path(result.stdout.strip()).read_bytes() == files("segment")["authors.pt"]
    assert not dpt.hub.gets("depth")


def test_pull_makes_later_runs_offline(dpt: FrontDoor) -> None:
    pulled(dpt)
    dpt.photograph("a.png")
    dpt("depth", "a.png", "-o", "out", "--offline")


def test_pull_that_fails(dpt: FrontDoor) -> None:
    content = files("depth")["model.safetensors"]
    dpt.hub.add(REPO, COMMIT, "depth/model.safetensors", content, corrupt=True)
    result = dpt("models", "pull", "depth/small", code=4)
    assert result.stdout == ""
    assert "wrong content" in result.stderr


@pytest.mark.parametrize("command", ["pull", "verify", "path"])
def test_weights_nobody_published_are_said_to_be_so(dpt: FrontDoor, command: str) -> None:
    stderr = dpt("models", command, "unpublished", code=4).stderr
    assert "no weights of depth/unpublished were ever published" in stderr


@pytest.mark.parametrize("command", ["pull", "verify", "path"])
def test_an_unknown_name_gets_a_suggestion(dpt: FrontDoor, command: str) -> None:
    stderr = dpt("models", command, "depth/smal", code=2).stderr
    assert "no model 'depth/smal' in the registry. Did you mean 'depth/small'?" in stderr


@pytest.mark.parametrize("command", ["pull", "verify", "path"])
def test_a_name_the_task_lacks_is_usage(dpt: FrontDoor, command: str) -> None:
    stderr = dpt("models", command, "metric", "--task", "segment", code=2).stderr
    assert "no weights of metric for segment" in stderr


def test_verify_hashes_all_that_is_here(dpt: FrontDoor) -> None:
    pulled(dpt)
    pulled(dpt, "metric")
    lines = dpt("models", "verify").stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [["ok", "depth/small"], ["ok", "depth/metric"]]
    assert dpt.hub_source("depth/model.safetensors")["sha256"] in lines[0]


def test_verify_tells_the_corrupted_from_the_sound(dpt: FrontDoor) -> None:
    spoil(pulled(dpt))
    pulled(dpt, "metric")
    result = dpt("models", "verify", code=4)
    assert result.stdout.startswith("ok depth/metric ")
    assert "depth/small: wrong content: expected sha256" in result.stderr
    assert "1 of 2 are missing or wrong" in result.stderr


def test_verify_changes_nothing(dpt: FrontDoor) -> None:
    path = pulled(dpt)
    spoil(path)
    dpt("models", "verify", code=4)
    assert path.read_bytes() == b"something else"


def test_verify_of_a_name_that_is_not_here(dpt: FrontDoor) -> None:
    assert "looked for" in dpt("models", "verify", "metric", code=4).stderr


def test_verify_with_nothing_here(dpt: FrontDoor) -> None:
    result = dpt("models", "verify")
    assert (result.stdout, result.stderr) == (
        "",
        "no weights on this disk yet; see 'dpt models pull'\n",
    )


def test_path_of_what_is_here(dpt: FrontDoor) -> None:
    path = pulled(dpt)
    result = dpt("models", "path", "depth/small")
    assert (result.stdout, result.stderr) == (f"{path}\n", "")


def test_path_of_what_is_not_here(dpt: FrontDoor, home: Path) -> None:
    result = dpt("models", "path", "metric", code=4)
    assert result.stdout == ""
    assert f"depth/metric would lie in {home}/dpt/weights/small.pt" in result.stderr
    assert "not on this disk: depth/metric; see 'dpt models pull'" in result.stderr
    assert dpt.hub.requests == []
