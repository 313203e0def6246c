"""`silkmill deploy`: a folder as a version of its spiders."""

from __future__ import annotations

from pathlib import Path

import click

from silkmill.cli import options
from silkmill.cli.connect import connected
from silkmill.cli.exits import Exit
from silkmill.cli.talk import print_json, say
from silkmill.client.folder import deploy_folder


@click.command(short_help="make a version of a folder")
@click.argument("path", metavar="PATH", type=click.Path(path_type=Path))
@options.as_json
@options.data
def command(path: Path, as_json: bool, data: Path) -> int:
    """Upload what is new of a folder with a spider.toml, and print the id of its version."""
    with connected(data) as client:
        version = deploy_folder(client, path)
    if as_json:
        print_json(version)
    else:
        say(f"{version['project']}: {', '.join(version['spiders'])}, {version['files']} files")
        click.echo(version["id"])
    return Exit.DONE
