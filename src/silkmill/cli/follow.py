"""Following one task to its end: its log to stdout, its states to stderr."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from silkmill.cli.connect import current_client, reading
from silkmill.cli.ending import state_line
from silkmill.cli.exits import exit_of
from silkmill.cli.logprint import Line, LogPrinter
from silkmill.cli.patience import Patience
from silkmill.cli.talk import say
from silkmill.client.client import Client
from silkmill.client.errors import ConnectionLost, NoServer, Problem
from silkmill.client.server import find_server
from silkmill.client.sse import ServerEvent


class Follower:
    """Survives the server's restart: goes on at the last log position that it has printed.

    `which`: keywords of `calls.follow_log`; without a printer only states are told."""

    def __init__(self, data: Path, task_id: str, printer: LogPrinter | None, **which: Any) -> None:
        self._data, self._task_id, self._printer, self._which = data, task_id, printer, which
        self._position: str | None = None
        self._told = ""
        self._patience = Patience()

    def follow(self, client: Client) -> dict[str, Any]:
        """The task when it has ended (or is abnormal for good). Raises ServerGone, Problem."""
        while True:
            try:
                for event in client.follow_log(self._task_id, last_event_id=self._position, **self._which):
                    self._patience.found()
                    if self._take(event):
                        return client.task(self._task_id)
            except (ConnectionLost, NoServer) as error:
                if (ended := self._ended_meanwhile()) is not None:
                    return ended
                self._patience.lost(error, [self._task_id])
            client = current_client(self._data, client)

    def _ended_meanwhile(self) -> dict[str, Any] | None:
        """The task, and the rest of its log, from the data directory of an engine that is gone."""
        if find_server(self._data) is not None or not (self._data / "silkmill.db").exists():
            return None
        with reading(self._data) as client:
            if exit_of(client.task(self._task_id)) is None:
                return None
            for event in client.follow_log(self._task_id, last_event_id=self._position, **self._which):
                if self._take(event):
                    break
            return client.task(self._task_id)

    def _take(self, event: ServerEvent) -> bool:
        """Whether it was the end. Raises Problem."""
        if event.name == "log":
            self._position = event.id
            if self._printer is not None:
                self._printer.print(map(Line.of_event, event.value))
            return False
        if event.name == "error":
            raise Problem(event.value["status"], event.value)
        self._tell(event.value)
        given_up = event.value["state"] == "abnormal" and exit_of(event.value) is not None
        return event.name == "end" or given_up

    def _tell(self, state: dict[str, Any]) -> None:
        line = state_line(state)
        if line != self._told:
            self._told = line
            say(line)
