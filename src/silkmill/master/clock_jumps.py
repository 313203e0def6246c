"""Jumps of the wall clock: a clock that has just been set is not one to fire by."""

from __future__ import annotations

from datetime import datetime, timedelta

from silkmill.domain.firing import ON_TIME

JUMP = timedelta(seconds=60)
"""So far the wall clock may leave CLOCK_BOOTTIME between two looks: that much is corrected, not set."""
SETTLED_SECONDS = 60.0


class ClockJumps:
    """Compares the two clocks at each look. A jump, forward or back, pauses cron until they have gone
    together for 60 s: so one that is taken back at once leaves no trace.

    `paused_since`: the wall clock as it was before the first jump; None: it is to be trusted.
    `on_time_after`: later instants were not missed; time spent waiting here is no delay of theirs."""

    def __init__(self, now: datetime, boottime: float) -> None:
        self._looked_at = now, boottime
        self._jumped_at: tuple[datetime, float] | None = None
        self.paused_since: datetime | None = None
        self.on_time_after = now - ON_TIME

    def look(self, now: datetime, boottime: float) -> None:
        before, before_boottime = self._looked_at
        self._looked_at = now, boottime
        if abs(now - before - timedelta(seconds=boottime - before_boottime)) > JUMP:
            self.paused_since = self.paused_since or before
            self._jumped_at = now, boottime
        elif self._jumped_at and boottime - self._jumped_at[1] >= SETTLED_SECONDS:
            self.paused_since = None
        self.on_time_after = (self._jumped_at[0] if self._jumped_at else now) - ON_TIME

    def caught_up(self) -> None:
        """What came due during a pause has fired."""
        if self.paused_since is None:
            self._jumped_at = None
