"""`silkmill items`: exactly what a spider saved, in order."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Iterable
from pathlib import Path

import click

from silkmill.cli import options
from silkmill.cli.connect import reading
from silkmill.cli.exits import Exit
from silkmill.cli.text import printable


@click.command(short_help="what a spider saved")
@options.task
@click.option(
    "--format", "as_format", type=click.Choice(["jsonl", "json", "csv"]), default="jsonl", show_default=True
)
@click.option("--with-ids", is_flag=True, help="Add _tid, _sid and _attempt to every item.")
@options.attempt
@options.data
def command(task: str, as_format: str, with_ids: bool, attempt: int | None, data: Path) -> int:
    """Print the items of a task, one JSON object a line."""
    with reading(data) as client:
        _write(client.items(task, format=as_format, with_ids=with_ids, attempt=attempt))
    return Exit.DONE


def _write(pieces: Iterable[bytes]) -> None:
    """Unchanged, but for a terminal, which items must not drive."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for piece in pieces:
        if sys.stdout.isatty():
            sys.stdout.write(printable(decoder.decode(piece)))
        else:
            sys.stdout.buffer.write(piece)
    sys.stdout.flush()
