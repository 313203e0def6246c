"""Search in the logs of all tasks of a spider, some work at a time."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta

from silkmill.domain.attempt import AttemptRef
from silkmill.domain.errors import BadInput, NotFound
from silkmill.domain.task import Task
from silkmill.master.logs import Found, Hit, LogDamaged, LogReader, Wanted
from silkmill.master.logs.sieve import is_cut_message
from silkmill.master.logs.wanted import frame_time
from silkmill.ports.store import Store, TaskFilter

BYTES_AT_ONCE = 16 << 20
TASKS_AT_ONCE = 1000
SECONDS_AT_ONCE = 1.0
TASKS_PER_READ = 100
SKEW = timedelta(hours=1)
"""The clocks of a node, which lines have, and of a master, which ends have, may be so far apart."""
_CURSOR = re.compile(r"([0-9a-f-]{36})(?:\.([1-9]\d{0,9})\.(\d{1,18}))?\Z")


@dataclass(frozen=True, slots=True)
class Cursor:
    """Behind a whole task, or at an offset of one of its attempts."""

    task_id: str
    attempt: int | None = None
    offset: int = 0

    def __str__(self) -> str:
        return self.task_id if self.attempt is None else f"{self.task_id}.{self.attempt}.{self.offset}"


def read_cursor(text: str) -> Cursor:
    """Raises BadInput."""
    match = _CURSOR.match(text)
    if match is None:
        raise BadInput(f"{text!r} is no cursor", field="cursor", remedy="send `next` of the answer before")
    return Cursor(match[1], int(match[2]) if match[2] else None, int(match[3] or 0))


@dataclass(slots=True)
class SearchPage:
    """What one request found. `next` is None once all tasks were looked at."""

    hits: list[tuple[AttemptRef, Hit]] = field(default_factory=list)
    unreadable: list[LogDamaged] = field(default_factory=list)
    next: Cursor | None = None


class LogSearch:
    """Newest task first; inside a task attempt by attempt, line by line."""

    def __init__(self, store: Store, reader: LogReader) -> None:
        self._store, self._reader = store, reader

    async def page(
        self, project: str | None, spider: str, wanted: Wanted, cursor: Cursor | None, limit: int
    ) -> SearchPage:
        """Up to `limit` lines and the rest of a message; fewer, or none, where more would be too much work at
        once.

        Raises BadInput for an expression that takes too long, and Unavailable."""
        search = _Pass(self._reader, wanted, limit)
        async for task in self._tasks(TaskFilter(project=project, spider=spider), cursor):
            for number, offset in _attempts(task, wanted.since, cursor):
                if await search.is_enough_after(task, number, offset):
                    return search.page
            if search.is_enough_with(task):
                return search.page
        return search.page

    async def _tasks(self, where: TaskFilter, cursor: Cursor | None) -> AsyncIterator[Task]:
        before = cursor.task_id if cursor else None
        if cursor and cursor.attempt is not None:
            begun = await self._store.task(cursor.task_id)
            if begun and begun.spider == where.spider and where.project in (None, begun.project):
                yield begun
        while tasks := await self._store.tasks(where, limit=TASKS_PER_READ, before=before):
            for task in tasks:
                yield task
            before = tasks[-1].id


class _Pass:
    """The work of one request, and when it is enough."""

    def __init__(self, reader: LogReader, wanted: Wanted, limit: int) -> None:
        self._reader, self._wanted, self._limit = reader, wanted, limit
        self._bytes = self._tasks = 0
        self._end = time.monotonic() + SECONDS_AT_ONCE
        self.page = SearchPage()

    async def is_enough_after(self, task: Task, number: int, offset: int) -> bool:
        """Read an attempt, as far as there is room for."""
        ref = AttemptRef(task.id, number)
        try:
            async for found in self._reader.search(task, number, self._wanted, offset=offset):
                if following := self._take(ref, found):
                    self.page.next = following
                    return True
        except LogDamaged as damage:
            self.page.unreadable.append(damage)
        except NotFound:
            pass  # deleted meanwhile
        return False

    def is_enough_with(self, task: Task) -> bool:
        self._tasks += 1
        if self._tasks >= TASKS_AT_ONCE or time.monotonic() > self._end:
            self.page.next = Cursor(task.id)
        return self.page.next is not None

    def _take(self, ref: AttemptRef, found: Found) -> Cursor | None:
        """Where the next request goes on, if this was enough."""
        taken = _whole_messages(found.hits, self._limit - len(self.page.hits))
        self.page.hits += [(ref, hit) for hit in taken]
        if len(taken) < len(found.hits):
            return Cursor(ref.task_id, ref.number, taken[-1].offset + len(taken[-1].line))
        self._bytes += found.size
        enough = (
            len(self.page.hits) >= self._limit or self._bytes >= BYTES_AT_ONCE or time.monotonic() > self._end
        )
        return Cursor(ref.task_id, ref.number, found.next_offset) if enough else None


def _whole_messages(hits: list[Hit], count: int) -> list[Hit]:
    """The first ones, and those that go on with the last of them: who begins inside of a message is given the
    whole of it."""
    while count < len(hits) and is_cut_message(hits[count - 1].line):
        count += 1
    return hits[:count]


def _attempts(task: Task, since: bytes | None, cursor: Cursor | None) -> list[tuple[int, int]]:
    """Those that may have wanted lines, in order, and where to begin in each."""
    if task.expiry.logs_at is not None:
        return []
    begun = cursor if cursor and cursor.task_id == task.id else None
    first, offset = (begun.attempt or 0, begun.offset) if begun else (0, 0)
    closed = [past for past in task.history if not since or frame_time(past.finished_at + SKEW) >= since]
    numbers = [past.number for past in closed] + ([task.attempt.number] if task.attempt else [])
    return [(number, offset if number == first else 0) for number in numbers if number >= first]
