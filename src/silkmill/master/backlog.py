"""The backlog: every queue of pending tasks. Only those are read that something can be taken from."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Protocol

from silkmill.domain.placement import queue_of_name
from silkmill.domain.task import Task
from silkmill.master import lookahead
from silkmill.master.lookahead import LookAhead, Place

SHORTEST_LOOK = 8
"""So many heads are read of each queue, however many queues there are."""


class Source(Protocol):
    """Where pending tasks are read from: the store, or a part of it."""

    async def waiting_queues(self) -> list[str]: ...

    async def pending_heads(self, queues: Sequence[str], limit: int) -> list[Task]: ...


class Waiting:
    """One queue: what its tasks wait for, and its heads."""

    def __init__(self, name: str, *, is_stale: bool) -> None:
        queue = queue_of_name(name)
        self.name, self.placement = name, queue.placement
        self.owner = queue.project, queue.spider
        self.ahead = LookAhead(is_stale=is_stale)

    def head(self) -> Place:
        """Of one that is not empty."""
        return self.ahead.first


class Backlog:
    """A queue that is unknown here was empty when the queues were last listed."""

    def __init__(self) -> None:
        self._queues: dict[str, Waiting] = {}

    def __iter__(self) -> Iterator[Waiting]:
        return iter(self._queues.values())

    def __len__(self) -> int:
        """Pending tasks that this process knows of; the store may have more."""
        return sum(len(waiting.ahead) for waiting in self)

    async def list_queues(self, source: Source) -> None:
        """Learn anew which queues there are; what is known of each is to be read again before it is used."""
        names = await source.waiting_queues()
        for name in names:
            self._queues.setdefault(name, Waiting(name, is_stale=True)).ahead.is_stale = True
        for name in self._queues.keys() - set(names):
            if not self._queues[name].ahead:
                del self._queues[name]

    async def read(self, source: Source, queues: Collection[Waiting]) -> None:
        """The heads of these queues: the more queues there are, the fewer of each. Raises Unavailable."""
        limit = max(SHORTEST_LOOK, lookahead.LOOK_AHEAD // max(1, len(self._queues)))
        for waiting in queues:
            waiting.ahead.begin_reading()
        heads: dict[str, list[Task]] = {waiting.name: [] for waiting in queues}
        for task in await source.pending_heads(list(heads), limit):
            heads[task.queue].append(task)
        for waiting in queues:
            waiting.ahead.end_reading(heads[waiting.name], limit)

    def notice(self, task: Task) -> None:
        """A task was committed."""
        name = task.queue
        if name in self._queues or task.waits:
            self._queues.setdefault(name, Waiting(name, is_stale=False)).ahead.notice(task)
