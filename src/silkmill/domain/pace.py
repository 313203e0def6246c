"""Items per minute: over the last minute while an attempt runs, over its whole run once it has ended."""

from __future__ import annotations

from datetime import datetime, timedelta

Counts = tuple[tuple[datetime, int], ...]
"""When how many items were stored, in order."""

_MINUTE = timedelta(minutes=1)
_STEP = timedelta(seconds=2)


def counted(counts: Counts, items: int, now: datetime) -> Counts:
    """With the count of now, unless the last one is young; without those that a minute back does not need."""
    if counts and now - counts[-1][0] < _STEP:
        return counts
    needed = len(counts) - 1
    while needed > 0 and now - counts[needed][0] < _MINUTE:
        needed -= 1
    return (*counts[max(0, needed) :], (now, items))


def items_per_minute(items: int, started_at: datetime, now: datetime, counts: Counts = ()) -> float | None:
    """Since the last count that is a minute old; since the start while there is none."""
    begin = started_at, 0
    since, before = next((count for count in reversed(counts) if now - count[0] >= _MINUTE), begin)
    seconds = (now - since).total_seconds()
    return round((items - before) * 60 / seconds, 1) if seconds > 0 else None
