"""Options that several commands have, each written once."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import click

from silkmill.cli.pairs import pairs
from silkmill.client.server import data_directory

Given = TypeVar("Given", str, tuple[str, ...], str | None)


def _directory(ctx: click.Context, param: click.Parameter, given: str | None) -> Path:
    """Its path goes into records and into spiders' environments, which are text."""
    path = data_directory(given)
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise click.BadParameter(f"{str(path)!r} is not UTF-8; choose another path", ctx, param) from None
    return path


def task_names(ctx: click.Context, param: click.Parameter, given: Given) -> Given:
    names = (given,) if isinstance(given, str) else given or ()
    if not all(names):
        raise click.BadParameter(
            "it is empty; give an id, its last 6 or more characters, or `last`", ctx, param
        )
    return given


data = click.option(
    "--data",
    metavar="DIR",
    callback=_directory,
    help="Data directory. Default: $SILKMILL_DATA, else ~/.silkmill.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object a line on stdout.")
attempt = click.option(
    "--attempt", type=click.IntRange(min=1), metavar="N", help="This attempt. Default: the current one."
)
task = click.argument("task", metavar="TASK", callback=task_names)
labels = click.option(
    "--label",
    "labels",
    metavar="NAME=VALUE",
    multiple=True,
    callback=pairs,
    help="A label of nodes: what `up` has, what `run` asks for; may be repeated.",
)
some_tasks = click.argument("tasks", metavar="TASK…", nargs=-1, callback=task_names)
tasks = click.argument("tasks", metavar="TASK…", nargs=-1, required=True, callback=task_names)
