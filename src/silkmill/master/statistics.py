"""Live statistics: the latest of each running attempt in memory, and their series as records of their own."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from silkmill.domain.attempt import AttemptRef, ClosedAttempt, Positions
from silkmill.domain.errors import Conflict, Duplicate
from silkmill.domain.pace import counted
from silkmill.domain.series import Point, Series, joined, with_point
from silkmill.domain.statistics import Live, Statistics
from silkmill.domain.task import Task
from silkmill.master.feed import Feed, Hint, StatisticsChanged, TaskChanged
from silkmill.ports.clock import Clock
from silkmill.ports.link import Report
from silkmill.ports.store import Store, Stored

TICK_SECONDS = 5.0
SAVE_SECONDS = 30.0
"""How much of a running attempt's series a crash of this process may cost."""


@dataclass(slots=True)
class _Kept:
    """An attempt that was reported. `stored`: its record as this process has last written it."""

    ref: AttemptRef
    saved_at: float
    live: Live = Live()
    series: Series = Series()
    stored: Stored[Series] | None = None

    @property
    def is_saved(self) -> bool:
        return self.stored is not None and self.stored.value is self.series


class LiveStatistics:
    """Nothing waits for it, and it touches no task. What is lost in a crash is not asked for again."""

    def __init__(self, store: Store, feed: Feed, clock: Clock) -> None:
        self._store, self._feed, self._clock = store, feed, clock
        self._open: dict[str, _Kept] = {}
        self._ended: dict[AttemptRef, _Kept] = {}
        self.wake = asyncio.Event()
        feed.watch(self._notice)

    def report(self, task: Task, report: Report) -> None:
        """A running attempt told of itself; the fence has let it pass."""
        kept = self._open.get(task.id)
        if kept is None or kept.ref != report.ref:
            self._open[task.id] = kept = self._kept(report.ref)
        now, items = self._clock.now(), task.positions.items_count
        kept.live = Live(report.statistics, counted(kept.live.counts, items, now))
        series = with_point(kept.series, _point(now, task.positions, report.statistics))
        kept.series = replace(series, status=report.status or series.status)
        self._feed.publish(StatisticsChanged(task, kept.live))

    def told_last(self, ref: AttemptRef, status: str | None) -> None:
        """The latest STATUS message of an attempt that has just ended, however short it was."""
        if status is not None:
            kept = self._ended.setdefault(ref, self._kept(ref))
            kept.series = replace(kept.series, status=status)
            self.wake.set()

    def of(self, task: Task) -> Live:
        """The latest of the open attempt; nothing is known before its first report."""
        kept = self._open.get(task.id)
        return kept.live if kept is not None and kept.ref == task.ref else Live()

    async def series(self, ref: AttemptRef) -> Series:
        """Up to now; an empty one of an attempt that was never reported. Raises Unavailable."""
        kept = self._ended.get(ref) or self._open.get(ref.task_id)
        own = kept.series if kept is not None and kept.ref == ref else Series()
        if kept is not None and kept.ref == ref and kept.stored is not None:
            return own
        stored = await self._store.record(Series, str(ref))
        return own if stored is None else joined(stored.value, own)

    async def tick(self) -> None:
        """Write what has ended, and of what runs the series that are due. Raises Unavailable."""
        boottime = self._clock.boottime()
        await self._save_ended()
        for kept in self._unsaved():
            if boottime - kept.saved_at >= SAVE_SECONDS:
                kept.saved_at = boottime
                await self._save(kept)

    async def leave(self) -> None:
        """Write what a process that ends would take along. Raises Unavailable."""
        await self._save_ended()
        for kept in self._unsaved():
            await self._save(kept)

    def _unsaved(self) -> list[_Kept]:
        """What is written already may have been deleted since."""
        return [kept for kept in self._open.values() if not kept.is_saved]

    async def _save_ended(self) -> None:
        for ref, kept in list(self._ended.items()):
            await self._save(kept)
            if kept.is_saved:
                del self._ended[ref]

    async def _save(self, kept: _Kept) -> None:
        while not await self._has_saved(kept):
            kept.stored = None

    async def _has_saved(self, kept: _Kept) -> bool:
        """False when another has written the record meanwhile. What one before us wrote is gone on with."""
        key = str(kept.ref)
        if kept.stored is None and (found := await self._store.record(Series, key)):
            kept.stored, kept.series = found, joined(found.value, kept.series)
        series = kept.series
        try:
            if kept.stored is None:
                await self._store.insert_record(key, series)
                kept.stored = Stored(key, series, 0)
            else:
                kept.stored = await self._store.replace_record(kept.stored, series, secrets.token_hex(8))
        except (Conflict, Duplicate):
            return False
        return True

    def _notice(self, hint: Hint) -> None:
        if isinstance(hint, TaskChanged):
            kept = self._open.get(hint.task.id)
            if kept is not None and kept.ref != hint.task.ref:
                self._end(self._open.pop(hint.task.id), hint.task)

    def _end(self, kept: _Kept, task: Task) -> None:
        closed = next((past for past in task.history if past.number == kept.ref.number), None)
        if closed is not None:
            kept.series = with_point(kept.series, _last_point(closed))
        self._ended[kept.ref] = kept
        self.wake.set()

    def _kept(self, ref: AttemptRef) -> _Kept:
        return _Kept(ref, self._clock.boottime())


async def delete_series(store: Store, ref: AttemptRef) -> None:
    """With all else of an attempt; a repeat changes nothing. Raises Unavailable."""
    while stored := await store.record(Series, str(ref)):
        with suppress(Conflict):
            await store.delete_record(stored)


def _point(at: datetime, positions: Positions, statistics: Statistics) -> Point:
    return Point(
        at=at,
        items=positions.items_count,
        log_bytes=positions.log_offset,
        log_lines=statistics.log_lines,
        errors=statistics.errors,
        progress=statistics.progress,
        rss_bytes=statistics.rss_bytes,
        processes=statistics.processes,
        cpu_seconds=statistics.cpu_seconds,
        read_bytes=statistics.read_bytes,
        written_bytes=statistics.written_bytes,
    )


def _last_point(closed: ClosedAttempt) -> Point:
    """The sums as they are known at the end. Nothing of the tree is left that could use memory."""
    positions = Positions(closed.log_offset, closed.items_offset, closed.items_count)
    gone = replace(closed.statistics, rss_bytes=None, processes=None)
    return _point(closed.finished_at, positions, gone)
