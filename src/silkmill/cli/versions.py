"""`silkmill versions`: what was deployed of a spider, and what differs between two of its versions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from silkmill.cli import options
from silkmill.cli.connect import reading
from silkmill.cli.exits import Exit
from silkmill.cli.table import print_table
from silkmill.cli.talk import print_json
from silkmill.cli.targets import spider_of
from silkmill.cli.text import age, printable

HEAD = ("VERSION", "CURRENT", "FILES", "BYTES", "CREATED")


@click.command(short_help="the versions of a spider")
@click.argument("words", metavar="SPIDER | diff OLD NEW", nargs=-1, required=True)
@options.as_json
@options.data
def command(words: tuple[str, ...], as_json: bool, data: Path) -> int:
    """List the versions of SPIDER, newest first; or print what differs between two versions.

    A spider of the name `diff` is `default/diff`."""
    if words[0] == "diff":
        _print_diff(words[1:], as_json, data)
    elif len(words) == 1:
        _print_versions(words[0], as_json, data)
    else:
        raise click.UsageError("give one SPIDER, or: diff OLD NEW")
    return Exit.DONE


def _print_versions(spider: str, as_json: bool, data: Path) -> None:
    project, name = spider_of(spider)
    with reading(data) as client:
        versions = client.versions(project, name)
    if as_json:
        for version in versions:
            print_json(version)
    else:
        print_table(HEAD, map(_row, versions))


def _row(version: dict[str, Any]) -> tuple[str, ...]:
    current = "current" if version["current"] else ""
    created = f"{age(version['created_at'])} ago"
    return version["id"], current, str(version["files"]), str(version["bytes"]), created


def _print_diff(versions: tuple[str, ...], as_json: bool, data: Path) -> None:
    if len(versions) != 2:
        raise click.UsageError("give two versions: diff OLD NEW")
    with reading(data) as client:
        diff = client.version_diff(*versions)
    if as_json:
        print_json(diff)
    else:
        for line in _lines(diff):
            click.echo(printable(line))


def _lines(diff: dict[str, Any]) -> Iterator[str]:
    """As of diff tools: `+` is new, `-` is gone, `~` has changed."""
    yield from (f"+ {file['path']}" for file in diff["added"])
    yield from (f"- {file['path']}" for file in diff["removed"])
    yield from (f"~ {file['path']}{_mode(file)}" for file in diff["changed"])
    yield from (f"+ spider {name}" for name in diff["added_spiders"])
    yield from (f"- spider {name}" for name in diff["removed_spiders"])
    for setting in diff["settings"]:
        old, new = _value(setting["old"]), _value(setting["new"])
        yield f"~ spider {setting['spider']}: {setting['key']} {old} → {new}"


def _mode(file: dict[str, Any]) -> str:
    old, new = file["old"]["mode"], file["new"]["mode"]
    return "" if old == new else f" (mode {old:04o} → {new:04o})"


def _value(value: Any) -> str:
    return "none" if value is None else json.dumps(value, ensure_ascii=False)
