"""Lines of all tasks of a spider."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from silkmill.adapters.http.answers import answer
from silkmill.adapters.http.log_lines import frame_views, wanted
from silkmill.adapters.http.parts import parts_of
from silkmill.domain.attempt import AttemptRef
from silkmill.master.log_search import read_cursor
from silkmill.master.logs import Hit, LogDamaged, Wanted

LINES = 200
router = APIRouter(prefix="/logs")


@router.get("")
async def search(
    request: Request,
    narrowed: Annotated[Wanted, Depends(wanted)],
    spider: str,
    project: str | None = None,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=LINES)] = LINES,
) -> Response:
    """Newest task first. `next` is null once all were looked at; before that a page may be empty."""
    begin = read_cursor(cursor) if cursor else None
    page = await parts_of(request).log_search.page(project, spider, narrowed, begin, limit)
    return answer(
        {
            "lines": [line for ref, hit in page.hits for line in _lines(ref, hit)],
            "unreadable": [_unreadable(damage) for damage in page.unreadable],
            "next": str(page.next) if page.next else None,
        }
    )


def _lines(ref: AttemptRef, hit: Hit) -> list[dict[str, Any]]:
    where = {"task": ref.task_id, "attempt": ref.number, "offset": hit.offset}
    return [where | view for view in frame_views(hit.line)]


def _unreadable(damage: LogDamaged) -> dict[str, Any]:
    return {"task": damage.ref.task_id, "attempt": damage.ref.number, "detail": str(damage)}
