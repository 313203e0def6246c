"""`silkmill logs`: the log of a task."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from silkmill.cli import options
from silkmill.cli.connect import reading
from silkmill.cli.exits import Exit
from silkmill.cli.follow import Follower
from silkmill.cli.logprint import LogPrinter, read_lines
from silkmill.cli.talk import say
from silkmill.client.server import find_server


@click.command(short_help="the log of a task")
@options.task
@click.option("-f", "follow", is_flag=True, help="Go on until the task has ended.")
@click.option("-n", "count", type=click.IntRange(0, 10_000), metavar="N", help="The last N lines only.")
@click.option("--stream", type=click.Choice(["stdout", "stderr", "system"]), help="One of them only.")
@click.option("--grep", metavar="RE", help="Lines that match this regular expression.")
@click.option("--raw", is_flag=True, help="The spider's own bytes, unchanged.")
@options.attempt
@options.as_json
@options.data
def command(
    task: str,
    follow: bool,
    count: int | None,
    stream: str | None,
    grep: str | None,
    raw: bool,
    attempt: int | None,
    as_json: bool,
    data: Path,
) -> int:
    """Print the log of a task; lines of the engine itself begin with [silkmill]."""
    printer = LogPrinter(raw=raw, as_json=as_json)
    which: dict[str, Any] = {"stream": stream, "grep": grep, "tail": count, "attempt": attempt}
    with reading(data) as client:
        if follow and find_server(data) is None:
            say("no server runs, so nothing is added to this log; start silkmill up to go on")
            follow = False
        if raw and not (follow or as_json or sys.stdout.isatty()):
            for piece in client.log(task, raw=True, **which):
                sys.stdout.buffer.write(piece)
        elif follow:
            Follower(data, client.task(task)["id"], printer, **which).follow(client)
        else:
            printer.print(read_lines(client.log(task, **which)))
    return Exit.DONE
