"""`silkmill stop`: the end of the `up` of a data directory, and of what it left running."""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress
from pathlib import Path

import click

from silkmill.cli import options
from silkmill.cli.exits import Exit
from silkmill.cli.loading import loading
from silkmill.cli.runners import KilledRunner, LivingRunner, kill_runners, living_runners
from silkmill.cli.talk import say
from silkmill.client.errors import NoServer
from silkmill.client.server import Server, announced_server, is_alive

DRAIN_SECONDS = 0.5
"""With --kill so long for an engine that has nothing to wait for; then it is cut."""

TELL_SECONDS = 2.0


@click.command(short_help="stop the engine")
@click.option("--kill", is_flag=True, help="Do not wait for running spiders: kill them too.")
@options.data
def command(kill: bool, data: Path) -> int:
    """Ask the engine of the data directory to finish what runs, and wait until it is gone.

    With --kill running spiders are killed; the next `up` runs their tasks again."""
    server = announced_server(data)
    if server is None and not kill:
        raise NoServer(f"no silkmill runs for {data}{_left_alive(living_runners(data))}")
    if server is not None:
        say(f"stopping the process {server.pid} of {data}")
        _end(server, cut=kill)
    if kill:
        _say_killed(kill_runners(data))
        _record_ends(data)
    return Exit.DONE


def _left_alive(runners: list[LivingRunner]) -> str:
    """What a killed engine left: its spiders run on until the next one adopts them."""
    busy = [f"task {runner.task_id} (runner {runner.pid})" for runner in runners if runner.task_id]
    if not busy:
        return ""
    return (
        f", but what an earlier one started is alive: {', '.join(busy)}; "
        "`silkmill up` goes on with it, `silkmill stop --kill` ends it"
    )


def _say_killed(killed: list[KilledRunner]) -> None:
    tasks = [each.runner.task_id for each in killed if each.runner.task_id]
    if not tasks:
        say("no spider was running")
    elif len(tasks) == 1:
        say(f"killed the spider of 1 task: {tasks[0]}")
    else:
        say(f"killed the spiders of {len(tasks)} tasks: {' '.join(tasks)}")
    if survivors := [str(pid) for each in killed for pid in each.survivors]:
        say(f"still alive after SIGKILL, so the kernel holds them: {' '.join(survivors)}; `ps` tells on what")


def _record_ends(data: Path) -> None:
    """So that nobody reads that a dead spider runs: the attempts that are left are given back."""
    if not any(data.glob("attempts/*")):
        return
    with loading():
        from silkmill.cli.hosted import settle
        from silkmill.domain.errors import SilkmillError
    try:
        left = settle(data)
    except (SilkmillError, OSError) as error:
        say(f"their tasks are still recorded as running, until the next `silkmill up`: {error}")
    else:
        if left:
            say(f"still recorded as running, until the next `silkmill up`: {' '.join(left)}")


def _end(server: Server, *, cut: bool) -> None:
    assert server.pid is not None and server.start_time is not None
    try:
        handle = os.pidfd_open(server.pid)
    except ProcessLookupError:
        return
    try:
        # With the handle held the number cannot be given anew.
        if is_alive(server.pid, server.start_time):
            signal.pidfd_send_signal(handle, signal.SIGTERM)
            if cut and not _wait_gone(handle, DRAIN_SECONDS):
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, signal.SIGTERM)
            if not _wait_gone(handle, TELL_SECONDS):
                say("it waits for the tasks that run; `silkmill stop --kill` does not")
                _wait_gone(handle, None)
    finally:
        os.close(handle)


def _wait_gone(handle: int, seconds: float | None) -> bool:
    """A pidfd is readable once its process has ended."""
    return bool(select.select([handle], [], [], seconds)[0])
