"""`silkmill deploy`: a folder or an archive as a version of its spiders."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import click

from silkmill.cli import options
from silkmill.cli.connect import connected
from silkmill.cli.exits import Exit
from silkmill.cli.missing import say_listing
from silkmill.cli.talk import print_json, say
from silkmill.client.folder import BadFolder, deploy_folder


@click.command(short_help="make a version of a folder or an archive")
@click.argument("path", metavar="PATH|ARCHIVE", type=click.Path(path_type=Path))
@options.as_json
@options.data
def command(path: Path, as_json: bool, data: Path) -> int:
    """Upload what is new of a folder with a spider.toml or scrapy.cfg, and print the id of its version.

    An ARCHIVE (.zip, .tar.gz, .tgz, .whl, .egg) is unpacked into a private folder first."""
    with connected(data) as client, _folder_of(path) as folder:
        version = deploy_folder(client, folder, listing=partial(say_listing, client))
    if as_json:
        print_json(version)
    else:
        say(f"{version['project']}: {', '.join(version['spiders'])}, {version['files']} files")
        click.echo(version["id"])
    return Exit.DONE


@contextmanager
def _folder_of(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield path
        return
    from silkmill.client.archive import SUFFIXES, is_archive, unpacked  # a folder needs none of it

    if not is_archive(path):
        raise BadFolder(f"{path} is neither a folder nor an archive ({SUFFIXES})")
    with unpacked(path) as folder:
        yield folder
