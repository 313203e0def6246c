"""The items of a task, streamed as they were saved; memory is that of one page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from silkmill.adapters.http.item_formats import FORMATS
from silkmill.adapters.http.kept import check_items_kept
from silkmill.adapters.http.names import OF_A_TASK, Attempt, TaskId
from silkmill.adapters.http.parts import parts_of
from silkmill.adapters.http.told import Content, told
from silkmill.adapters.http.which_attempt import choose_attempt
from silkmill.domain.attempt import AttemptRef
from silkmill.ports.store import Store

PAGE_ITEMS = 500
PAGE_BYTES = 1 << 20
ITEMS = tuple(
    Content(written.media_type.partition(";")[0], list[Any] if name == "json" else None)
    for name, written in FORMATS.items()
)
ITEM_HEADERS = {
    "Silkmill-Attempt": "Which attempt it is; empty while there has been none.",
    "Silkmill-Next-Cursor": "Where to go on, when more is stored than this answer holds.",
}
router = APIRouter(prefix="/tasks")


@router.get(
    "/{task_id}/items",
    **told("Read the items of a task", ITEMS, errors=OF_A_TASK, headers=ITEM_HEADERS),
)
async def items(
    task_id: TaskId,
    request: Request,
    attempt: Attempt = None,
    cursor: Annotated[int, Query(ge=0, description="The ordinal of the first item, from 0.")] = 0,
    limit: Annotated[int | None, Query(ge=1, description="At most so many; all by default.")] = None,
    format: Annotated[
        Literal["jsonl", "json", "csv"], Query(description="One a line, one list, or a table.")
    ] = "jsonl",
    with_ids: Annotated[bool, Query(description="Add `_tid`, `_sid` and `_attempt` to each.")] = False,
) -> Response:
    """From item `cursor` (counted from 0) on, at most `limit`. Silkmill-Next-Cursor: where to go on, once
    there is more; items that come later are beyond what this answer gives."""
    parts = parts_of(request)
    task = await parts.tasks.find(task_id)
    check_items_kept(task)
    ref, positions = choose_attempt(task, attempt)
    end = positions.items_count if limit is None else min(positions.items_count, cursor + limit)
    written = FORMATS[format]
    ids = _ids(task.project, task.spider, ref) if with_ids and ref else None
    body = written.write(lambda: _pages(parts.store, ref, cursor, end), ids)
    headers = {"Silkmill-Next-Cursor": str(end)} if end < positions.items_count else {}
    headers["Silkmill-Attempt"] = str(ref.number if ref else "")
    return StreamingResponse(body, headers=headers, media_type=written.media_type)


async def _pages(store: Store, ref: AttemptRef | None, first: int, end: int) -> AsyncIterator[list[bytes]]:
    """Raw items by page. Rows beyond `end` do not exist for a reader."""
    size = PAGE_ITEMS
    while ref is not None and first < end:
        page = await store.items(ref, first=first, limit=min(size, end - first))
        if not page:
            return
        yield [raw for _, raw in page]
        first = page[-1][0] + 1
        size = _next_size(page)


def _next_size(page: list[tuple[int, bytes]]) -> int:
    """So many items as will hold about PAGE_BYTES: one item may have 8 MiB."""
    mean = sum(len(raw) for _, raw in page) // len(page)
    return max(1, min(PAGE_ITEMS, PAGE_BYTES // max(1, mean)))


def _ids(project: str, spider: str, ref: AttemptRef) -> dict[str, object]:
    return {"_tid": ref.task_id, "_sid": f"{project}/{spider}", "_attempt": ref.number}
