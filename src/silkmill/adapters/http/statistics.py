"""The statistics of an attempt over time."""

from __future__ import annotations

from typing import TypedDict, cast

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from silkmill.adapters.http.answers import answer
from silkmill.adapters.http.names import OF_A_TASK, Attempt, TaskId
from silkmill.adapters.http.parts import parts_of
from silkmill.adapters.http.times import Time
from silkmill.adapters.http.told import told
from silkmill.adapters.http.which_attempt import choose_attempt
from silkmill.domain.series import Series

router = APIRouter(prefix="/tasks")


class PointShape(TypedDict):
    """The numbers of an attempt at a time. Null: not known."""

    at: Time
    items: int
    log_bytes: int
    log_lines: int | None
    errors: int | None
    progress: float | None
    rss_bytes: int | None
    processes: int | None
    cpu_seconds: float | None
    read_bytes: int | None
    written_bytes: int | None


class SeriesShape(TypedDict):
    id: str
    attempt: int | None
    step_seconds: int
    points: list[PointShape]


@router.get("/{task_id}/stats", **told("Read the statistics of an attempt", SeriesShape, errors=OF_A_TASK))
async def series(task_id: TaskId, request: Request, attempt: Attempt = None) -> Response:
    """Points in order; none of a task that has had no attempt, or whose attempt was over too soon."""
    parts = parts_of(request)
    task = await parts.tasks.find(task_id)
    ref, _ = choose_attempt(task, attempt)
    kept = await parts.statistics.series(ref) if ref else Series()
    return answer(
        SeriesShape(
            id=task.id,
            attempt=ref.number if ref else None,
            step_seconds=kept.step_seconds,
            points=[cast(PointShape, point._asdict()) for point in kept.points],
        )
    )
