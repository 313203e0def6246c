"""`silkmill logs`: the log of a task, lines of all tasks of a spider, or the engine's own log."""

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
from silkmill.cli.logsearch import print_engine_log, print_search
from silkmill.cli.pairs import pairs
from silkmill.cli.talk import say
from silkmill.cli.text import Moment
from silkmill.client.client import Client
from silkmill.client.server import find_server
from silkmill.protocol.loglevel import LEVEL_NAMES

OF_A_TASK = {"follow": "-f", "raw": "--raw", "attempt": "--attempt"}
NOT_OF_THE_ENGINE = {"stream": "--stream", "where": "--where"}


@click.command(short_help="the log of a task")
@click.argument("task", metavar="TASK", required=False, callback=options.task_names)
@click.option("--spider", metavar="[PROJECT/]S", help="Instead of a task: lines of all tasks of a spider.")
@click.option("--system", is_flag=True, help="Instead of a task: the engine's own log.")
@click.option("-f", "follow", is_flag=True, help="Go on until the task has ended.")
@click.option(
    "-n",
    "count",
    type=click.IntRange(0, 10_000),
    metavar="N",
    help="The last N lines only; with --spider: at most N.",
)
@click.option("--stream", type=click.Choice(["stdout", "stderr", "system"]), help="One of them only.")
@click.option("--level", type=click.Choice(LEVEL_NAMES), help="Lines of this level, and of worse ones.")
@click.option(
    "--where",
    metavar="NAME=VALUE",
    multiple=True,
    callback=pairs,
    help="Messages with this field; may be repeated, then all must fit.",
)
@click.option("--since", type=Moment(), metavar="10m", help="Lines since then: 90s 15m 2h 7d, or a time.")
@click.option("--grep", metavar="RE", help="Lines that match this regular expression.")
@click.option("--raw", is_flag=True, help="The spider's own bytes, unchanged.")
@options.attempt
@options.as_json
@options.data
def command(
    task: str | None, spider: str | None, system: bool, as_json: bool, data: Path, **which: Any
) -> int:
    """Print the log of a task; lines of the engine itself begin with [silkmill]."""
    if (given := [task is not None, spider is not None, system].count(True)) != 1:
        what = "only one" if given else "the missing one"
        raise click.UsageError(f"give {what} of TASK, --spider and --system")
    which["where"] = [f"{name}={value}" for name, value in which["where"].items()]
    if task is None:
        _refuse(which, OF_A_TASK | (NOT_OF_THE_ENGINE if system else {}))
    with reading(data) as client:
        if task is not None:
            _print_task(client, data, task, as_json, **which)
        elif spider is not None:
            print_search(client, spider, as_json=as_json, **which)
        else:
            print_engine_log(client, as_json=as_json, **which)
    return Exit.DONE


def _refuse(which: dict[str, Any], names: dict[str, str]) -> None:
    """Options that mean nothing without a task; otherwise they are taken out."""
    for name, option in names.items():
        if which.pop(name):
            raise click.UsageError(f"{option} is for the log of a task; leave it out, or give TASK")


def _print_task(
    client: Client,
    data: Path,
    task: str,
    as_json: bool,
    follow: bool,
    raw: bool,
    count: int | None,
    **which: Any,
) -> None:
    printer = LogPrinter(raw=raw, as_json=as_json)
    which["tail"] = count
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
