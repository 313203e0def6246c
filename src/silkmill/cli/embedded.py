"""An engine for `run` where no server runs: the same code as `up`, as long as its clients have tasks."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from silkmill.cli.loading import loading
from silkmill.cli.talk import say
from silkmill.client.client import Client
from silkmill.client.errors import ClientError, ConnectionLost, NoServer, Problem
from silkmill.client.server import Server, find_server

if TYPE_CHECKING:
    from silkmill.cli.hosted import Hosted

START_SECONDS = 15.0
LOOK_SECONDS = 0.2
Submit = Callable[[Client], dict[str, Any]]
"""Makes a task. It may be repeated with the next engine, and then makes no second one."""


@contextmanager
def running(data: Path, submit: Submit) -> Iterator[tuple[Client, dict[str, Any]]]:
    """The task that `submit` made, in the server that runs, else in an engine that this process starts; and a
    client of it. Its end waits for the tasks that other commands gave to that engine."""
    last_try = math.inf
    while True:
        with ExitStack() as stack:
            server, engine = _find_or_start(data, stack)
            client = stack.enter_context(Client(server))
            try:
                task = submit(client)
            except ClientError as error:
                if not _has_left(server, error) or time.monotonic() > last_try:
                    raise
                last_try = min(last_try, time.monotonic() + START_SECONDS)
                time.sleep(LOOK_SECONDS)
                continue
            yield client, task
            if engine is not None:
                _wait_for_others(engine)
                (data / "server.json").unlink(missing_ok=True)  # nobody need look for it any more
            return


def _has_left(server: Server, error: ClientError) -> bool:
    """Whether the engine of another `run` ended just then. It may have taken the task."""
    if server.pid is None:
        return False
    if isinstance(error, Problem):
        return (error.status, error.field) == (503, "engine")
    return isinstance(error, NoServer | ConnectionLost)


def _find_or_start(data: Path, stack: ExitStack) -> tuple[Server, Hosted | None]:
    """Another `run` may be starting or leaving just now: then neither way is open for a moment."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        server = find_server(data)
        if server is None:
            started = _start(data, stack, last_try=time.monotonic() > deadline)
            if started is not None:
                return started.server, started
        elif server.pid is None or _answers(server):
            return server, None
        elif time.monotonic() > deadline:
            raise NoServer(f"the process {server.pid} of {data} does not answer at {server.url}")
        time.sleep(LOOK_SECONDS)


def _start(data: Path, stack: ExitStack, *, last_try: bool) -> Hosted | None:
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


def _wait_for_others(engine: Hosted) -> None:
    if not engine.leave():
        say(f"waiting for the tasks of other commands: {', '.join(engine.engine.given.open)}")
        engine.leave_when_done()
