"""`silkmill run`: a folder or a spider as a task, followed to its end."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import click

from silkmill.cli import options
from silkmill.cli.connect import connected
from silkmill.cli.embedded import running
from silkmill.cli.ending import end_line
from silkmill.cli.exits import Exit, exit_of
from silkmill.cli.follow import Follower
from silkmill.cli.interrupts import Interrupts
from silkmill.cli.logprint import LogPrinter
from silkmill.cli.missing import say_listing, say_what_is_missing
from silkmill.cli.pairs import pairs
from silkmill.cli.talk import print_json, say
from silkmill.cli.targets import Target, read_target
from silkmill.client.client import Client


@click.command(short_help="run a folder or a spider as a task")
@click.argument("target", metavar="PATH|SPIDER[@VERSION]")
@click.option("-a", "params", metavar="NAME=VALUE", multiple=True, callback=pairs, help="A parameter.")
@click.option(
    "-e", "env", metavar="NAME=VALUE", multiple=True, callback=pairs, help="An environment variable."
)
@click.option(
    "-s",
    "settings",
    metavar="NAME=VALUE",
    multiple=True,
    callback=pairs,
    help="A setting of Scrapy, for its spiders.",
)
@click.option("-p", "priority", type=click.IntRange(1, 10), help="1 is first. Default: the spider's.")
@click.option("-t", "tags", metavar="TAG", multiple=True, help="A tag; may be repeated.")
@click.option("--node", "nodes", metavar="N", multiple=True, help="On this node; may be repeated.")
@options.labels
@click.option("--mode", type=click.Choice(["random", "nodes", "all"]), help="Any node, those named, or all.")
@click.option("--detach", is_flag=True, help="Submit it, print its id, and leave. Needs a running server.")
@options.as_json
@options.data
def command(
    target: str,
    params: dict[str, str],
    env: dict[str, str],
    settings: dict[str, str],
    priority: int | None,
    tags: tuple[str, ...],
    nodes: tuple[str, ...],
    labels: dict[str, str],
    mode: str | None,
    detach: bool,
    as_json: bool,
    data: Path,
) -> int:
    """Run a folder with spider.toml or scrapy.cfg, or a spider that was deployed; its log goes to stdout.

    A folder is deployed first. Without a running server the task runs in an engine inside this command; a
    second `run` joins it. --json prints the task as `show --json` when it has ended, instead of its log."""
    wanted = read_target(target)
    choices = {
        "params": params,
        "env": env,
        "settings": settings,
        "priority": priority,
        "tags": list(tags),
        "placement": _placement(mode, nodes, labels),
    }
    if detach:
        return _detached(data, wanted, choices, as_json)
    return _attached(data, wanted, choices, as_json)


def _placement(mode: str | None, nodes: tuple[str, ...], labels: dict[str, str]) -> dict[str, Any] | None:
    """None: as the spider says."""
    if not (mode or nodes or labels):
        return None
    return {"mode": mode or ("nodes" if nodes else "random"), "nodes": list(nodes), "labels": labels}


def _detached(data: Path, target: Target, choices: dict[str, Any], as_json: bool) -> int:
    with connected(data) as client:
        task = _submit(client, target, choices, None, None)
    if as_json:
        print_json(task)
    else:
        click.echo(task["id"])
    return Exit.DONE


def _attached(data: Path, target: Target, choices: dict[str, Any], as_json: bool) -> int:
    interrupts = Interrupts()
    key = secrets.token_hex(16)  # who hears no answer asks again
    with (
        interrupts.handled(),
        running(data, lambda client: _submit(client, target, choices, key, interrupts)) as (client, task),
    ):
        interrupts.aim(client.server, task["id"])
        say(f"task {task['id']}: {task['spider']}@{task['version']}")
        say_what_is_missing(client, task)
        printer = None if as_json else LogPrinter(engine_apart=True)
        ended = Follower(data, task["id"], printer).follow(client)
        say(end_line(ended))
        if as_json:
            print_json(ended)
    code = exit_of(ended)
    return Exit.DONE if code is None else code


def _submit(
    client: Client, target: Target, choices: dict[str, Any], key: str | None, interrupts: Interrupts | None
) -> dict[str, Any]:
    def listing(task_id: str) -> None:
        if interrupts is not None:
            interrupts.aim(client.server, task_id)
        say_listing(client, task_id)

    return client.submit(target.locate(client, listing) | choices, key=key)
