"""`silkmill submit`: many tasks of a spider at once, all or none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import click

from silkmill.cli import options
from silkmill.cli.connect import connected
from silkmill.cli.exits import Exit
from silkmill.cli.talk import print_json, say
from silkmill.cli.targets import read_spider
from silkmill.client.errors import BAD_INPUT, ClientError


class BadLine(ClientError):
    """A line of the file is no object."""

    exit_code = BAD_INPUT


@click.command(short_help="many tasks at once")
@click.argument("spider", metavar="SPIDER[@VERSION]")
@click.option(
    "--params",
    "lines",
    type=click.File("rb"),
    required=True,
    metavar="FILE.jsonl",
    help="One task a line; - is stdin.",
)
@click.option(
    "--key", metavar="KEY", help="For a day, submitting the same again with this key makes nothing new."
)
@options.as_json
@options.data
def command(spider: str, lines: BinaryIO, key: str | None, as_json: bool, data: Path) -> int:
    """Submit a task for each line of FILE, up to 100,000, all or none, and print their ids.

    A line is {"params": {…}, "env": {…}, "settings": {…}, "priority": 5, "tags": […], "placement": {…},
    "key": "…"}, all optional. The same "key" with the same content is the same task, while that is kept."""
    target = read_spider(spider)
    body = b"\n".join(_read(lines, target.named()))
    with connected(data) as client:
        client.spider(target.project, target.spider)  # not found is another end than a wrong line
        made = client.submit_bulk(body, key=key)
    if as_json:
        print_json(made)
    else:
        say(f"{made['count']} tasks of {spider}")
        for task_id in made["ids"]:
            click.echo(task_id)
    return Exit.DONE


def _read(lines: BinaryIO, target: dict[str, Any]) -> Iterator[bytes]:
    for number, text in enumerate(lines.read().rstrip().splitlines(), 1):
        if not text.strip():
            raise BadLine(f"line {number} is empty; leave it out")
        try:
            line = json.loads(text)
        except ValueError as error:
            raise BadLine(f"line {number} is not JSON: {error}") from None
        if not isinstance(line, dict):
            raise BadLine(f'line {number} is no object; write {{"params": {{…}}}}')
        if others := target.keys() & line.keys():
            raise BadLine(f"line {number} names a {min(others)}; that is said once, as SPIDER[@VERSION]")
        try:
            yield json.dumps(target | line, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise BadLine(f"line {number} holds {error.object[error.start]!r}, which is no text") from None
