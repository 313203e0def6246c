"""The backlog: every queue of pending tasks. Only those are read that something can be taken from."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from typing import Protocol

from silkmill.domain.placement import Placement, queue_of_name
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
    """One queue: whose tasks are in it, and its heads."""

    def __init__(self, name: str, owner: tuple[str, str], *, is_stale: bool) -> None:
        self.name, self.owner = name, owner
        self.ahead = LookAhead(is_stale=is_stale)

    @property
    def may_have_tasks(self) -> bool:
        return bool(self.ahead) or self.ahead.wants_reading

    def head(self) -> Place:
        """Of one that is not empty."""
        return self.ahead.first


class Placed:
    """The queues of one placement: where no node fits, one look passes over all of them."""

    def __init__(self, placement: Placement) -> None:
        self.placement = placement
        self.queues: dict[str, Waiting] = {}


class Backlog:
    """A queue that is unknown here was empty when the queues were last listed."""

    def __init__(self) -> None:
        self._placed: dict[str, Placed] = {}
        self._queues: dict[str, Waiting] = {}

    def __iter__(self) -> Iterator[Placed]:
        return iter(self._placed.values())

    def __len__(self) -> int:
        """Pending tasks that this process knows of; the store may have more."""
        return sum(len(waiting.ahead) for waiting in self._queues.values())

    async def list_queues(self, source: Source) -> None:
        """Learn anew which queues there are; what is known of each is to be read again before it is used."""
        names = await source.waiting_queues()
        for name in names:
            self._queue(name, is_stale=True).ahead.is_stale = True
        for name in self._queues.keys() - set(names):
            if not self._queues[name].ahead and not self._queues[name].ahead.has_more:
                self._drop(name)

    async def read(self, source: Source, queues: Collection[Waiting]) -> None:
        """The heads of these queues: the more queues there are, the fewer of each. Raises Unavailable."""
        limit = max(SHORTEST_LOOK, lookahead.LOOK_AHEAD // max(1, len(self._queues)))
        heads: dict[str, list[Task]] = {waiting.name: [] for waiting in queues}
        with ExitStack() as reading:
            for waiting in queues:
                reading.enter_context(waiting.ahead.being_read())
            for task in await source.pending_heads(list(heads), limit):
                heads[task.queue].append(task)
            for waiting in queues:
                waiting.ahead.read(heads[waiting.name], limit)

    def notice(self, task: Task) -> None:
        """A task was committed."""
        name = task.queue
        if name in self._queues or task.waits:
            self._queue(name, is_stale=False).ahead.notice(task)

    def _queue(self, name: str, *, is_stale: bool) -> Waiting:
        known = self._queues.get(name)
        if known is not None:
            return known
        queue = queue_of_name(name)
        waiting = Waiting(name, (queue.project, queue.spider), is_stale=is_stale)
        placed = self._placed.setdefault(queue.narrowed, Placed(queue.placement))
        self._queues[name] = placed.queues[name] = waiting
        return waiting

    def _drop(self, name: str) -> None:
        narrowed = queue_of_name(name).narrowed
        del self._queues[name], self._placed[narrowed].queues[name]
        if not self._placed[narrowed].queues:
            del self._placed[narrowed]
