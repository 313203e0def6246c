"""Firings: which instants of a schedule fire now, and how their tasks stand to one another. Pure decisions.

A firing is its task: `Task.firing` names schedule and instant, and no store holds two tasks of one name.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice, takewhile
from typing import assert_never

from silkmill.domain.events import Cancel, Hold, Release
from silkmill.domain.fields import with_fields
from silkmill.domain.schedule import CatchUp, Overlap, Schedule
from silkmill.domain.task import Task, advance

MOST_AT_ONCE = 100
"""Of the instants that have passed unseen, only so many fire, the newest ones."""
ON_TIME = timedelta(seconds=60)
"""A firing that is later than this was missed: then the catch-up policy decides."""


@dataclass(frozen=True, slots=True)
class Due:
    """Instants that fire now, the earliest first, and up to where the schedule is then decided."""

    instants: tuple[datetime, ...]
    evaluated_until: datetime


def firing_name(schedule: str, instant: datetime) -> str:
    """Names of one schedule sort by instant. 0 is the shard."""
    return f"{schedule}@{instant:%Y-%m-%dT%H:%M:%SZ}#0"


def due(schedule: Schedule, now: datetime, on_time_after: datetime) -> Due:
    """What fires at `now`. Instants later than `on_time_after` were not missed, whatever the policy.

    Raises BadInput when this machine does not know the time zone (any more)."""
    undecided = takewhile(lambda at: at > schedule.evaluated_until, schedule.config.line.until(now))
    newest_first = list(islice(undecided, MOST_AT_ONCE))
    if not newest_first:
        return Due((), schedule.evaluated_until)
    on_time = [at for at in newest_first if at > on_time_after]
    match schedule.config.catchup:
        case CatchUp.NONE:
            chosen = on_time
        case CatchUp.LAST:
            chosen = on_time or newest_first[:1]
        case CatchUp.ALL:
            chosen = newest_first
        case _ as never:
            assert_never(never)
    return Due(tuple(reversed(chosen)), newest_first[0])


def behind(task: Task, overlap: Overlap, earlier: Task | None, now: datetime) -> Task:
    """The pending task of a firing, as it is to be stored while `earlier` has not ended."""
    if earlier is None or overlap is Overlap.ALLOW:
        return task
    if overlap is Overlap.SKIP:
        return advance(task, Cancel("overlap", now))
    return with_fields(advance(task, Hold(_reason(earlier), None)), after=earlier.id)


def released(task: Task, earlier: Task | None) -> Task | None:
    """The task now that the one it waits for has ended or is gone; None: nothing changes.

    `earlier` is the newest firing before it that has not ended: that of its schedule which ran when the one
    between them was cancelled."""
    if task.waits_after is None:
        return None
    if earlier is None:
        return advance(task, Release())
    return None if earlier.id == task.after else with_fields(task, after=earlier.id, reason=_reason(earlier))


def _reason(earlier: Task) -> str:
    return f"overlap: waits for the end of task {earlier.id}"
