"""A cron line in a time zone: the instants at which it fires.

The library enumerates wall times without a zone; what the zone's clock makes of them is decided here, by the
rule of Debian's cron(8): an entry with fixed minutes and hours runs once for each wall time that it names,
one whose minute or hour begins with `*` follows elapsed time.
"""

from __future__ import annotations

import difflib
import heapq
import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NoReturn

from cronsim import CronSim, CronSimError

from silkmill.domain.errors import BadInput

NAMED = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
LONGEST = 256
FARTHEST_SHIFT = timedelta(days=1)
"""No clock has ever been put back by more."""
_SECOND = timedelta(seconds=1)
_SOME_DAY = datetime(2001, 1, 1)
_REMEDY = f"write MINUTE HOUR DAY MONTH WEEKDAY as in '30 1 * * *', or one of {', '.join(NAMED)}"


@dataclass(frozen=True, slots=True)
class CronLine:
    """`line` has five fields. All instants are aware, in UTC, of whole seconds, and come only once."""

    line: str
    zone: zoneinfo.ZoneInfo

    @classmethod
    def read(cls, text: str, timezone: str) -> CronLine:
        """Raises BadInput with the field `cron` or `timezone`."""
        line = NAMED.get(text.strip().lower(), text)
        if len(line) > LONGEST or not line.isprintable() or len(line.split()) != 5:
            _refuse(text, "is not five fields")
        try:
            if next(CronSim(line, _SOME_DAY), None) is None:
                _refuse(text, "never fires")
        except CronSimError as error:
            _refuse(text, f"cannot be read ({str(error).lower()})")
        return cls(line, _zone(timezone))

    @property
    def is_fixed(self) -> bool:
        """Minutes and hours are named, so that each wall time is meant once."""
        return not any(part.startswith("*") for part in self.line.split()[:2])

    def after(self, instant: datetime) -> Iterator[datetime]:
        """Later than `instant`, the earliest first."""
        # A clock that is put back soon shows times again that it has shown before.
        lowest = min(self._wall(instant), self._wall(instant + FARTHEST_SHIFT) - FARTHEST_SHIFT)
        found = self._instants(lowest, reverse=False)
        return (at for at in found if at > instant)

    def until(self, instant: datetime) -> Iterator[datetime]:
        """Not later than `instant`, the latest first."""
        highest = max(self._wall(instant), self._wall(instant - FARTHEST_SHIFT) + FARTHEST_SHIFT)
        found = self._instants(highest.replace(microsecond=0) + _SECOND, reverse=True)
        return (at for at in found if at <= instant)

    def _instants(self, start: datetime, *, reverse: bool) -> Iterator[datetime]:
        """From the wall time `start` on, which is left out."""
        readings = (True, False) if not self.is_fixed else (True,)
        streams = [self._as_read(CronSim(self.line, start, reverse), first) for first in readings]
        last: datetime | None = None
        for at in heapq.merge(*streams, reverse=reverse):
            if at != last:
                yield at
            last = at

    def _as_read(self, walls: Iterator[datetime], first: bool) -> Iterator[datetime]:
        """When the clock shows these times, for the first or for the second time where it is put back."""
        for wall in walls:
            at = wall.replace(tzinfo=self.zone, fold=0 if first else 1).astimezone(UTC)
            if self._wall(at) == wall:
                yield at
            elif self.is_fixed:  # the clock is put forward over it: it runs at once after that
                yield self._end_of_gap(wall)

    def _end_of_gap(self, wall: datetime) -> datetime:
        """The second at which the clock leaves out this time."""
        before, after = (wall.replace(tzinfo=self.zone, fold=fold).astimezone(UTC) for fold in (1, 0))
        offset = after.astimezone(self.zone).utcoffset()
        while after - before > _SECOND:
            middle = before + (after - before) // _SECOND // 2 * _SECOND
            if middle.astimezone(self.zone).utcoffset() == offset:
                after = middle
            else:
                before = middle
        return after

    def _wall(self, instant: datetime) -> datetime:
        return instant.astimezone(self.zone).replace(tzinfo=None, fold=0)


def _zone(name: str) -> zoneinfo.ZoneInfo:
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        near = difflib.get_close_matches(name, zoneinfo.available_timezones(), n=1)
        remedy = f"did you mean {near[0]!r}?" if near else "write it as Europe/Berlin, or UTC"
        raise BadInput(f"{name[:64]!r} is not a time zone", field="timezone", remedy=remedy) from None


def _refuse(text: str, what: str) -> NoReturn:
    raise BadInput(f"cron {text[:LONGEST]!r} {what}", field="cron", remedy=_REMEDY)
