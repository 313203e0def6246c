"""Metrics: what has happened since this engine started, counted from the feed."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

from silkmill.domain.attempt import AttemptRef
from silkmill.domain.task import Task
from silkmill.master.feed import Feed, Hint, ItemsGrew, LogGrew, TaskChanged

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 300.0, 3600.0, 86400.0)
"""Upper bounds of what is counted together: a start takes milliseconds, a crawl hours."""


@dataclass(slots=True)
class Histogram:
    """How many values lie up to each bound and not up to the one before; the last ones are beyond all."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(SECONDS) + 1))
    sum: float = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(SECONDS, value)] += 1
        self.sum += value


class Metrics:
    """`ended`: tasks by project, state and error class. `attempts`: those that are over, by outcome.
    `waited`: from the making of a task to its first start; `ran`: an attempt, from start to end; in seconds.

    A change whose answer was lost may be missing: these are for graphs, the store has the truth."""

    def __init__(self, feed: Feed) -> None:
        self.ended: Counter[tuple[str, str, str]] = Counter()
        self.attempts: Counter[str] = Counter()
        self.waited, self.ran = Histogram(), Histogram()
        self.items = self.log_bytes = 0
        self._items_seen: dict[AttemptRef, int] = {}
        self._bytes_seen: dict[AttemptRef, int] = {}
        feed.watch(self._notice)

    def _notice(self, hint: Hint) -> None:
        match hint:
            case TaskChanged(task, before):
                self._changed(task, before)
            case ItemsGrew(ref, count):
                self.items += _growth(self._items_seen, ref, count)
            case LogGrew(ref, log_offset):
                self.log_bytes += _growth(self._bytes_seen, ref, log_offset)

    def _changed(self, task: Task, before: Task | None) -> None:
        if task.ref is not None:
            self._items_seen.setdefault(task.ref, task.positions.items_count)
            self._bytes_seen.setdefault(task.ref, task.positions.log_offset)
        if before is None:
            return
        if task.started_at is not None and before.started_at is None:
            self.waited.add(max(0.0, (task.started_at - task.created_at).total_seconds()))
        if task.state.final and not before.state.final:
            self.ended[task.project, task.state, task.error_class or ""] += 1
        if before.ref is not None and task.ref != before.ref:
            self._closed(task, before.ref)

    def _closed(self, task: Task, ref: AttemptRef) -> None:
        self._items_seen.pop(ref, None)
        self._bytes_seen.pop(ref, None)
        closed = task.history[-1] if task.history else None
        if closed is None or closed.number != ref.number:  # an offer that was withdrawn
            return
        self.attempts[closed.outcome] += 1
        if closed.started_at is not None:
            self.ran.add(max(0.0, (closed.finished_at - closed.started_at).total_seconds()))


def _growth(seen: dict[AttemptRef, int], ref: AttemptRef, now: int) -> int:
    """Of an attempt that an engine before this one began, only what comes now is counted."""
    before = seen.get(ref, now)
    seen[ref] = max(before, now)
    return seen[ref] - before
