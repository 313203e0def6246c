"""The one thread that writes to SQLite, committing together what arrived during the last commit.

A group is one transaction; every operation in it that is not `Single` stands in a savepoint of its own. No
operation is answered before COMMIT has returned. Operations reach the thread, and answers the event loop,
together: each time one of the two is woken costs more than many an operation.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

import structlog

from silkmill.adapters.store.connection import WAL_BYTES, connect, is_of_file, unavailable
from silkmill.adapters.store.counting import CountingCursor
from silkmill.domain.errors import Unavailable
from silkmill.runtime import faults

Result = TypeVar("Result")
Write = Callable[[CountingCursor], Result]

GROUP_OPERATIONS = 1000
GROUP_BYTES = 8 * 1024 * 1024
"""Bounds of a group, so that one caller's flood does not make the others wait long."""

_log = structlog.get_logger(__name__)


class Single(Generic[Result]):
    """A write that changes something by one statement only: SQLite itself does all of it or nothing. What it
    counts, it counts after that."""

    __slots__ = ("_run",)

    def __init__(self, run: Write[Result]) -> None:
        self._run = run

    def __call__(self, cursor: CountingCursor) -> Result:
        return self._run(cursor)


class Operation:
    """One write on its way: what to run, and who waits for it. `size` is its payload in bytes."""

    __slots__ = ("error", "future", "result", "run", "size")

    def __init__(self, run: Write[Any], size: int, future: asyncio.Future[Any]) -> None:
        self.run, self.size, self.future = run, size, future
        self.result: Any = None
        self.error: BaseException | None = None

    def answer(self) -> None:
        if self.future.done():
            return  # the caller was cancelled meanwhile
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class Writer:
    """Takes writes from the event loop, answers them after their commit. `groups` counts commits."""

    def __init__(self, path: Path) -> None:
        self._queue: SimpleQueue[list[Operation] | None] = SimpleQueue()
        self._turn: list[Operation] = []
        self._wal = path.with_name(path.name + "-wal")
        self._connection = connect(path)
        self._cursor = self._connection.cursor(CountingCursor)
        self._thread = threading.Thread(target=self._run, name="silkmill-store-writer", daemon=True)
        self._wal_limit = WAL_BYTES
        self._closed = False
        self.groups = 0

    @classmethod
    @contextmanager
    def running(cls, path: Path) -> Iterator[Writer]:
        """A writer for this block; leaving it commits what was handed in before. Raises Unavailable."""
        writer = cls(path)
        writer._thread.start()
        try:
            yield writer
        finally:
            writer._closed = True
            writer._hand_over()
            writer._queue.put(None)
            writer._thread.join()
            writer._connection.close()

    async def write(self, run: Write[Result], size: int = 0) -> Result:
        """Run it in a transaction, answer once that is on disk.

        Raises what `run` raised (then it changed nothing) or Unavailable, which is ambiguous."""
        if self._closed:
            raise Unavailable("store", "it is closed")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        if not self._turn:
            loop.call_soon(self._hand_over)
        self._turn.append(Operation(run, size, future))
        return await future

    def _hand_over(self) -> None:
        """All that this turn of the event loop wants to write."""
        turn, self._turn = self._turn, []
        self._queue.put(turn)

    def _run(self) -> None:
        waiting: deque[Operation] = deque()
        while self._gather(waiting):
            group = _next_group(waiting)
            self._handle(group)
            _answer(group)
            self._bound_wal()

    def _gather(self, waiting: deque[Operation]) -> bool:
        """Take all that was handed over; False when nothing is left and the end has been asked for."""
        while not waiting or not self._queue.empty():
            turn = self._queue.get()
            if turn is None:
                self._queue.put(None)  # for the next look
                break
            waiting.extend(turn)
        return bool(waiting)

    def _handle(self, group: list[Operation]) -> None:
        """Commit the group; if SQLite dropped the whole transaction, each operation in one of its own."""
        try:
            if self._begin(group) and not self._commit(group) and len(group) > 1:
                for operation in group:
                    if self._begin([operation]):
                        self._commit([operation])
        except BaseException as defect:  # the thread must outlive it, and nobody may wait forever
            _log.exception("store writer failed")
            for operation in group:
                operation.error = defect
            self._roll_back()

    def _begin(self, group: list[Operation]) -> bool:
        """False when no transaction can be had: then there is no use in trying one by one."""
        self._cursor.counts.clear()
        try:
            self._cursor.execute("BEGIN IMMEDIATE")
        except sqlite3.DatabaseError as error:
            _fail(group, unavailable(error))
            return False
        return True

    def _commit(self, group: list[Operation]) -> bool:
        """False when SQLite has given up the whole transaction: then an operation alone may still succeed."""
        try:
            for operation in group:
                self._apply(operation)
            self._cursor.write_counts()
            faults.hit("store.before_commit")
            self._cursor.execute("COMMIT")
        except Unavailable as fault:
            self._roll_back()
            _fail(group, fault)
            return True
        except sqlite3.DatabaseError as error:
            self._roll_back()
            _fail(group, unavailable(error))
            return False
        self.groups += 1
        try:
            faults.hit("store.after_commit")
        except Unavailable as fault:
            _fail(group, fault)
        return True

    def _apply(self, operation: Operation) -> None:
        """Run one operation, all of it or nothing. Raises when SQLite has given up the whole transaction."""
        if isinstance(operation.run, Single):
            self._run_one(operation)
            return
        counts = self._cursor.counts.copy()
        self._cursor.execute("SAVEPOINT operation")
        self._run_one(operation)
        if operation.error is not None:
            self._cursor.execute("ROLLBACK TO operation")
            self._cursor.counts = counts
        self._cursor.execute("RELEASE operation")

    def _run_one(self, operation: Operation) -> None:
        try:
            operation.result = operation.run(self._cursor)
            operation.error = None
        except Exception as error:
            if not self._connection.in_transaction:
                raise
            operation.error = unavailable(error) if is_of_file(error) else error

    def _bound_wal(self) -> None:
        """Readers that overlap without a gap keep SQLite from starting its log anew: wait for them, at twice
        the size the next time when that was in vain."""
        with suppress(OSError, sqlite3.Error):
            if (size := self._wal.stat().st_size) > self._wal_limit:
                [(busy, *_)] = self._cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                self._wal_limit = size * 2 if busy else WAL_BYTES

    def _roll_back(self) -> None:
        with suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._cursor.execute("ROLLBACK")


def _next_group(waiting: deque[Operation]) -> list[Operation]:
    group = [waiting.popleft()]
    size = group[0].size
    while waiting and len(group) < GROUP_OPERATIONS and size < GROUP_BYTES:
        group.append(waiting.popleft())
        size += group[-1].size
    return group


def _fail(group: list[Operation], error: Unavailable) -> None:
    """An error of its own for each, because each is raised elsewhere."""
    for operation in group:
        operation.error = Unavailable(error.part, error.cause)


def _answer(group: list[Operation]) -> None:
    def answer_all() -> None:
        for operation in group:
            operation.answer()

    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        group[0].future.get_loop().call_soon_threadsafe(answer_all)
