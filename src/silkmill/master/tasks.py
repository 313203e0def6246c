"""Task records: how they are found, and the one loop that changes them: read, decide, swap."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from itertools import count
from typing import TypeVar

from silkmill.domain.attempt import AttemptRef, Positions
from silkmill.domain.errors import Ambiguous, BadInput, Conflict, NotFound, SilkmillError, Unavailable
from silkmill.domain.fields import with_fields
from silkmill.domain.task import Task
from silkmill.master.feed import Feed, Resync, TaskChanged
from silkmill.ports.store import Store, TaskFilter

Decide = Callable[[Task], Task | None]
"""The next value of a task, or None when nothing is to be done. Called again after a conflict."""

FULL_ID = 36
SHORTEST_SUFFIX = 6
Result = TypeVar("Result")


class Tasks:
    """Tasks with an open attempt are kept in memory as they were last committed by this process.

    So the steps of an attempt need no read. A value that another master has changed since costs a conflict
    and a read: neither a refusal nor that nothing is to be done is decided on a kept value alone."""

    def __init__(self, store: Store, feed: Feed) -> None:
        self._store = store
        self._feed = feed
        self._open: dict[str, Task] = {}
        self._reads: dict[str, object] = {}
        self._in_doubt = False
        # Random bits for every change would cost a system call each; a counter behind some is as unique.
        self._change_ids = map(f"{secrets.token_hex(8)}-{{:x}}".format, count())

    async def get(self, task_id: str) -> Task:
        """As stored. Raises NotFound."""
        return _found(task_id, await self._store.task(task_id))

    async def find(self, text: str) -> Task:
        """By full id, by its last characters (6 or more), or `last`. Raises NotFound, Ambiguous, BadInput."""
        if text == "last":
            return self._only(text, await self._store.tasks(TaskFilter(), limit=1))
        if len(text) == FULL_ID:
            return await self.get(text)
        if len(text) < SHORTEST_SUFFIX:
            raise BadInput(
                f"{text!r} is too short for a task id",
                field="id",
                remedy="give its last 6 or more characters",
            )
        return self._only(text, await self._store.tasks(TaskFilter(id_suffix=text.lower()), limit=10))

    async def change(self, task_id: str, decide: Decide) -> Task:
        """The task after `decide` was applied and committed, or as it is when there was nothing to do.

        Raises what `decide` raises, NotFound, and Unavailable (then the change may have been made)."""
        kept = self._open.get(task_id)
        while True:
            task = kept or _found(task_id, await self._read(task_id))
            try:
                changed = decide(task)
            except SilkmillError:
                if kept is None:
                    raise
            else:
                if changed is not None:
                    with suppress(Conflict):
                        return await self._commit(self._store.swap, task, changed)
                elif kept is None:
                    return task
            self._open.pop(task_id, None)
            kept = None

    async def claim(self, task: Task, claimed: Task) -> Task:
        """A new attempt of a pending task, with its streams at zero. Raises Conflict, Unavailable."""
        return await self._commit(self._store.claim, task, claimed)

    async def insert_claimed(self, task: Task) -> None:
        """A new task that has its first attempt already. Raises Unavailable."""
        await self._answered(lambda: self._store.insert_tasks([task]))
        self._keep(task)
        self._feed.publish(TaskChanged(task))

    async def insert(self, tasks: Sequence[Task], *, fresh: bool = True) -> None:
        """New tasks; those whose id exists already stay as they are. Raises Unavailable.

        `fresh`: none of them can exist, so they are published as they are given."""
        await self._answered(lambda: self._store.insert_tasks(tasks))
        for hint in map(TaskChanged, tasks) if fresh else [Resync()]:
            self._feed.publish(hint)

    async def open_attempts(self) -> list[Task]:
        return await self._store.open_attempts()

    async def insert_firing(self, task: Task) -> Task:
        """The task of a firing as it is stored: this one, or the one that was there. Raises Unavailable."""
        await self._answered(lambda: self._store.insert_tasks([task]))
        stored = await self._store.firing(task.firing or "") or task
        self._feed.publish(TaskChanged(stored))
        return stored

    async def opened(self, ref: AttemptRef) -> Task | None:
        """The task of an attempt, without a read where this process knows that the attempt is open."""
        kept = self._open.get(ref.task_id)
        if kept and kept.attempt and kept.attempt.number == ref.number:
            return kept
        return await self._read(ref.task_id)

    async def reread(self, task_id: str) -> Task | None:
        """As stored, whatever this process remembers."""
        self._open.pop(task_id, None)
        return await self._read(task_id)

    def moved(
        self, ref: AttemptRef, *, log_offset: int = 0, items_offset: int = 0, items_count: int = 0
    ) -> None:
        """A stream of an attempt is stored so far. Answers may arrive in any order."""
        positions = Positions(log_offset, items_offset, items_count)
        task = self._open.get(ref.task_id)
        if task and task.attempt and task.attempt.number == ref.number:
            self._open[ref.task_id] = _at_furthest(task, positions)

    async def tell_of_doubt(self) -> None:
        """After a write whose answer was lost nobody has heard what it changed: now all look again.

        Raises Unavailable."""
        if self._in_doubt:
            self._in_doubt = False
            try:
                await self._store.ping()  # every write before this one has been made or refused
            except Unavailable:
                self._in_doubt = True
                raise
            self._feed.publish(Resync())

    async def _commit(self, write: Callable[[Task, Task], Awaitable[Task]], old: Task, new: Task) -> Task:
        new = with_fields(new, change_id=next(self._change_ids))
        try:
            stored = await self._answered(lambda: write(old, new))
        except (Unavailable, asyncio.CancelledError):
            self._open.pop(old.id, None)
            raise
        self._keep(stored)
        self._feed.publish(TaskChanged(stored, old))
        return stored

    async def _answered(self, write: Callable[[], Awaitable[Result]]) -> Result:
        """A write, once more if its answer was lost. Whatever nobody waits for to the end is in doubt."""
        try:
            try:
                return await write()
            except Unavailable:
                return await write()
        except (Unavailable, asyncio.CancelledError):
            self._in_doubt = True
            raise

    async def _read(self, task_id: str) -> Task | None:
        """As stored, and kept if it is open.

        Read again if this process has closed its attempt meanwhile: what was read before that would be kept
        for ever. Whoever reads the same task at the same time has the same mark."""
        while True:
            mark = self._reads.setdefault(task_id, object())
            try:
                task = await self._store.task(task_id)
            finally:
                is_latest = self._reads.get(task_id) is mark
                if is_latest:
                    del self._reads[task_id]
            if is_latest:
                return self._keep(task)

    def _keep(self, task: Task | None) -> Task | None:
        if task is None:
            return None
        if task.attempt is None:
            self._open.pop(task.id, None)
            self._reads.pop(task.id, None)
            return task
        kept = self._open.get(task.id)
        if kept is None or kept.last_number != task.last_number:
            self._open[task.id] = task
        elif kept.revision <= task.revision:
            # Appends move the positions of the kept value while a swap is under way.
            self._open[task.id] = _at_furthest(task, kept.positions)
        return self._open[task.id]

    def _only(self, text: str, found: list[Task]) -> Task:
        if len(found) > 1:
            raise Ambiguous(text, tuple(task.id for task in found))
        return _found(text, found[0] if found else None)


def _found(text: str, task: Task | None) -> Task:
    if task is None:
        raise NotFound("task", text, remedy="`silkmill ps` lists the tasks")
    return task


def _at_furthest(task: Task, other: Positions) -> Task:
    own = task.positions
    furthest = Positions(
        max(own.log_offset, other.log_offset),
        max(own.items_offset, other.items_offset),
        max(own.items_count, other.items_count),
    )
    return task if furthest == own else with_fields(task, positions=furthest)
