"""The statistics of an attempt over time."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from silkmill.adapters.http.answers import answer
from silkmill.adapters.http.parts import parts_of
from silkmill.adapters.http.which_attempt import choose_attempt
from silkmill.domain.series import Series

router = APIRouter(prefix="/tasks")


@router.get("/{task_id}/stats")
async def series(
    task_id: str, request: Request, attempt: Annotated[int | None, Query(ge=1)] = None
) -> Response:
    """Points in order; none of a task that has had no attempt, or whose attempt was over too soon."""
    parts = parts_of(request)
    task = await parts.tasks.find(task_id)
    ref, _ = choose_attempt(task, attempt)
    kept = await parts.statistics.series(ref) if ref else Series()
    return answer(
        {
            "id": task.id,
            "attempt": ref.number if ref else None,
            "step_seconds": kept.step_seconds,
            "points": [point._asdict() for point in kept.points],
        }
    )
