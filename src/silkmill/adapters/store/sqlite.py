"""The embedded store: one SQLite file, one thread that writes, a few that read."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from silkmill.adapters.store import codec, rules, writes
from silkmill.adapters.store import statements as sql
from silkmill.adapters.store.readers import Readers, snapshot
from silkmill.adapters.store.schema import bring_to_head
from silkmill.adapters.store.writer import Single, Writer
from silkmill.domain.attempt import AttemptRef, Positions
from silkmill.domain.fields import with_fields
from silkmill.domain.states import State
from silkmill.domain.task import Task
from silkmill.ports.store import Stored, TailRecord, TaskFilter

Record = TypeVar("Record")

TASKS_PER_WRITE = 1000


class SqliteStore:
    """Implements ports.store.Store. Belongs to the event loop it is used from."""

    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._writer, self._readers = writer, readers

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Iterator[SqliteStore]:
        """The store of this file, made or upgraded when needed. Blocks for that; leaving commits what was
        handed in before. Raises Unavailable or NewerSchema."""
        bring_to_head(path)
        with Writer.running(path) as writer, Readers.running(path) as readers:
            yield cls(writer, readers)

    async def insert_tasks(self, tasks: Sequence[Task]) -> None:
        rest = iter(tasks)
        while chunk := list(islice(rest, TASKS_PER_WRITE)):
            await self._writer.write(writes.insert_tasks(chunk))

    async def task(self, task_id: str) -> Task | None:
        where = {"if_id": task_id}
        found = self._readers.read_now(lambda connection: _tasks(connection, sql.TASK, where))
        return found[0] if found else None

    async def swap(self, old: Task, new: Task) -> Task:
        return await self._change(old, new, {})

    async def claim(self, old: Task, new: Task) -> Task:
        return await self._change(old, new, codec.fields_of(Positions()))

    async def _change(self, old: Task, new: Task, positions: dict[str, int]) -> Task:
        rules.check_change(old, new)
        changed = with_fields(new, revision=old.revision + 1)
        stored = await self._writer.write(writes.change_task(old, changed, positions))
        return codec.with_positions(changed, stored)

    async def delete_task(self, old: Task) -> None:
        await self._writer.write(writes.delete_task(old))

    async def tasks(
        self, where: TaskFilter, *, limit: int, before: str | None = None, newest_first: bool = True
    ) -> list[Task]:
        def read(connection: sqlite3.Connection) -> list[Task]:
            wanted = [
                sql.tasks_matching(part, limit, before, newest_first)
                for part in _in_projects(connection, where)
            ]
            return _all_of(connection, wanted)

        found = await self._readers.read(read)
        return sorted(found, key=lambda task: task.id, reverse=newest_first)[:limit]

    async def count_tasks(self, project: str | None = None, spider: str | None = None) -> dict[State, int]:
        named = {"project": project, "spider": spider}
        given = {name: value for name, value in named.items() if value is not None}
        rows = await self._rows(sql.counts(*given), given)
        return {State(state): count for state, count in rows}

    async def waiting_queues(self) -> list[str]:
        return [name for (name,) in await self._rows(sql.WAITING_QUEUES, {})]

    async def pending_heads(self, queues: Sequence[str], limit: int) -> list[Task]:
        wanted = [(sql.PENDING_HEADS, {"if_queue": queue, "limit": limit}) for queue in queues]
        return await self._readers.read(lambda connection: _all_of(connection, wanted))

    async def keyed(self, project: str, spider: str, keys: Sequence[str]) -> list[Task]:
        names = [codec.submit_key(project, spider, key) for key in keys]
        return await self._tasks(sql.KEYED_TASKS, {"keys": codec.encode(names).decode()})

    async def open_attempts(self) -> list[Task]:
        return await self._tasks(sql.OPEN_ATTEMPTS, {})

    async def due_created(self, now: datetime, limit: int) -> list[Task]:
        return await self._tasks(sql.DUE_CREATED, {"now": codec.microseconds(now), "limit": limit})

    async def due_upkeep(self, now: datetime, limit: int) -> list[Task]:
        return await self._tasks(sql.DUE_UPKEEP, {"now": codec.microseconds(now), "limit": limit})

    async def firing(self, firing: str) -> Task | None:
        found = await self._tasks(sql.FIRING, {"if_firing": firing})
        return found[0] if found else None

    async def firings(
        self, schedule: str, *, limit: int, before: str | None = None, open_only: bool = False
    ) -> list[Task]:
        start, end = rules.firings_between(schedule, before)
        where = {"start": start, "end": end, "limit": limit}
        return await self._tasks(sql.OPEN_FIRINGS if open_only else sql.FIRINGS, where)

    async def waiting_after(self) -> list[tuple[str, str]]:
        return await self._rows(sql.WAITING_AFTER, {})

    async def append_items(
        self, ref: AttemptRef, session: str, offset: int, first_ordinal: int, records: Sequence[bytes]
    ) -> Positions:
        append = writes.append_items(ref, session, offset, first_ordinal, records)
        return await self._writer.write(append, rules.items_length(records))

    async def append_log(self, ref: AttemptRef, session: str, offset: int, data: bytes) -> Positions:
        return await self._writer.write(writes.append_log(ref, session, offset, data), len(data))

    async def move_log(self, ref: AttemptRef, session: str, offset: int, length: int) -> Positions:
        return await self._writer.write(writes.move_log(ref, session, offset, length))

    async def items(self, ref: AttemptRef, *, first: int = 0, limit: int = 1000) -> list[tuple[int, bytes]]:
        where = {"if_task_id": ref.task_id, "if_attempt": ref.number, "first": first, "limit": limit}
        return await self._rows(sql.ITEMS, where)

    async def delete_items(self, ref: AttemptRef, *, before: int) -> None:
        await self._writer.write(writes.delete_items(ref, before))

    async def log_tail(self, ref: AttemptRef) -> list[TailRecord]:
        rows = await self._rows(sql.TAIL, {"if_task_id": ref.task_id, "if_attempt": ref.number})
        return [TailRecord(offset, data) for offset, data in rows]

    async def delete_log_tail(self, ref: AttemptRef, *, before: int) -> None:
        await self._writer.write(writes.delete_log_tail(ref, before))

    async def record(self, kind: type[Record], key: str) -> Stored[Record] | None:
        where = {"if_kind": codec.kind_name(kind), "if_key": key}
        rows = self._readers.read_now(lambda connection: connection.execute(sql.RECORD, where).fetchall())
        return Stored(key, codec.decode(kind, rows[0][0]), rows[0][1]) if rows else None

    async def insert_record(self, key: str, value: object) -> None:
        await self._writer.write(writes.insert_record(key, value))

    async def replace_record(self, old: Stored[Record], value: Record, change_id: str) -> Stored[Record]:
        await self._writer.write(writes.replace_record(old, value, change_id))
        return Stored(old.key, value, old.revision + 1)

    async def delete_record(self, old: Stored[Record]) -> None:
        await self._writer.write(writes.delete_record(old))

    async def records(
        self, kind: type[Record], *, after: str = "", limit: int = 1000
    ) -> list[Stored[Record]]:
        where = {"if_kind": codec.kind_name(kind), "after": after, "limit": limit}
        rows = await self._rows(sql.RECORDS, where)
        return [Stored(key, codec.decode(kind, document), revision) for key, document, revision in rows]

    async def ping(self) -> None:
        await self._writer.write(Single(writes.beat))

    async def _rows(self, statement: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        return await self._readers.read(
            lambda connection: connection.execute(statement, parameters).fetchall()
        )

    async def _tasks(self, statement: str, parameters: dict[str, Any]) -> list[Task]:
        return await self._readers.read(lambda connection: _tasks(connection, statement, parameters))


def _in_projects(connection: sqlite3.Connection, where: TaskFilter) -> list[TaskFilter]:
    """A spider is found by its project. Of one name there are few, mostly one."""
    if where.spider is None or where.project is not None:
        return [where]
    projects = connection.execute(sql.PROJECTS_OF_SPIDER, {"spider": where.spider})
    return [replace(where, project=project) for (project,) in projects]


def _tasks(connection: sqlite3.Connection, statement: str, parameters: dict[str, Any]) -> list[Task]:
    """Decoded in the reader's thread, so that a long list leaves the event loop its turns."""
    rows = connection.execute(statement, parameters).fetchall()
    return [codec.task_from(document, Positions(*positions)) for document, *positions in rows]


def _all_of(connection: sqlite3.Connection, queries: list[tuple[str, dict[str, Any]]]) -> list[Task]:
    """In one snapshot: a task that changes meanwhile is neither missed nor met twice."""
    with snapshot(connection):
        return [task for query in queries for task in _tasks(connection, *query)]
