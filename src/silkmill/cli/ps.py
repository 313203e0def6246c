"""`silkmill ps`: tasks, newest first."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import click

from silkmill.cli import options
from silkmill.cli.connect import NothingHere, reading, say_if_unattended
from silkmill.cli.ending import state_line
from silkmill.cli.exits import Exit
from silkmill.cli.figures import percent
from silkmill.cli.known import check_known, split_spider
from silkmill.cli.table import print_table
from silkmill.cli.talk import print_json, say
from silkmill.cli.text import Span, age, printable, size, span
from silkmill.client.client import Client

STATES = ("created", "pending", "running", "finished", "error", "cancelled", "abnormal")
PAGE = 200
SHOWN_ID = 8


def _tag(ctx: click.Context, param: click.Parameter, given: str | None) -> str | None:
    if given == "":
        raise click.BadParameter("no task has an empty tag; leave the option out for all tasks", ctx, param)
    return given


@click.command(short_help="list tasks")
@click.option(
    "--state", "states", type=click.Choice(STATES), multiple=True, help="In this state; may be repeated."
)
@click.option("--spider", metavar="[PROJECT/]S", help="Of this spider.")
@click.option("--tag", metavar="T", callback=_tag, help="With this tag.")
@click.option("--since", type=Span(), metavar="1h", help="Created since.")
@click.option(
    "-n", "count", type=click.IntRange(1, sys.maxsize), default=20, show_default=True, help="At most so many."
)
@options.as_json
@options.data
def command(
    states: tuple[str, ...],
    spider: str | None,
    tag: str | None,
    since: timedelta | None,
    count: int,
    as_json: bool,
    data: Path,
) -> int:
    """List tasks, newest first."""
    where = {
        "states": states,
        "tag": tag,
        "since": (datetime.now(UTC) - since).isoformat() if since else None,
        **(split_spider(spider) if spider is not None else {}),
    }
    try:
        with reading(data) as client:
            phases = (_print_lines if as_json else _print_table)(islice(_newest(client, count, where), count))
            if spider is not None and not phases:
                check_known(client, spider)
        say_if_unattended(data, phases)
    except NothingHere as nothing:
        say(str(nothing))
    return Exit.DONE


def _newest(client: Client, count: int, where: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return client.every_task(limit=min(count, PAGE), **where)


def _print_lines(tasks: Iterator[dict[str, Any]]) -> list[str | None]:
    """Answers with the phases of what was shown."""
    phases = []
    for task in tasks:
        print_json(task)
        phases.append(task["phase"])
    return phases


def _print_table(tasks: Iterator[dict[str, Any]]) -> list[str | None]:
    shown = list(tasks)
    header = ("ID", "SPIDER", "STATE", "ITEMS", "PROGRESS", "MEMORY", "RUNTIME", "CREATED")
    print_table(header, [_row(task) for task in shown])
    return [task["phase"] for task in shown]


def _row(task: dict[str, Any]) -> tuple[str, ...]:
    runtime, memory = task["stats"]["runtime_ms"], task["stats"]["rss_bytes"]
    return (
        task["id"][-SHOWN_ID:],
        task["spider"] if task["project"] == "default" else f"{task['project']}/{task['spider']}",
        printable(_short(state_line(task))),
        str(task["items"]),
        percent(task["progress"]) or "-",
        size(memory) if memory is not None else "-",
        span(runtime / 1000) if runtime is not None else "-",
        f"{age(task['created_at'])} ago",
    )


def _short(text: str, limit: int = 60) -> str:
    first = text.partition("\n")[0]
    return first if len(first) <= limit else first[: limit - 1] + "…"
