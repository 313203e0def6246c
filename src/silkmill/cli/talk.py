"""What a command says to a person: on stderr, so that stdout holds data only."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import click

from silkmill.cli.text import printable


def say(text: str) -> None:
    click.echo(printable(text), err=True)


def say_error(text: str) -> None:
    click.echo(click.style("error: ", fg="red") + printable(text), err=True)


def print_json(value: Any) -> None:
    """One object, one line, at once: a reader may follow."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def discard_stdout() -> None:
    """Its reader is gone: what is written from here on, and what is still buffered, goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
