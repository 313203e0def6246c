"""A store in memory: the store port over single-record compare-and-set and unique keys, nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, TypeVar

from silkmill.adapters.store import codec, rules
from silkmill.adapters.store.documents import Document, Documents
from silkmill.domain.attempt import AttemptRef, Positions
from silkmill.domain.errors import Duplicate
from silkmill.domain.fields import with_fields
from silkmill.domain.states import State
from silkmill.domain.task import Task, appended, check_writer
from silkmill.ports.store import Stored, TailRecord, TaskFilter
from silkmill.runtime import faults

Record = TypeVar("Record")
UNIQUE = ("spider_permit", "project_permit", "submit_key", "firing")


class MemoryStore:
    """Implements ports.store.Store. Each write is one conditional step on one document; the two steps of an
    append have a fault point between them, where a crash would leave the payload without its position."""

    def __init__(self) -> None:
        self._tasks, self._items, self._tails = Documents(UNIQUE), Documents(), Documents()
        self._records = Documents()

    async def insert_tasks(self, tasks: Sequence[Task]) -> None:
        await faults.point("store.before_commit")
        for task in tasks:
            self._tasks.insert_unique(task.id, _document(task) | codec.fields_of(task.positions))
        await faults.point("store.after_commit")

    async def task(self, task_id: str) -> Task | None:
        document = self._tasks.get(task_id)
        return None if document is None else _task(document)

    async def swap(self, old: Task, new: Task) -> Task:
        condition = codec.fields_of(old.positions) if rules.closes_attempt(old, new) else {}
        return await self._change(old, new, condition, {})

    async def claim(self, old: Task, new: Task) -> Task:
        return await self._change(old, new, {}, codec.fields_of(Positions()))

    async def _change(self, old: Task, new: Task, condition: Document, positions: dict[str, Any]) -> Task:
        rules.check_change(old, new)
        changed = with_fields(new, revision=old.revision + 1)
        expected = {"revision": old.revision, **condition}
        await faults.point("store.before_commit")
        written = self._tasks.compare_and_set(old.id, expected, _document(changed) | positions)
        await faults.point("store.after_commit")
        stored = self._tasks.get(old.id)
        own = {"revision": changed.revision, "change_id": changed.change_id}
        if stored is None or not (written or own.items() <= stored.items()):
            raise rules.conflict(old)
        return codec.with_positions(changed, _positions(stored))

    async def delete_task(self, old: Task) -> None:
        await faults.point("store.before_commit")
        if not self._tasks.compare_and_delete(old.id, {"revision": old.revision}):
            raise rules.conflict(old)
        await faults.point("store.after_commit")

    async def tasks(
        self, where: TaskFilter, *, limit: int, before: str | None = None, newest_first: bool = True
    ) -> list[Task]:
        found = [task for task in self._all() if _matches(task, where)]
        if newest_first:
            found = [task for task in reversed(found) if before is None or task.id < before]
        else:
            found = [task for task in found if before is None or task.id > before]
        return found[:limit]

    async def count_tasks(self, project: str | None = None, spider: str | None = None) -> dict[State, int]:
        where = TaskFilter(project=project, spider=spider)
        return dict(Counter(task.state for task in self._all() if _matches(task, where)))

    async def waiting_queues(self) -> list[str]:
        return sorted({task.queue for task in self._all() if task.waits})

    async def pending_heads(self, queues: Sequence[str], limit: int) -> list[Task]:
        waiting = [task for task in self._all() if task.waits]
        waiting.sort(key=lambda task: (task.priority, task.order, task.id))
        of_queues = ([task for task in waiting if task.queue == queue] for queue in queues)
        return [task for found in of_queues for task in found[:limit]]

    async def keyed(self, project: str, spider: str, keys: Sequence[str]) -> list[Task]:
        names = (codec.submit_key(project, spider, key) for key in keys)
        found = (self._tasks.holder("submit_key", name) for name in names)
        return [_task(document) for document in found if document is not None]

    async def open_attempts(self) -> list[Task]:
        return [task for task in self._all() if task.attempt is not None]

    async def due_created(self, now: datetime, limit: int) -> list[Task]:
        return self._due(_release_at, now)[:limit]

    async def due_upkeep(self, now: datetime, limit: int) -> list[Task]:
        return self._due(lambda task: task.upkeep_at, now)[:limit]

    async def firing(self, firing: str) -> Task | None:
        document = self._tasks.holder("firing", firing)
        return None if document is None else _task(document)

    async def firings(
        self, schedule: str, *, limit: int, before: str | None = None, open_only: bool = False
    ) -> list[Task]:
        start, end = rules.firings_between(schedule, before)
        found = [
            task
            for task in self._all()
            if task.firing and start < task.firing < end and not (open_only and task.state.final)
        ]
        return sorted(found, key=lambda task: task.firing or "", reverse=True)[:limit]

    async def waiting_after(self) -> list[tuple[str, str]]:
        return [(task.id, task.waits_after) for task in self._all() if task.waits_after]

    def _due(self, due_at: Callable[[Task], datetime | None], now: datetime) -> list[Task]:
        due = [(at, task.id, task) for task in self._all() if (at := due_at(task)) is not None and at <= now]
        return [task for _, _, task in sorted(due)]

    def _all(self) -> Iterator[Task]:
        return (_task(document) for _, document in self._tasks.scan(""))

    async def append_items(
        self, ref: AttemptRef, session: str, offset: int, first_ordinal: int, records: Sequence[bytes]
    ) -> Positions:
        length = rules.items_length(records)
        while not appended((stored := self._fenced(ref, session)).items_offset, offset, length):
            rules.check_ordinal(stored, first_ordinal)
            for ordinal, data in enumerate(records, first_ordinal):
                self._items.insert_unique((ref.task_id, ref.number, ordinal), {"data": data})
            after = {"items_offset": offset + length, "items_count": first_ordinal + len(records)}
            await self._move(ref, session, {"items_offset": offset}, after)
        return stored

    async def append_log(self, ref: AttemptRef, session: str, offset: int, data: bytes) -> Positions:
        while not appended((stored := self._fenced(ref, session)).log_offset, offset, len(data)):
            self._tails.insert_unique((ref.task_id, ref.number, offset, len(data)), {"data": data})
            await self._move(ref, session, {"log_offset": offset}, {"log_offset": offset + len(data)})
        return stored

    async def move_log(self, ref: AttemptRef, session: str, offset: int, length: int) -> Positions:
        while not appended((stored := self._fenced(ref, session)).log_offset, offset, length):
            await self._move(ref, session, {"log_offset": offset}, {"log_offset": offset + length})
        return stored

    async def _move(self, ref: AttemptRef, session: str, before: dict[str, Any], after: Document) -> None:
        """The second step of an append; if it does not apply, the loop around it reads and decides again."""
        await faults.point("store.between_steps")
        await faults.point("store.before_commit")
        fence = {"attempt": ref.number, "session": session}
        self._tasks.compare_and_set(ref.task_id, fence | before, after)
        await faults.point("store.after_commit")

    def _fenced(self, ref: AttemptRef, session: str) -> Positions:
        document = self._tasks.get(ref.task_id)
        return check_writer(None if document is None else _task(document), ref, session).positions

    async def items(self, ref: AttemptRef, *, first: int = 0, limit: int = 1000) -> list[tuple[int, bytes]]:
        found = _of_attempt(self._items, ref, first)
        return [(key[2], document["data"]) for key, document in found][:limit]

    async def delete_items(self, ref: AttemptRef, *, before: int) -> None:
        await faults.point("store.before_commit")
        for key, _ in _of_attempt(self._items, ref, 0):
            if key[2] < before:
                self._items.delete(key)
        await faults.point("store.after_commit")

    async def log_tail(self, ref: AttemptRef) -> list[TailRecord]:
        found = _of_attempt(self._tails, ref, 0)
        return [TailRecord(key[2], document["data"]) for key, document in found]

    async def delete_log_tail(self, ref: AttemptRef, *, before: int) -> None:
        await faults.point("store.before_commit")
        for key, _ in _of_attempt(self._tails, ref, 0):
            if key[2] < before:
                self._tails.delete(key)
        await faults.point("store.after_commit")

    async def record(self, kind: type[Record], key: str) -> Stored[Record] | None:
        document = self._records.get((codec.kind_name(kind), key))
        return None if document is None else _stored(kind, key, document)

    async def insert_record(self, key: str, value: object) -> None:
        document = {"revision": 0, "change_id": "", "doc": codec.encode(value)}
        await faults.point("store.before_commit")
        if not self._records.insert_unique((codec.kind_name(type(value)), key), document):
            raise Duplicate(f"{codec.kind_name(type(value))} {key}")
        await faults.point("store.after_commit")

    async def replace_record(self, old: Stored[Record], value: Record, change_id: str) -> Stored[Record]:
        key = (codec.kind_name(type(value)), old.key)
        changed = {"revision": old.revision + 1, "change_id": change_id, "doc": codec.encode(value)}
        await faults.point("store.before_commit")
        written = self._records.compare_and_set(key, {"revision": old.revision}, changed)
        await faults.point("store.after_commit")
        own = {"revision": changed["revision"], "change_id": change_id}
        stored = self._records.get(key)
        if not written and (stored is None or not own.items() <= stored.items()):
            raise rules.record_conflict(old)
        return Stored(old.key, value, old.revision + 1)

    async def delete_record(self, old: Stored[Record]) -> None:
        key = (codec.kind_name(type(old.value)), old.key)
        await faults.point("store.before_commit")
        if not self._records.compare_and_delete(key, {"revision": old.revision}):
            raise rules.record_conflict(old)
        await faults.point("store.after_commit")

    async def records(
        self, kind: type[Record], *, after: str = "", limit: int = 1000
    ) -> list[Stored[Record]]:
        name = codec.kind_name(kind)
        found = (
            _stored(kind, key[1], document)
            for key, document in self._records.scan((name, after))
            if key[0] == name and key[1] > after
        )
        return list(found)[:limit]

    async def ping(self) -> None:
        await faults.point("store.before_commit")
        await faults.point("store.after_commit")


def _document(task: Task) -> dict[str, Any]:
    return {
        **codec.index_of(task),
        "revision": task.revision,
        "change_id": task.change_id,
        "doc": codec.encode(task),
    }


def _positions(document: Document) -> Positions:
    return Positions(*(document[name] for name in codec.POSITIONS))


def _task(document: Document) -> Task:
    return codec.task_from(document["doc"], _positions(document))


def _stored(kind: type[Record], key: str, document: Document) -> Stored[Record]:
    return Stored(key, codec.decode(kind, document["doc"]), document["revision"])


def _of_attempt(documents: Documents, ref: AttemptRef, first: int) -> Iterator[tuple[Any, Document]]:
    for key, document in documents.scan((ref.task_id, ref.number, first)):
        if key[:2] != (ref.task_id, ref.number):
            return
        yield key, document


def _release_at(task: Task) -> datetime | None:
    return task.next_attempt_at if task.state is State.CREATED else None


def _matches(task: Task, where: TaskFilter) -> bool:
    return (
        (not where.states or task.state in where.states)
        and (where.project is None or task.project == where.project)
        and (where.spider is None or task.spider == where.spider)
        and (where.tag is None or where.tag in task.tags)
        and (where.since is None or task.created_at >= where.since)
        and (where.id_suffix is None or task.id.endswith(where.id_suffix))
        and (where.group is None or task.group == where.group)
    )
