"""`silkmill projects`: what is set for a project."""

from __future__ import annotations

from pathlib import Path

import click

from silkmill.cli import options
from silkmill.cli.connect import connected
from silkmill.cli.exits import Exit
from silkmill.cli.talk import print_json


@click.group(short_help="limits of projects", no_args_is_help=False)
def command() -> None:
    """Show and set what holds for all spiders of a project."""


@command.command("list", short_help="projects and their limits")
@options.as_json
@options.data
def every(as_json: bool, data: Path) -> int:
    """Every project that has a spider or a limit."""
    with connected(data) as client:
        projects = client.projects()
    for project in projects:
        if as_json:
            print_json(project)
        else:
            click.echo(f"{project['name']}  {_limit(project['max_concurrency'])}")
    return Exit.DONE


@command.command("set", short_help="set a limit")
@click.argument("project")
@click.option("--max-concurrency", type=int, required=True, metavar="N", help="Tasks at once; 0 is no limit.")
@options.as_json
@options.data
def limit(project: str, max_concurrency: int, as_json: bool, data: Path) -> int:
    """Set how many tasks of PROJECT may run at once. What runs already runs on."""
    with connected(data) as client:
        changed = client.set_project(project, max_concurrency=max_concurrency)
    if as_json:
        print_json(changed)
    else:
        click.echo(f"{changed['name']}  {_limit(changed['max_concurrency'])}")
    return Exit.DONE


def _limit(most: int) -> str:
    return f"{most} tasks at once" if most else "no limit"
