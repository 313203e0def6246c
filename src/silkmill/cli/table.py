"""Rows of text as aligned columns."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import click


def print_table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    """On a terminal the head is bold."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for number, line in enumerate(lines):
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        text = "  ".join(cells).rstrip()
        click.echo(click.style(text, bold=True) if number == 0 and sys.stdout.isatty() else text)
