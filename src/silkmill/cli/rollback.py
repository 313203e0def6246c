"""`silkmill rollback`: another version for the new tasks of a spider."""

from __future__ import annotations

from pathlib import Path

import click

from silkmill.cli import options
from silkmill.cli.connect import connected
from silkmill.cli.exits import Exit
from silkmill.cli.talk import print_json, say
from silkmill.cli.targets import spider_of


@click.command(short_help="let new tasks get another version")
@click.argument("spider", metavar="SPIDER")
@click.argument("version", metavar="VERSION")
@options.as_json
@options.data
def command(spider: str, version: str, as_json: bool, data: Path) -> int:
    """Let new tasks of SPIDER get VERSION, an older or a newer one of it. Tasks that exist keep theirs."""
    project, name = spider_of(spider)
    with connected(data) as client:
        before = client.spider(project, name)["version"]
        chosen = client.choose_version(project, name, version)
    if as_json:
        print_json(chosen)
    else:
        say(f"{project}/{name}: {before} → {chosen['version']}")
        click.echo(chosen["version"])
    return Exit.DONE
