"""The look-ahead: the heads of the queue of pending tasks, as one process knows them."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import Protocol

from silkmill.domain.states import State
from silkmill.domain.task import Task

LOOK_AHEAD = 512
Place = tuple[int, int, str]
"""Where a pending task stands in the queue: priority, order, id."""


def place_of(task: Task) -> Place:
    return task.priority, task.order, task.id


class Queue(Protocol):
    """Where pending tasks are read from, as `Store.pending_heads` gives them."""

    async def pending_heads(self, limit: int) -> list[Task]: ...


class LookAhead:
    """The heads of the queue as this process knows them, kept true by the feed between two reads."""

    def __init__(self) -> None:
        self._tasks: dict[Place, Task] = {}
        self._places: list[Place] = []
        self._meanwhile: list[Task] | None = None
        self._end: Place | None = None
        """Heads beyond this place were not read; None: there are none."""

    def __len__(self) -> int:
        return len(self._places)

    @property
    def is_unread(self) -> bool:
        """It is being read, or that has failed: tasks may be waiting that are not here."""
        return self._meanwhile is not None

    @property
    def exhausted(self) -> bool:
        """Nothing is left here, though the store has more."""
        return not self._places and self._end is not None

    async def read(self, queue: Queue) -> None:
        """Read the heads anew. What is committed meanwhile may be missing in the answer: it is added."""
        self._meanwhile = []
        heads = await queue.pending_heads(LOOK_AHEAD)
        self._tasks = {place_of(task): task for task in heads}
        self._places = sorted(self._tasks)
        self._end = self._places[-1] if len(heads) >= LOOK_AHEAD else None
        meanwhile, self._meanwhile = self._meanwhile, None
        for task in meanwhile:
            self.notice(task)

    def notice(self, task: Task) -> bool:
        """A task was committed; whether it is one to place now."""
        if self._meanwhile is not None:
            self._meanwhile.append(task)
        place = place_of(task)
        self._remove(place)
        waits = task.state is State.PENDING and task.attempt is None
        if waits and (self._end is None or place <= self._end):
            insort(self._places, place)
            self._tasks[place] = task
            self._cut()
        return waits

    def pop(self) -> Task:
        return self._tasks.pop(self._places.pop(0))

    def _remove(self, place: Place) -> None:
        if self._tasks.pop(place, None) is not None:
            del self._places[bisect_left(self._places, place)]

    def _cut(self) -> None:
        while len(self._places) > 2 * LOOK_AHEAD:
            del self._tasks[self._places.pop()]
            self._end = self._places[-1]
