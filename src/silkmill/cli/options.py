"""Options that several commands have, each written once."""

from __future__ import annotations

from pathlib import Path

import click

from silkmill.client.server import data_directory


def _directory(_: click.Context, __: click.Parameter, given: str | None) -> Path:
    return data_directory(given)


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
task = click.argument("task", metavar="TASK")
tasks = click.argument("tasks", metavar="TASK…", nargs=-1, required=True)
