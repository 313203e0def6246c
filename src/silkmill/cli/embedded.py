"""An engine for `run` where no server runs: the same code as `up`, as long as its clients have tasks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from silkmill.cli.loading import loading
from silkmill.cli.talk import say
from silkmill.client.client import Client
from silkmill.client.errors import ConnectionLost, NoServer
from silkmill.client.server import Server, find_server

START_SECONDS = 15.0
LOOK_SECONDS = 0.2
JOINING_SECONDS = 0.5
UNFINISHED = ("created", "pending", "running", "abnormal")


@contextmanager
def running(data: Path) -> Iterator[Client]:
    """A client of the server that runs, else of an engine that this process starts. Its end waits for the
    tasks that other clients gave to that engine."""
    started = datetime.now(UTC)  # before the engine: another command may find it before we go on
    with ExitStack() as stack:
        server, is_ours = _find_or_start(data, stack)
        client = stack.enter_context(Client(server))
        yield client
        if is_ours:
            _wait_for_others(client, started)
            (data / "server.json").unlink(missing_ok=True)  # nobody joins from here on
            time.sleep(JOINING_SECONDS)  # who found us before may submit until then
            _wait_for_others(client, started)


def _find_or_start(data: Path, stack: ExitStack) -> tuple[Server, bool]:
    """Another `run` may be starting or leaving just now: then neither way is open for a moment."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        server = find_server(data)
        if server is None:
            started = _start(data, stack, last_try=time.monotonic() > deadline)
            if started is not None:
                return started, True
        elif server.pid is None or _answers(server):
            return server, False
        elif time.monotonic() > deadline:
            raise NoServer(f"the process {server.pid} of {data} does not answer at {server.url}")
        time.sleep(LOOK_SECONDS)


def _start(data: Path, stack: ExitStack, *, last_try: bool) -> Server | None:
    with loading():
        from silkmill.cli.hosted import hosted  # the whole engine: not for a command that finds a server
        from silkmill.runtime.datadir import DataDirectoryBusy

    try:
        return stack.enter_context(hosted(data))
    except DataDirectoryBusy:
        if last_try:
            raise
        return None


def _answers(server: Server) -> bool:
    try:
        with Client(server) as client:
            client.tasks(limit=1)
    except (NoServer, ConnectionLost):
        return False
    return True


def _wait_for_others(client: Client, started: datetime) -> None:
    told = False
    while left := client.tasks(states=UNFINISHED, since=started.isoformat(), limit=200)["tasks"]:
        if not told:
            say(f"waiting for the tasks of other commands: {', '.join(task['id'] for task in left)}")
            told = True
        time.sleep(LOOK_SECONDS)
