"""Small things that tests of several parts share: builders, a clock that stands still, waiting."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from silkmill.domain.events import Assign, Event
from silkmill.domain.ids import uuid7
from silkmill.domain.task import Task, advance
from silkmill.ports.store import Store

T = TypeVar("T")

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
POLL_SECONDS = 0.01
_orders = itertools.count()


def wait_until(
    condition: Callable[[], T], timeout: float = 10.0, describe: Callable[[], object] = lambda: ""
) -> T:
    """Poll until the condition is true and answer with what it gave. A time-out says the last state."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {value!r} {describe()}")
        time.sleep(POLL_SECONDS)
    return value


async def wait_until_async(
    condition: Callable[[], Awaitable[T]], seconds: float = 10.0, describe: Callable[[], object] = lambda: ""
) -> T:
    """`wait_until` for a condition that is awaited; the event loop runs on."""
    deadline = time.monotonic() + seconds
    while not (value := await condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {value!r} {describe()}")
        await asyncio.sleep(POLL_SECONDS)
    return value


def make_task(**given: Any) -> Task:
    """A pending task of default/news; each has an id of its own, later ones sort behind earlier ones."""
    order = next(_orders)
    created_at = given.pop("created_at", START + timedelta(milliseconds=order))
    defaults: dict[str, Any] = {
        "id": uuid7(created_at, os.urandom(10)),
        "project": "default",
        "spider": "news",
        "version": "v1",
        "created_at": created_at,
        "order": order,
    }
    return Task(**(defaults | given))


def changed(task: Task, event: Event | None = None, **changes: Any) -> Task:
    """What a caller of `swap` writes: the event applied, fields replaced, a change_id of its own."""
    after = task if event is None else advance(task, event)
    return replace(after, **({"change_id": os.urandom(8).hex()} | changes))


async def insert_claimed(store: Store, session: str = "session-1", **given: Any) -> Task:
    """A task in the store whose first attempt is offered to `session` of node-1."""
    task = make_task(**given)
    await store.insert_tasks([task])
    return await store.claim(task, changed(task, Assign("node-1", session, START)))


async def pending(store: Store, limit: int = 100) -> list[Task]:
    """Unassigned pending tasks, as if there was one queue."""
    heads = await store.pending_heads(await store.waiting_queues(), limit)
    return sorted(heads, key=lambda task: (task.priority, task.order, task.id))[:limit]


class FakeClock:
    """Implements ports.clock.Clock; both clocks stand still until the test moves them."""

    def __init__(self) -> None:
        self._now, self._boottime = START, 1000.0

    def now(self) -> datetime:
        return self._now

    def boottime(self) -> float:
        return self._boottime

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
        self._boottime += seconds
