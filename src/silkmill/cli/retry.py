"""`silkmill retry`: ended tasks once more, as new ones."""

from __future__ import annotations

from pathlib import Path

import click

from silkmill.cli import options
from silkmill.cli.connect import connected
from silkmill.cli.exits import Exit
from silkmill.cli.talk import print_json


@click.command(short_help="run tasks again")
@options.tasks
@options.as_json
@options.data
def command(tasks: tuple[str, ...], as_json: bool, data: Path) -> int:
    """Make a new task of each TASK, with the same version and parameters, and print its id."""
    with connected(data) as client:
        for task_id in [client.task(name)["id"] for name in tasks]:
            repeated = client.retry(task_id)
            if as_json:
                print_json(repeated)
            else:
                click.echo(repeated["id"])
    return Exit.DONE
