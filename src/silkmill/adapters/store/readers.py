"""Threads that read from SQLite beside its writer, each over a connection of its own."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from silkmill.adapters.store.connection import connect, translated

Result = TypeVar("Result")
Read = Callable[[sqlite3.Connection], Result]

THREADS = 2


class Readers:
    """A read sees everything that was committed before it was asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="silkmill-store-reader")
        self._of_thread = threading.local()
        self._connections: list[sqlite3.Connection] = []

    @classmethod
    @contextmanager
    def running(cls, path: Path) -> Iterator[Readers]:
        """Readers for this block; leaving it waits for the reads that run."""
        readers = cls(path)
        try:
            yield readers
        finally:
            readers._threads.shutdown()
            for connection in readers._connections:
                connection.close()

    async def read(self, run: Read[Result]) -> Result:
        """Raises Unavailable."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, run)

    def read_now(self, run: Read[Result]) -> Result:
        """In the caller's own thread: for a record by its key, which costs less than waking a thread for it.

        Raises Unavailable."""
        return self._read(run)

    def _read(self, run: Read[Result]) -> Result:
        with translated():
            return run(self._connection())

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._of_thread, "connection", None)
        if connection is None:
            connection = self._of_thread.connection = connect(self._path, read_only=True)
            self._connections.append(connection)
        return connection


@contextmanager
def snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """All reads of the block see the same moment."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
