"""The event stream: hints that tasks changed, for whoever shows them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncGenerator
from datetime import datetime

from fastapi import APIRouter
from starlette.requests import Request

from silkmill.adapters.http.event_stream import HEARTBEAT, EventStream, event, next_within
from silkmill.adapters.http.parts import Parts, parts_of
from silkmill.adapters.http.task_view import state_view, stats_view
from silkmill.domain.statistics import Live
from silkmill.domain.task import Expiry, Task
from silkmill.master.feed import Resync, StatisticsChanged, TaskChanged

REMEMBERED_ENDS = 10_000
router = APIRouter(prefix="/events")


@router.get("")
async def follow(request: Request) -> EventStream:
    """Hints are not kept: a client that was away (it sends Last-Event-ID) gets `resync` and reads again."""
    was_away = "last-event-id" in request.headers
    hints = _hints(parts_of(request), was_away=was_away)
    return EventStream(hints, request.app.state.closing)


async def _hints(parts: Parts, *, was_away: bool) -> AsyncGenerator[bytes]:
    ends = _Ends()
    with parts.feed.subscribe() as subscription:
        yield event("resync" if was_away else "ready", {})
        while True:
            hint = await next_within(subscription)
            match hint:
                case None:
                    yield HEARTBEAT
                case Resync():
                    yield event("resync", {})
                case TaskChanged(task):
                    yield _changed(task, ended=ends.is_new(task))
                case StatisticsChanged(task, live):
                    yield _moved(task, live, parts.clock.now())


def _changed(task: Task, *, ended: bool) -> bytes:
    name = "task.ended" if ended else "task"
    return event(name, state_view(task), f"{task.id}:{task.revision}")


def _moved(task: Task, live: Live, now: datetime) -> bytes:
    """Without an id: numbers that were missed are not worth a `resync`."""
    number = task.attempt.number if task.attempt else None
    numbers = {"progress": live.statistics.progress, "stats": stats_view(task, now, live)}
    return event("stats", {"id": task.id, "attempt": number, **numbers})


class _Ends:
    """Which ends this connection was told: a final record still changes when its log is merged
    and when retention takes something away."""

    def __init__(self) -> None:
        self._told: OrderedDict[str, None] = OrderedDict()

    def is_new(self, task: Task) -> bool:
        if not task.state.final or task.id in self._told or _is_upkeep(task):
            return False
        self._told[task.id] = None
        if len(self._told) > REMEMBERED_ENDS:
            self._told.popitem(last=False)
        return True


def _is_upkeep(task: Task) -> bool:
    return task.expiry != Expiry() or any(attempt.merged_at for attempt in task.history[-1:])
