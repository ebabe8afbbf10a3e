"""README.md tells the truth: its table, its commands, its Python."""

import re
import shlex
from pathlib import Path

import click
import pytest

import dpt_cli
from dpt_cli.cli import dpt
from readme import README, generated

_TEXT = README.read_text(encoding="utf-8")
_BLOCKS = re.findall(r"```(\w*)\n(.*?)```", _TEXT, re.DOTALL)
_COMMANDS = sorted(
    {
        line.partition("#")[0].strip()
        for language, block in _BLOCKS
        if language in ("", "sh", "console")
        for line in block.splitlines()
        if line.startswith("dpt ")
    }
)
_TARGETS = set(re.findall(r"make ([a-z-]+)", _TEXT))


def test_the_weights_table_is_that_of_the_registry() -> None:
    assert generated(_TEXT) == _TEXT, "run 'make docs'"


@pytest.mark.parametrize("line", _COMMANDS)
def test_a_command_parses(line: str) -> None:
    command: click.Command = dpt
    words = shlex.split(line)[1:]
    # With its settings: click keeps the help option a command is first made with.
    context = click.Context(dpt, **dpt.context_settings)
    while isinstance(command, click.Group):
        name, found, words = command.resolve_command(context, words)
        assert found is not None
        command, context = found, click.Context(found, info_name=name, parent=context)
    command.make_context(command.name, words, parent=context)


def test_there_are_commands() -> None:
    assert len(_COMMANDS) >= 5


def test_make_targets_exist() -> None:
    makefile = (README.parent / "Makefile").read_text(encoding="utf-8")
    assert {"demo", "test"} <= _TARGETS
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in _TARGETS)


@pytest.mark.parametrize("block", [block for language, block in _BLOCKS if language == "python"])
def test_python_compiles_and_names_exist(block: str) -> None:
    compile(block, "README.md", "exec")
    for name in re.findall(r"dpt_cli\.(\w+)", block):
        assert hasattr(dpt_cli, name)


def test_linked_files_exist() -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)]+)\)", _TEXT)
    missing = [link for link in links if not Path(README.parent, link).exists()]
    assert not missing
