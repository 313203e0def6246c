"""How a command gets its client: from a running server, or from an engine inside this process."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from silkmill.cli.loading import loading
from silkmill.cli.talk import say
from silkmill.client.client import Client
from silkmill.client.errors import NOT_FOUND, ClientError, NoServer
from silkmill.client.server import find_server


class NothingHere(ClientError):
    """No server, and no data directory to read either."""

    exit_code = NOT_FOUND

    def __init__(self, data: Path) -> None:
        super().__init__(
            f"nothing was run in {data} yet; start silkmill up, or name another --data directory"
        )


class ReadOnly(ClientError):
    """SQLite needs files of its own beside the database, for readers too."""

    def __init__(self, data: Path) -> None:
        super().__init__(f"{data} cannot be written to; make it writable, or read a copy of it with --data")


@contextmanager
def connected(data: Path) -> Iterator[Client]:
    """A client of the running server. Raises NoServer."""
    server = find_server(data)
    if server is None:
        raise NoServer(f"no server runs for {data}; start silkmill up")
    with Client(server) as client:
        yield client


def say_if_unattended(data: Path, phases: Iterable[str | None]) -> None:
    """Of shown tasks. Without an engine nobody sees what becomes of an open attempt."""
    if any(phases) and find_server(data) is None:
        say(
            f"no engine runs for {data}: what is not ended is shown as it was last recorded; "
            "`silkmill up` goes on with it, `silkmill stop` says what is alive"
        )


def current_client(data: Path, client: Client) -> Client:
    """After a lost connection: a restarted server may be at another address."""
    server = find_server(data)
    return client if server is None or server == client.server else Client(server)


@contextmanager
def reading(data: Path) -> Iterator[Client]:
    """A client that can read: of the running server, else of the data directory. Raises NothingHere."""
    server = find_server(data)
    if server is not None:
        with Client(server) as client:
            yield client
        return
    if not (data / "silkmill.db").exists():
        raise NothingHere(data)
    if not os.access(data, os.W_OK):
        raise ReadOnly(data)
    with loading():
        from silkmill.cli.hosted import reader  # this process reads, with the server's own code

    with reader(data) as served, Client(served) as client:
        yield client
