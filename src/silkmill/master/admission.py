"""Admission: which tasks an engine places: all there are, or only those that were given to it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from silkmill.domain.errors import EngineLeaves
from silkmill.domain.task import Task
from silkmill.master.feed import Hint, TaskChanged
from silkmill.master.lookahead import place_of
from silkmill.ports.store import Store
from silkmill.runtime.loop import in_turns, wait_set

LOOK_SECONDS = 1.0
"""The safety net: normally the feed tells of each end."""


class Admission(Protocol):
    """Asked by the intake for every submission, and by the dispatcher for what it may place."""

    @contextmanager
    def submitting(self) -> Iterator[None]:
        """Around a submission from its beginning to its commit. Raises EngineLeaves."""
        yield

    def admit(self, task_ids: Iterable[str]) -> None:
        """Inside `submitting`, before the tasks are stored."""

    def __contains__(self, task: Task) -> bool: ...

    # As of the store, but only what is admitted.
    async def waiting_queues(self) -> list[str]: ...

    async def pending_heads(self, queues: Sequence[str], limit: int) -> list[Task]: ...


class Everything:
    """`silkmill up`: whatever is pending, whoever submitted it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @contextmanager
    def submitting(self) -> Iterator[None]:
        yield

    def admit(self, task_ids: Iterable[str]) -> None:
        pass

    def __contains__(self, task: Task) -> bool:
        return True

    async def waiting_queues(self) -> list[str]:
        return await self._store.waiting_queues()

    async def pending_heads(self, queues: Sequence[str], limit: int) -> list[Task]:
        return await self._store.pending_heads(queues, limit)


class OnlyGiven:
    """`silkmill run` without a server: what was submitted to this engine; a backlog waits for `up`.

    When all of that has ended it closes its door: a submission is then refused before anything is stored, so
    its sender can safely give it to the next engine."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._open: set[str] = set()
        self._entering = 0
        self._closed = False
        self._done = asyncio.Event()

    @property
    def open(self) -> list[str]:
        """Ids of tasks that have not ended, when it was last looked."""
        return sorted(self._open)

    @contextmanager
    def submitting(self) -> Iterator[None]:
        if self._closed:
            raise EngineLeaves
        self._entering += 1
        try:
            yield
        finally:
            self._entering -= 1
            self._tell_if_done()

    def admit(self, task_ids: Iterable[str]) -> None:
        self._open.update(task_ids)

    def __contains__(self, task: Task) -> bool:
        return task.id in self._open

    async def waiting_queues(self) -> list[str]:
        return sorted({task.queue for task in await self._waiting()})

    async def pending_heads(self, queues: Sequence[str], limit: int) -> list[Task]:
        waiting = sorted(await self._waiting(), key=place_of)
        of_queues = ([task for task in waiting if task.queue == queue] for queue in queues)
        return [task for found in of_queues for task in found[:limit]]

    async def _waiting(self) -> list[Task]:
        found = [await self._store.task(task_id) async for task_id in in_turns(self.open)]
        return [task for task in found if task and task.waits]

    def notice(self, hint: Hint) -> None:
        """For the feed."""
        if isinstance(hint, TaskChanged) and hint.task.state.final:
            self._open.discard(hint.task.id)
            self._tell_if_done()

    def _tell_if_done(self) -> None:
        if not self._open and not self._entering:
            self._done.set()

    async def close_when_done(self) -> None:
        """Wait until all is done, then close the door. Raises Unavailable."""
        while not await self.close_if_done():
            self._done.clear()
            await wait_set(self._done, LOOK_SECONDS)

    async def close_if_done(self) -> bool:
        """Close the door if all tasks have ended and none is on its way in; says whether it is closed.

        Raises Unavailable."""
        async for task_id in in_turns(self.open):
            task = await self._store.task(task_id)
            if self._entering:  # what is not stored yet may be about to be
                return False
            if task is None or task.state.final:
                self._open.discard(task_id)
        self._closed = not self._open and not self._entering  # nothing was awaited since the last look
        return self._closed
