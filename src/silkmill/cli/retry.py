"""`silkmill retry`: ended tasks once more, as new ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from silkmill.cli import options
from silkmill.cli.connect import connected
from silkmill.cli.exits import Exit
from silkmill.cli.talk import print_json, say
from silkmill.cli.text import Span
from silkmill.client.client import Client


@click.command(short_help="run tasks again")
@options.some_tasks
@click.option(
    "--failed-since",
    "span",
    type=Span(),
    metavar="1h",
    help="Every task that ended as an error since, and was not tried again.",
)
@options.as_json
@options.data
def command(tasks: tuple[str, ...], span: timedelta | None, as_json: bool, data: Path) -> int:
    """Make a new task of each TASK, with the same version and parameters, and print its id."""
    if not tasks and span is None:
        raise click.UsageError("missing argument 'TASK…'; or say --failed-since")
    if tasks and span is not None:
        raise click.UsageError("name tasks or say --failed-since, not both")
    with connected(data) as client:
        wanted = _failed(client, span) if span is not None else [client.task(name)["id"] for name in tasks]
        for task_id in wanted:
            repeated = client.retry(task_id)
            if as_json:
                print_json(repeated)
            else:
                click.echo(repeated["id"])
    if not wanted:
        say("no task has failed in this time, or all were tried again")
    return Exit.DONE


def _failed(client: Client, span: timedelta) -> list[str]:
    """Oldest first, so that they keep their order."""
    since = datetime.now(UTC) - span
    again = {task["retry_of"] for task in client.every_task(since=since.isoformat(), limit=200)}
    failed = [
        task["id"]
        for task in client.every_task(states=["error"], limit=200)
        if task["finished_at"] and datetime.fromisoformat(task["finished_at"]) >= since
    ]
    return [task_id for task_id in reversed(failed) if task_id not in again]
