"""`silkmill why`: what a task waits for, or why it ended as it did."""

from __future__ import annotations

from pathlib import Path

import click

from silkmill.cli import options
from silkmill.cli.connect import reading, say_if_unattended
from silkmill.cli.exits import Exit
from silkmill.cli.talk import print_json
from silkmill.cli.text import printable


@click.command(short_help="what a task waits for")
@options.task
@options.as_json
@options.data
def command(task: str, as_json: bool, data: Path) -> int:
    """What a task waits for and until when, or why it ended as it did."""
    with reading(data) as client:
        answer = client.why(task)
        phase = client.task(answer["id"])["phase"]
    if as_json:
        print_json(answer)
    else:
        click.echo(printable(answer["text"]))
    say_if_unattended(data, [phase])
    return Exit.DONE
