"""docs/cli.md and the program say the same: commands, options, settings, exit codes."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from silkmill.cli.app import COMMANDS, program
from silkmill.cli.exits import Exit
from silkmill.settings import PREFIX, Settings

DOCS = Path(__file__).parents[3] / "docs"
TEXT = (DOCS / "cli.md").read_text()
SECTIONS = dict(re.findall(r"^### silkmill (\S+)\n(.*?)(?=^##|\Z)", TEXT, re.MULTILINE | re.DOTALL))


def command(name: str) -> click.Command:
    found = program.get_command(click.Context(program), name)  # type: ignore[attr-defined]
    assert isinstance(found, click.Command)
    return found


def commands_of(name: str) -> list[click.Command]:
    """The command, and those below it."""
    found = command(name)
    return [found, *found.commands.values()] if isinstance(found, click.Group) else [found]


def test_every_command_has_a_section_and_every_section_a_command() -> None:
    assert set(SECTIONS) == set(COMMANDS)


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_option_is_documented_and_exists(name: str) -> None:
    params = [param for part in commands_of(name) for param in part.params]
    options = {opt for param in params if isinstance(param, click.Option) for opt in param.opts}
    documented = set(re.findall(r"^\| `(-[\w-]+)", SECTIONS[name], re.MULTILINE))
    assert documented == options


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_option_and_command_has_its_help(name: str) -> None:
    for part in commands_of(name):
        for param in part.params:
            if isinstance(param, click.Option) and param.name != "as_format":
                assert param.help, param.name
        assert part.help


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_below_another_is_documented(name: str) -> None:
    for part in commands_of(name)[1:]:
        assert f"`silkmill {name} {part.name}" in SECTIONS[name]


def test_every_setting_is_documented_with_its_variable() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \|", TEXT, re.MULTILINE)
    assert dict(rows) == {name: PREFIX + name.upper() for name in Settings.model_fields if name != "data"}


def test_every_exit_code_is_documented() -> None:
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", TEXT, re.MULTILINE)} == set(map(int, Exit))
