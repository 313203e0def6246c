"""`silkmill show`: everything about one task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from silkmill.cli import options
from silkmill.cli.connect import reading, say_if_unattended
from silkmill.cli.exits import Exit
from silkmill.cli.figures import figures, percent
from silkmill.cli.talk import print_json
from silkmill.cli.text import printable

IN_WORDS = ("stats", "items", "log_bytes", "progress")
LAST = ("attempts", "traceback")


@click.command(short_help="everything about a task")
@options.task
@options.as_json
@options.data
def command(task: str, as_json: bool, data: Path) -> int:
    """Everything about a task: TASK is its id, the last 6 or more characters of it, or `last`."""
    with reading(data) as client:
        shown = client.task(task)
    if as_json:
        print_json(shown)
    else:
        _print(shown)
    say_if_unattended(data, [shown["phase"]])
    return Exit.DONE


def print_fields(record: dict[str, Any]) -> None:
    """What is known of it, a field a line."""
    for name, value in record.items():
        if value not in (None, [], {}):
            _print_line(name, _text(value))


def _print(task: dict[str, Any]) -> None:
    print_fields({name: value for name, value in task.items() if name not in IN_WORDS + LAST})
    if progress := percent(task["progress"]):
        _print_line("progress", progress)
    for name, words in figures(task["stats"]):
        _print_line(name, words)
    for attempt in task["attempts"]:
        said = ", ".join(f"{name} {_text(value)}" for name, value in attempt.items() if value is not None)
        _print_line("attempt", said.removeprefix("number "))
    if task["traceback"]:
        click.echo(printable(task["traceback"]))


def _print_line(name: str, text: str) -> None:
    click.echo(f"{name + ':':17}{printable(text)}")


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return "  ".join(f"{name}={_text(part)}" for name, part in value.items() if part is not None)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
