"""The event stream: hints that tasks changed, for whoever shows them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Header
from starlette.requests import Request

from silkmill.adapters.http.event_stream import HEARTBEAT, EventStream, event, next_within
from silkmill.adapters.http.parts import Parts, parts_of
from silkmill.adapters.http.task_shapes import TaskNumbers, TaskState
from silkmill.adapters.http.task_view import state_view, stats_view
from silkmill.adapters.http.told import EVENTS, told
from silkmill.domain.statistics import Live
from silkmill.domain.task import Expiry, Task
from silkmill.master.feed import Resync, StatisticsChanged, TaskChanged

REMEMBERED_ENDS = 10_000
HINTS = {
    "ready": dict[str, None],
    "resync": dict[str, None],
    "task": TaskState,
    "task.ended": TaskState,
    "stats": TaskNumbers,
}
router = APIRouter(prefix="/events")


@router.get("", **told("Hints that tasks changed", EVENTS, events=HINTS))
async def follow(
    request: Request,
    last_event_id: Annotated[
        str | None, Header(alias="Last-Event-ID", description="Whatever it is: the client was away.")
    ] = None,
) -> EventStream:
    """Hints are not kept: a client that was away (it sends Last-Event-ID) gets `resync` and reads again."""
    hints = _hints(parts_of(request), was_away=last_event_id is not None)
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
    stats, progress = stats_view(task, now, live), live.statistics.progress
    return event("stats", TaskNumbers(id=task.id, attempt=number, progress=progress, stats=stats))


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
