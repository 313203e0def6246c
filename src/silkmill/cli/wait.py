"""`silkmill wait`: until tasks have ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from silkmill.cli import options
from silkmill.cli.connect import connected, current_client
from silkmill.cli.ending import end_line, state_line
from silkmill.cli.exits import Exit, exit_of
from silkmill.cli.patience import Patience
from silkmill.cli.talk import print_json, say
from silkmill.client.client import Client
from silkmill.client.errors import ConnectionLost, NoServer
from silkmill.client.sse import ServerEvent

_BADNESS = (Exit.DONE, Exit.CANCELLED, Exit.TASK_FAILED)


@click.command(short_help="wait for the end of tasks")
@options.tasks
@options.as_json
@options.data
def command(tasks: tuple[str, ...], as_json: bool, data: Path) -> int:
    """Wait until every TASK has ended. The exit code is that of the worst end: error, cancelled, finished."""
    waiting = _Waiting(as_json)
    with connected(data) as client:
        waiting.begin(client, tasks)
        while waiting.left:
            waiting.watch(client)
            client = current_client(data, client)
    return max(waiting.codes, key=_BADNESS.index)


class _Waiting:
    def __init__(self, as_json: bool) -> None:
        self._json = as_json
        self._patience = Patience()
        self.left: set[str] = set()
        self.codes: list[Exit] = []
        self._told: set[str] = set()

    def begin(self, client: Client, names: tuple[str, ...]) -> None:
        """All names are looked up before any is waited for: a mistyped one is told at once."""
        self.left = {client.task(name)["id"] for name in names}

    def watch(self, client: Client) -> None:
        """Until nothing is left or the server is gone. Events come first, so that no end falls between."""
        try:
            for event in client.events():
                self._patience.found()
                self._take(client, event)
                if not self.left:
                    return
        except (ConnectionLost, NoServer) as error:
            self._patience.lost(error, sorted(self.left))

    def _take(self, client: Client, event: ServerEvent) -> None:
        if event.name in ("ready", "resync"):
            self._look_at_all(client)
        elif event.value["id"] in self.left:
            self._look(client, event.value["id"])

    def _look_at_all(self, client: Client) -> None:
        for task_id in sorted(self.left):
            self._look(client, task_id)

    def _look(self, client: Client, task_id: str) -> None:
        task = client.task(task_id)
        code = exit_of(task)
        if code is None:
            self._tell_pause(task)
            return
        self.left.discard(task_id)
        self.codes.append(code)
        self._tell(task)

    def _tell_pause(self, task: dict[str, Any]) -> None:
        """A retry that is hours away: once, not with every look."""
        line = f"task {task['id']} {state_line(task)}"
        if task["next_attempt_at"] and line not in self._told:
            self._told.add(line)
            say(line)

    def _tell(self, task: dict[str, Any]) -> None:
        if self._json:
            print_json(task)
        else:
            say(end_line(task))
