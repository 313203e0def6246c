"""`silkmill up`: the engine on this machine, until a signal ends it."""

from __future__ import annotations

import asyncio
import ipaddress
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from silkmill.cli import options
from silkmill.cli.exits import Exit
from silkmill.cli.loading import loading
from silkmill.cli.talk import say
from silkmill.domain.errors import BadInput

if TYPE_CHECKING:
    from silkmill.compose import Engine
    from silkmill.settings import Settings


@click.command(short_help="run the engine on this machine")
@click.option("--listen", metavar="HOST:PORT", help="Address of the API. Default: 127.0.0.1:6810.")
@click.option("--max-runners", type=int, metavar="N", help="Tasks at the same time. Default: one per CPU.")
@options.labels
@options.data
def command(listen: str | None, max_runners: int | None, labels: dict[str, str], data: Path) -> int:
    """Run master, worker and API until a signal: the first drains, the second cuts."""
    if sys.platform != "linux":
        raise BadInput(
            f"silkmill runs spiders on Linux only, not on {sys.platform}", remedy="use a Linux host"
        )
    with loading():
        import uvloop

        from silkmill.settings import load_settings

    settings = load_settings(data, listen=listen, max_runners=max_runners, labels=labels or None)
    refuse_foreign_address(settings.host)
    uvloop.run(_serve(settings))
    return Exit.DONE


def refuse_foreign_address(host: str) -> None:
    """Off the loopback the token and all data would cross the network readable. Raises BadInput."""
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise BadInput(
            f"{host} can be reached from other machines, and this version has no TLS",
            field="listen",
            remedy="listen on 127.0.0.1, and reach it from outside through an SSH tunnel",
        )


async def _serve(settings: Settings) -> None:
    with loading():
        from silkmill.compose import Engine

    async with Engine.open(settings) as engine:
        _say_ready(engine, settings)
        _end_on_signals(engine)
        await engine.run()
    say("stopped")


def _say_ready(engine: Engine, settings: Settings) -> None:
    if engine.token_is_new:
        say(f"admin token, shown this once: {engine.token}")
    say(f"ready: {engine.url} · data {settings.data} · token in {settings.data / 'token'}")


def _end_on_signals(engine: Engine) -> None:
    """The second signal cuts, whichever it is."""
    received = 0

    def end() -> None:
        nonlocal received
        received += 1
        if received == 1:
            say("draining: no new tasks, waiting for the running ones; again to leave them and stop at once")
            engine.drain()
        elif received == 2:
            _say_left(engine.running())
            engine.cut()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end)


def _say_left(running: list[str]) -> None:
    if running:
        say(f"still running, the next `silkmill up` goes on with them: {' '.join(running)}")
        say("`silkmill stop --kill` ends them")
