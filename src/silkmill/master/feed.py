"""The feed: hints about what has just been committed, for everybody in this process who watches."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from silkmill.domain.attempt import AttemptRef
from silkmill.domain.statistics import Live
from silkmill.domain.task import Task

SUBSCRIBER_HINTS = 4096
"""So many hints wait for a slow subscriber; then it gets a Resync instead of them."""


@dataclass(frozen=True, slots=True)
class TaskChanged:
    """A task as it was committed, and as it was before; None: it is new."""

    task: Task
    before: Task | None = None


@dataclass(frozen=True, slots=True)
class LogGrew:
    """Log bytes before `log_offset` are stored."""

    ref: AttemptRef
    log_offset: int


@dataclass(frozen=True, slots=True)
class ItemsGrew:
    """The items of ordinal < `count` are stored."""

    ref: AttemptRef
    count: int


@dataclass(frozen=True, slots=True)
class LimitsChanged:
    """How many tasks of a spider or a project may run at once is not what it was."""


@dataclass(frozen=True, slots=True)
class StatisticsChanged:
    """What a running attempt told of itself: kept in memory only."""

    task: Task
    live: Live


@dataclass(frozen=True, slots=True)
class Resync:
    """Hints were dropped: read again what you show."""


Hint = TaskChanged | LogGrew | ItemsGrew | LimitsChanged | StatisticsChanged | Resync


class Subscription:
    """The hints of one subscriber, in order, as an async iterator without end."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._hints: deque[Hint] = deque()
        self._arrived = asyncio.Event()

    def offer(self, hint: Hint) -> None:
        if len(self._hints) >= self._capacity:
            self._hints.clear()
            hint = Resync()
        self._hints.append(hint)
        self._arrived.set()

    def __aiter__(self) -> AsyncIterator[Hint]:
        return self

    async def __anext__(self) -> Hint:
        while not self._hints:
            self._arrived.clear()
            await self._arrived.wait()
        return self._hints.popleft()


class Feed:
    """Publishing never waits: watchers are called at once, subscribers have a bounded queue each."""

    def __init__(self) -> None:
        self._watchers: list[Callable[[Hint], None]] = []
        self._subscriptions: set[Subscription] = set()

    def publish(self, hint: Hint) -> None:
        """Called after the commit, with what was committed."""
        for watcher in self._watchers:
            watcher(hint)
        for subscription in self._subscriptions:
            subscription.offer(hint)

    def watch(self, watcher: Callable[[Hint], None]) -> None:
        """Call `watcher` inside every publish. It must be quick and may not fail."""
        self._watchers.append(watcher)

    @contextmanager
    def subscribe(self, capacity: int = SUBSCRIBER_HINTS) -> Iterator[Subscription]:
        subscription = Subscription(capacity)
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)
