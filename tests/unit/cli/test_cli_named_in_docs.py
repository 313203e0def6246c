"""Every command and option that a page of the documentation names is one that the program has."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from silkmill.cli.app import COMMANDS, program

ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*.md")])
BLOCK = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)
INLINE = re.compile(r"`([^`]+)`")
NAMED = re.compile(r"(?:^|[\s/(])silkmill ((?!-m\b)[^\n]*)", re.MULTILINE)
END = re.compile(r" (?:\||&&|\|\||;|#|>|2>)(?: |$)|;;|\\$")


def named_in(text: str) -> Iterator[str]:
    """What follows `silkmill` in blocks of commands, and in code inside of a sentence."""
    for language, block in BLOCK.findall(text):
        if language in ("", "console", "sh"):
            yield from NAMED.findall(block)
        elif language == "text":  # messages name commands between backticks
            yield from (line for code in INLINE.findall(block) for line in NAMED.findall(code))
    for code in INLINE.findall(BLOCK.sub("", text)):
        yield from NAMED.findall(code)


def unknown_in(line: str) -> str | None:
    """The first word of a command line that the program does not know."""
    words = shlex.split(END.split(line)[0].replace("…", " "), comments=False)
    if not words or words[0] in ("--help", "--version"):
        return None
    if words[0] not in COMMANDS:
        return words[0]
    command = program.get_command(click.Context(program), words[0])  # type: ignore[attr-defined]
    if isinstance(command, click.Group) and len(words) > 1 and words[1] in command.commands:
        command = command.commands[words[1]]
    options = {opt for param in command.params for opt in param.opts if isinstance(param, click.Option)}
    given = (word.strip("[]").partition("=")[0] for word in words[1:] if re.match(r"\[?-\D", word))
    return next((option for option in given if option not in options | {"--help"}), None)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_of_the_page_exist(page: Path) -> None:
    wrong = {line: word for line in named_in(page.read_text()) if (word := unknown_in(line))}
    assert not wrong


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("`silkmill shwo TASK`", "shwo"),
        ("`silkmill show TASK --jsno`", "--jsno"),
        ("```console\n$ silkmill schedules add x/y CRON --overlp skip  # why\n```", "--overlp"),
        ("```text\nstart `silkmill upp`\n```", "upp"),
    ],
)
def test_what_does_not_exist_is_found(text: str, word: str) -> None:
    assert [unknown_in(line) for line in named_in(text)] == [word]
