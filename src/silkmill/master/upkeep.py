"""Upkeep of closed attempts: their logs are merged, and what the merging left behind is deleted later."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from silkmill.domain.errors import Unavailable
from silkmill.domain.task import Task
from silkmill.ports.clock import Clock
from silkmill.ports.store import Store

TICK_SECONDS = 2.0
TASKS_AT_ONCE = 100


class LogKeeper(Protocol):
    """The log store's upkeep."""

    async def upkeep(self, task: Task, now: datetime) -> None:
        """Do what is due for the closed attempts of a task. Raises Unavailable; a repeat goes on."""


class Upkeep:
    """Apart from recovery, because a large log takes its time. Any number of masters may run it."""

    def __init__(self, store: Store, logs: LogKeeper, clock: Clock) -> None:
        self._store, self._logs, self._clock = store, logs, clock

    async def tick(self) -> None:
        """One log that cannot be kept now does not hold up those behind it. Raises Unavailable in the end."""
        now = self._clock.now()
        failure: Unavailable | None = None
        for task in await self._store.due_upkeep(now, TASKS_AT_ONCE):
            try:
                await self._logs.upkeep(task, now)
            except Unavailable as error:
                failure = error
        if failure is not None:
            raise failure
