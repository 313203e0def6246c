"""Records by key: tasks, items, log tails and the small nouns around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from silkmill.domain.attempt import AttemptRef, Positions
from silkmill.domain.states import State
from silkmill.domain.task import Task

Record = TypeVar("Record")
"""A frozen dataclass of `domain` that is kept by key: Node, Spider, Version, Blob, Group, Series."""


@dataclass(frozen=True, slots=True)
class Stored(Generic[Record]):
    """A record as it was read, with the revision that a swap must name."""

    key: str
    value: Record
    revision: int


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Which tasks; what is None or empty does not narrow. `id_suffix`: the last characters of the id."""

    states: tuple[State, ...] = ()
    project: str | None = None
    spider: str | None = None
    tag: str | None = None
    since: datetime | None = None
    id_suffix: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class TailRecord:
    """Log bytes that are not in a chunk yet. Equal (offset, length) of one attempt means equal bytes."""

    offset: int
    data: bytes = field(repr=False)


class Store(Protocol):
    """Conditional writes on single records and unique keys; nothing else is needed for correctness.

    A write has been committed when its coroutine returns. Unavailable after a write is ambiguous; a repeat of
    the same call is safe. `swap` and `claim` take a `new` whose `change_id` is set by the caller: a conflict
    with one's own change_id is success."""

    # Tasks. Positions are read with the task but written only by claim, append_items, append_log, move_log.
    async def insert_tasks(self, tasks: Sequence[Task]) -> None:
        """All of them; one whose id exists already is left as it is (ids of a submission are derived), and
        one whose key another task of its spider has, or whose firing another task is, is left out."""

    async def task(self, task_id: str) -> Task | None: ...

    async def swap(self, old: Task, new: Task) -> Task:
        """Write `new` if the stored revision is `old.revision`; returns it with the next revision.

        When `new` closes the attempt that is open in `old`, the write is conditional on `old.positions` too.
        Positions themselves are never written. Raises Conflict."""

    async def claim(self, old: Task, new: Task) -> Task:
        """`swap` for an Assign: the positions become those of a new attempt, all zero. Raises Conflict, also
        when another open attempt holds one of its permits."""

    async def delete_task(self, old: Task) -> None:
        """Conditional on the revision read. Raises Conflict; one that is gone is success. Its items and log
        are the caller's to delete before."""

    async def tasks(
        self, where: TaskFilter, *, limit: int, before: str | None = None, newest_first: bool = True
    ) -> list[Task]:
        """Tasks by id (which is by time), from after the cursor `before` on."""

    async def count_tasks(self, project: str | None = None, spider: str | None = None) -> dict[State, int]:
        """All of them, of a project, of spiders of a name, or of one spider; states without tasks are left
        out. Takes no longer the more there are."""

    async def waiting_queues(self) -> list[str]:
        """The queues in which unassigned pending tasks are, by name."""

    async def pending_heads(self, queues: Sequence[str], limit: int) -> list[Task]:
        """Of each of these queues the first `limit` unassigned pending tasks, by (priority, order, id)."""

    async def keyed(self, project: str, spider: str, keys: Sequence[str]) -> list[Task]:
        """Those tasks of a spider that were submitted under one of these keys."""

    async def open_attempts(self) -> list[Task]:
        """Tasks whose attempt is open, in any state and session."""

    async def due_created(self, now: datetime, limit: int) -> list[Task]:
        """Tasks `created` whose next_attempt_at has come."""

    async def due_upkeep(self, now: datetime, limit: int) -> list[Task]:
        """Tasks whose `upkeep_at` has come."""

    async def firing(self, firing: str) -> Task | None:
        """The task of this firing."""

    async def firings(
        self, schedule: str, *, limit: int, before: str | None = None, open_only: bool = False
    ) -> list[Task]:
        """Tasks that are firings of a schedule, the latest first; `before`: earlier than this firing;
        `open_only`: those that have not ended."""

    async def waiting_after(self) -> list[tuple[str, str]]:
        """(task, the task it waits for) of all that are created behind another one."""

    # Streams. The payload is stored first, then the position moves; both are committed on return.
    # Raise StaleAttempt, StaleSession, or OffsetMismatch (gap or partial overlap); a whole repeat is success.
    # All return the positions that are stored afterwards.
    async def append_items(
        self, ref: AttemptRef, session: str, offset: int, first_ordinal: int, records: Sequence[bytes]
    ) -> Positions:
        """Items from stream byte `offset` on; each record is its raw JSON and counts len + 1 bytes."""

    async def append_log(self, ref: AttemptRef, session: str, offset: int, data: bytes) -> Positions:
        """A tail record (offset, len(data)), then the position."""

    async def move_log(self, ref: AttemptRef, session: str, offset: int, length: int) -> Positions:
        """The position alone: the bytes are in a chunk of the bucket."""

    async def items(self, ref: AttemptRef, *, first: int = 0, limit: int = 1000) -> list[tuple[int, bytes]]:
        """(ordinal, raw JSON) in order. Rows at or beyond the attempt's items_count may be among them and do
        not exist for a reader: the caller cuts there."""

    async def delete_items(self, ref: AttemptRef, *, before: int) -> None:
        """Drop the items whose ordinals are smaller than `before`."""

    async def log_tail(self, ref: AttemptRef) -> list[TailRecord]:
        """Tail records by offset; they may overlap chunks, and reach beyond log_offset."""

    async def delete_log_tail(self, ref: AttemptRef, *, before: int) -> None:
        """Drop the tail records that begin before `before`: their bytes are in a chunk."""

    # Small nouns, one document each, kept by (type, key).
    async def record(self, kind: type[Record], key: str) -> Stored[Record] | None: ...

    async def insert_record(self, key: str, value: object) -> None:
        """Raises Duplicate."""

    async def replace_record(self, old: Stored[Record], value: Record, change_id: str) -> Stored[Record]:
        """Conditional on the revision read. Raises Conflict; one's own change_id is success."""

    async def delete_record(self, old: Stored[Record]) -> None:
        """Conditional on the revision read. Raises Conflict; one that is gone is success."""

    async def records(
        self, kind: type[Record], *, after: str = "", limit: int = 1000
    ) -> list[Stored[Record]]:
        """By key, keys greater than `after`."""

    async def ping(self) -> None:
        """One committed write; raises Unavailable when the store takes none."""
