"""`silkmill cancel`: stop tasks."""

from __future__ import annotations

from pathlib import Path

import click

from silkmill.cli import options
from silkmill.cli.connect import connected
from silkmill.cli.ending import state_line
from silkmill.cli.exits import Exit
from silkmill.cli.talk import print_json, say


@click.command(short_help="stop tasks, verified")
@options.tasks
@click.option("--force", is_flag=True, help="Kill at once: no CANCEL message, no SIGTERM, no grace.")
@options.as_json
@options.data
def command(tasks: tuple[str, ...], force: bool, as_json: bool, data: Path) -> int:
    """Ask for the end of every TASK and return; `silkmill wait TASK` waits until it is verified dead."""
    with connected(data) as client:
        found = [client.task(name)["id"] for name in tasks]
        for task_id in found:
            task = client.cancel(task_id, force=force)
            if as_json:
                print_json(task)
            else:
                open_end = task["state"] not in ("finished", "error", "cancelled")
                say(f"task {task_id} " + ("is being stopped" if open_end else state_line(task)))
    return Exit.DONE
