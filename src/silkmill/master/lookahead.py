"""The look-ahead: the heads of one queue of pending tasks, as one process knows them."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from silkmill.domain.task import Task

LOOK_AHEAD = 512
Place = tuple[int, int, str]
"""Where a pending task stands in the queue: priority, order, id."""


def place_of(task: Task) -> Place:
    return task.priority, task.order, task.id


class LookAhead:
    """Kept true by the feed between two reads. `is_stale`: the store may know of tasks that are not here."""

    def __init__(self, *, is_stale: bool) -> None:
        self._tasks: dict[Place, Task] = {}
        self._places: list[Place] = []
        self._meanwhile: list[Task] | None = None
        self._end: Place | None = None
        """Heads beyond this place were not read; None: there are none."""
        self.is_stale = is_stale

    def __len__(self) -> int:
        return len(self._places)

    @property
    def wants_reading(self) -> bool:
        """It is stale, or nothing is left here though the store has more."""
        return self.is_stale or (not self._places and self.has_more)

    @property
    def has_more(self) -> bool:
        """The store has tasks behind these, as far as is known."""
        return self._end is not None

    @property
    def first(self) -> Place:
        """Of the task that `pop` gives."""
        return self._places[0]

    @contextmanager
    def being_read(self) -> Iterator[None]:
        """Around a read: what is committed meanwhile may be missing in its answer."""
        self._meanwhile = []
        try:
            yield
        finally:
            self._meanwhile = None

    def read(self, heads: Iterable[Task], limit: int) -> None:
        """`heads`: the first `limit` tasks of the queue in the store; what came meanwhile is added."""
        self._tasks = {place_of(task): task for task in heads}
        self._places = sorted(self._tasks)
        self._end = self._places[-1] if len(self._places) >= limit else None
        self.is_stale = False
        meanwhile, self._meanwhile = self._meanwhile or [], None
        for task in meanwhile:
            self.notice(task)

    def notice(self, task: Task) -> None:
        """A task of this queue was committed."""
        if self._meanwhile is not None:
            self._meanwhile.append(task)
        place = place_of(task)
        self._remove(place)
        if task.waits and (self._end is None or place <= self._end):
            insort(self._places, place)
            self._tasks[place] = task
            self._cut()

    def pop(self) -> Task:
        return self._tasks.pop(self._places.pop(0))

    def _remove(self, place: Place) -> None:
        if self._tasks.pop(place, None) is not None:
            del self._places[bisect_left(self._places, place)]

    def _cut(self) -> None:
        while len(self._places) > 2 * LOOK_AHEAD:
            del self._tasks[self._places.pop()]
            self._end = self._places[-1]
