"""Lines of all tasks of a spider."""

from __future__ import annotations

from typing import Annotated, TypedDict

from fastapi import APIRouter, Depends, Query
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from silkmill.adapters.http.answers import answer
from silkmill.adapters.http.log_lines import FrameShape, frame_views, wanted
from silkmill.adapters.http.names import OfProject
from silkmill.adapters.http.parts import parts_of
from silkmill.adapters.http.told import told
from silkmill.domain.attempt import AttemptRef
from silkmill.master.log_search import read_cursor
from silkmill.master.logs import Hit, LogDamaged, Wanted

LINES = 200
router = APIRouter(prefix="/logs")


class FoundLine(FrameShape):
    task: str
    attempt: int
    offset: Annotated[int, Meta(description="In the log of the attempt.")]


class UnreadableLog(TypedDict):
    """A log of which bytes are missing."""

    task: str
    attempt: int
    detail: str


class FoundLines(TypedDict):
    lines: list[FoundLine]
    unreadable: list[UnreadableLog]
    next: Annotated[str | None, Meta(description="The cursor of the following page; null once all was read.")]


@router.get("", **told("Search the logs of all tasks of a spider", FoundLines))
async def search(
    request: Request,
    narrowed: Annotated[Wanted, Depends(wanted)],
    spider: Annotated[str, Query(description="The name of a spider.")],
    project: OfProject = None,
    cursor: Annotated[str | None, Query(description="`next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=LINES, description="At most so many lines.")] = LINES,
) -> Response:
    """Newest task first. `next` is null once all were looked at; before that a page may be empty."""
    begin = read_cursor(cursor) if cursor else None
    page = await parts_of(request).log_search.page(project, spider, narrowed, begin, limit)
    return answer(
        FoundLines(
            lines=[line for ref, hit in page.hits for line in _lines(ref, hit)],
            unreadable=[_unreadable(damage) for damage in page.unreadable],
            next=str(page.next) if page.next else None,
        )
    )


def _lines(ref: AttemptRef, hit: Hit) -> list[FoundLine]:
    return [
        FoundLine(task=ref.task_id, attempt=ref.number, offset=hit.offset, **view)
        for view in frame_views(hit.line)
    ]


def _unreadable(damage: LogDamaged) -> UnreadableLog:
    return UnreadableLog(task=damage.ref.task_id, attempt=damage.ref.number, detail=str(damage))
