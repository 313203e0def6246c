"""Cron: looks which schedules are due, and has their firings made."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import NoReturn

import structlog

from silkmill.domain.errors import BadInput, Conflict
from silkmill.domain.firing import due
from silkmill.domain.schedule import Schedule
from silkmill.master.clock_jumps import ClockJumps
from silkmill.master.firings import Firings
from silkmill.master.schedules import Schedules
from silkmill.master.spiders import Spiders
from silkmill.ports.clock import Clock
from silkmill.ports.store import Stored
from silkmill.runtime import faults
from silkmill.runtime.loop import every

TICK_SECONDS = 0.5
"""A look is a comparison with times in memory: so a firing begins well within a second of its instant."""

_log = structlog.get_logger(__name__)


class Cron:
    """The tasks of a schedule are made first, then `evaluated_until` moves: what a crash cuts short is
    repeated, and finds its tasks there. A change of the schedule in between makes that move fail; then it is
    looked at anew."""

    def __init__(self, schedules: Schedules, spiders: Spiders, firings: Firings, clock: Clock) -> None:
        self._schedules, self._spiders, self._firings, self._clock = schedules, spiders, firings, clock
        self._next: dict[str, tuple[datetime, Stored[Schedule]]] = {}
        self._changed = True
        self._jumps = ClockJumps(clock.now(), clock.boottime())
        self.wake = asyncio.Event()
        schedules.watch(self._notice)

    @property
    def paused_since(self) -> datetime | None:
        """Since when nothing fires because the wall clock jumped; None: it does not pause."""
        return self._jumps.paused_since

    async def run(self) -> NoReturn:
        """Until cancelled."""
        await every(TICK_SECONDS, self.tick, wake=self.wake)

    async def tick(self) -> None:
        """Raises Unavailable; a repeat goes on."""
        now = self._clock.now()
        self._jumps.look(now, self._clock.boottime())
        if self._spiders.may_be_cut_short:
            await self._spiders.finish()
        if self._changed:
            await self._read()
        if self.paused_since is None:
            for _, stored in sorted(self._due(now), key=lambda entry: entry[0]):
                await self._fire(stored, now)
            self._jumps.caught_up()

    def _due(self, now: datetime) -> list[tuple[datetime, Stored[Schedule]]]:
        return [(at, stored) for at, stored in self._next.values() if at <= now]

    async def _read(self) -> None:
        """What changes meanwhile is read again."""
        self._changed = False
        try:
            found = await self._schedules.all()
        except BaseException:
            self._changed = True
            raise
        self._next = {}
        for stored in found:
            self._remember(stored)

    async def _fire(self, stored: Stored[Schedule], now: datetime) -> None:
        decided = due(stored.value, now, self._jumps.on_time_after)
        for instant in decided.instants:
            task = await self._firings.fire(stored.value, instant)
            _log.info("fired", schedule=stored.key, at=instant.isoformat(), task=task.id)
        await faults.point("cron.after_insert")
        try:
            self._remember(await self._schedules.decided(stored, decided.evaluated_until))
        except Conflict:
            self._changed = True
            self.wake.set()

    def _remember(self, stored: Stored[Schedule]) -> None:
        """When it is due next. A time zone that is not known any more stops one schedule, not all."""
        self._next.pop(stored.key, None)
        try:
            at = stored.value.next_instant(stored.value.evaluated_until)
        except BadInput as unknown:
            _log.error("schedule cannot be evaluated", schedule=stored.key, cause=str(unknown))
            return
        if at is not None:
            self._next[stored.key] = at, stored

    def _notice(self) -> None:
        self._changed = True
        self.wake.set()
