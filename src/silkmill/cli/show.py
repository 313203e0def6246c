"""`silkmill show`: everything about one task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from silkmill.cli import options
from silkmill.cli.connect import reading, say_if_unattended
from silkmill.cli.exits import Exit
from silkmill.cli.talk import print_json
from silkmill.cli.text import printable

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


def _print(task: dict[str, Any]) -> None:
    for name, value in task.items():
        if name not in LAST and value not in (None, [], {}):
            click.echo(f"{name + ':':16} {printable(_text(value))}")
    for attempt in task["attempts"]:
        said = ", ".join(f"{name} {_text(value)}" for name, value in attempt.items() if value is not None)
        click.echo(f"{'attempt:':16} {printable(said.removeprefix('number '))}")
    if task["traceback"]:
        click.echo(printable(task["traceback"]))


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return "  ".join(f"{name}={_text(part)}" for name, part in value.items() if part is not None)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
