"""What is stored beside the record of a task, and how it is deleted with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from silkmill.domain.attempt import AttemptRef
from silkmill.domain.series import Series
from silkmill.domain.task import Task
from silkmill.master.logs.upkeep import ALL_RECORDS
from silkmill.master.statistics import delete_series
from silkmill.ports.bucket import Bucket
from silkmill.ports.store import Store

ITEMS_PER_STEP = 5_000
OBJECTS_PER_STEP = 100


class Steps:
    """How many writes may still be made at once."""

    def __init__(self, left: int) -> None:
        self._left = left

    def take(self) -> bool:
        """False when there is none left."""
        self._left -= 1
        return self._left >= 0


class Belonging(Protocol):
    """One kind of thing that is kept with a task, for all its attempts."""

    async def erase(self, task: Task, steps: Steps) -> bool:
        """Delete it as far as the steps allow; whether all of it is gone. A repeat goes on. The task has
        ended, and its record says already that this is gone. Raises Unavailable."""


class Items:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def erase(self, task: Task, steps: Steps) -> bool:
        for ref in _attempts(task):
            while rest := await self._store.items(ref, limit=1):
                if not steps.take():
                    return False
                await self._store.delete_items(ref, before=rest[0][0] + ITEMS_PER_STEP)
        return True


class Logs:
    def __init__(self, store: Store, bucket: Bucket) -> None:
        self._store, self._bucket = store, bucket

    async def erase(self, task: Task, steps: Steps) -> bool:
        names = await self._bucket.names(f"logs/{task.id}/")
        for begin in range(0, len(names), OBJECTS_PER_STEP):
            if not steps.take():
                return False
            await self._bucket.delete(names[begin : begin + OBJECTS_PER_STEP])
        for ref in _attempts(task):
            if await self._store.log_tail(ref):
                if not steps.take():
                    return False
                await self._store.delete_log_tail(ref, before=ALL_RECORDS)
        return True


class AllSeries:
    """The statistics of all attempts."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def erase(self, task: Task, steps: Steps) -> bool:
        for ref in _attempts(task):
            if await self._store.record(Series, str(ref)) is not None:
                if not steps.take():
                    return False
                await delete_series(self._store, ref)
        return True


def _attempts(task: Task) -> Iterator[AttemptRef]:
    """All there ever were, also those that the history does not keep."""
    return (AttemptRef(task.id, number) for number in range(1, task.last_number + 1))
