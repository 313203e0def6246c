"""`silkmill schedules`: what the clock starts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from silkmill.cli import options
from silkmill.cli.connect import NothingHere, connected, reading
from silkmill.cli.exits import Exit
from silkmill.cli.pairs import pairs
from silkmill.cli.show import print_fields
from silkmill.cli.table import print_table
from silkmill.cli.talk import print_json, say

OVERLAPS = ("skip", "queue", "replace", "allow")
CATCH_UPS = ("none", "last", "all")
_NAME = re.compile(r"(?:([a-z0-9._-]{1,64})/)?([a-z0-9._-]{1,64})/([a-z0-9._-]{1,64})\Z")
Named = tuple[str, str, str]


def _named(ctx: click.Context, param: click.Parameter, given: str) -> Named:
    match = _NAME.match(given)
    if match is None:
        raise click.BadParameter(f"{given!r} is not [PROJECT/]SPIDER/NAME, such as news/nightly", ctx, param)
    return match[1] or "default", match[2], match[3]


schedule = click.argument("schedule", metavar="SCHEDULE", callback=_named)


@click.group(short_help="what the clock starts", no_args_is_help=False)
def command() -> None:
    """Spiders that are started by the clock. SCHEDULE is SPIDER/NAME, or PROJECT/SPIDER/NAME."""


@command.command("list")
@options.as_json
@options.data
def list_(as_json: bool, data: Path) -> int:
    """All schedules, with their next and their last firing."""
    try:
        with reading(data) as client:
            found = client.schedules()
    except NothingHere as nothing:
        say(str(nothing))
        return Exit.DONE
    if as_json:
        for one in found["schedules"]:
            print_json(one)
    else:
        print_table(HEAD, [_row(one) for one in found["schedules"]])
    if found["paused_since"]:
        say(f"the clock of the server jumped ({found['paused_since']}): nothing fires until it has settled")
    return Exit.DONE


@command.command()
@schedule
@click.argument("cron", metavar="CRON")
@click.option("--timezone", default="UTC", show_default=True, metavar="ZONE", help="As Europe/Berlin.")
@click.option(
    "--overlap",
    type=click.Choice(OVERLAPS),
    default="skip",
    show_default=True,
    help="When the firing before it has not ended.",
)
@click.option(
    "--catchup",
    type=click.Choice(CATCH_UPS),
    default="none",
    show_default=True,
    help="Of what passed while no server ran.",
)
@click.option(
    "-a", "params", metavar="NAME=VALUE", multiple=True, callback=pairs, help="A parameter; may be repeated."
)
@click.option("--disabled", is_flag=True, help="It fires only once it is enabled.")
@options.as_json
@options.data
def add(
    schedule: Named,
    cron: str,
    timezone: str,
    overlap: str,
    catchup: str,
    params: dict[str, str],
    disabled: bool,
    as_json: bool,
    data: Path,
) -> int:
    """A new schedule. CRON is `MINUTE HOUR DAY MONTH WEEKDAY` in quotes, or @daily, @hourly and the like."""
    project, spider, name = schedule
    written = {
        "project": project,
        "spider": spider,
        "name": name,
        "cron": cron,
        "timezone": timezone,
        "overlap": overlap,
        "catchup": catchup,
        "params": params,
        "enabled": not disabled,
    }
    with connected(data) as client:
        return _tell(client.add_schedule(written), as_json)


@command.command()
@schedule
@options.as_json
@options.data
def show(schedule: Named, as_json: bool, data: Path) -> int:
    """Everything about one."""
    with reading(data) as client:
        shown = client.schedule(*schedule)
    if as_json:
        print_json(shown)
    else:
        print_fields(shown)
    return Exit.DONE


@command.command()
@schedule
@options.as_json
@options.data
def enable(schedule: Named, as_json: bool, data: Path) -> int:
    """It fires again, from now on."""
    with connected(data) as client:
        return _tell(client.switch_schedule(*schedule, enabled=True), as_json)


@command.command()
@schedule
@options.as_json
@options.data
def disable(schedule: Named, as_json: bool, data: Path) -> int:
    """It fires no more until it is enabled. Its tasks go on."""
    with connected(data) as client:
        return _tell(client.switch_schedule(*schedule, enabled=False), as_json)


@command.command()
@schedule
@options.as_json
@options.data
def run(schedule: Named, as_json: bool, data: Path) -> int:
    """A task of it at once, outside of the series, and print its id."""
    with connected(data) as client:
        task = client.run_schedule(*schedule)
    if as_json:
        print_json(task)
    else:
        click.echo(task["id"])
    return Exit.DONE


@command.command()
@schedule
@options.data
def remove(schedule: Named, data: Path) -> int:
    """Remove one that was made by hand. Its tasks stay."""
    with connected(data) as client:
        client.remove_schedule(*schedule)
    return Exit.DONE


HEAD = ("SCHEDULE", "CRON", "ZONE", "NEXT", "LAST", "STATE")


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    last = one["last_firing"]
    return (
        _name(one),
        one["cron"],
        one["timezone"],
        _next(one),
        last["at"] if last else "-",
        last["state"] if last else "-",
    )


def _name(one: dict[str, Any]) -> str:
    project = "" if one["project"] == "default" else f"{one['project']}/"
    return f"{project}{one['spider']}/{one['name']}"


def _next(one: dict[str, Any]) -> str:
    if not one["enabled"]:
        return "disabled"
    return str(one["problem"] or one["next_firing"] or "never")


def _tell(one: dict[str, Any], as_json: bool) -> int:
    if as_json:
        print_json(one)
    else:
        say(f"{_name(one)}: next firing {_next(one)}" if one["enabled"] else f"{_name(one)}: disabled")
    return Exit.DONE
