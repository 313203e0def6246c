"""The log of a task: a page, its end, the whole of it, or live."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query
from starlette.requests import Request
from starlette.responses import Response

from silkmill.adapters.http.event_stream import EventStream, with_error
from silkmill.adapters.http.kept import check_log_kept
from silkmill.adapters.http.log_follow import LogFollow, read_position
from silkmill.adapters.http.log_lines import Choice, FrameShape, wanted
from silkmill.adapters.http.names import OF_A_TASK, Attempt, Tail, TaskId
from silkmill.adapters.http.parts import parts_of
from silkmill.adapters.http.problems import ProblemShape
from silkmill.adapters.http.streamed import streamed
from silkmill.adapters.http.task_shapes import TaskState
from silkmill.adapters.http.told import BINARY, EVENTS, TEXT, told
from silkmill.adapters.http.which_attempt import choose_attempt
from silkmill.domain.errors import BadInput
from silkmill.master.logs import Wanted

MAX_PAGE = 1 << 20
Narrowed = Annotated[Wanted, Depends(wanted)]
LOG_HEADERS = {
    "Silkmill-Attempt": "Which attempt it is; absent while there has been none.",
    "Silkmill-Log-Bytes": "How many bytes of its log are stored.",
    "Silkmill-Next-Offset": "With `limit`: where the next page begins.",
}
LOG_EVENTS = {"log": list[FrameShape], "state": TaskState, "end": TaskState, "error": ProblemShape}
router = APIRouter(prefix="/tasks")


@router.get(
    "/{task_id}/log",
    **told("Read the log of a task", TEXT + BINARY, errors=OF_A_TASK, headers=LOG_HEADERS),
)
async def log(
    task_id: TaskId,
    request: Request,
    narrowed: Narrowed,
    attempt: Attempt = None,
    offset: Annotated[int | None, Query(ge=0, description="The first byte; 0 by default.")] = None,
    limit: Annotated[
        int | None, Query(ge=1, le=MAX_PAGE, description="Of one page, in bytes; by default all is given.")
    ] = None,
    tail: Tail = None,
    raw: Annotated[bool, Query(description="What the spider wrote, byte for byte, nothing else.")] = False,
) -> Response:
    """Frames as they are stored, or with `raw` what the spider wrote, byte for byte.

    With `limit` (bytes) one page, whose Silkmill-Next-Offset is where the next one begins; with `tail` the
    last lines; else all from `offset` on."""
    parts = parts_of(request)
    _check_place(offset, limit, tail)
    choice = Choice(narrowed, raw)
    task = await parts.tasks.find(task_id)
    check_log_kept(task)
    ref, positions = choose_attempt(task, attempt)
    headers = {"Silkmill-Log-Bytes": str(positions.log_offset)}
    kind = "application/octet-stream" if raw else "text/plain; charset=utf-8"
    if ref is None:
        return Response(b"", headers=headers, media_type=kind)
    headers["Silkmill-Attempt"] = str(ref.number)
    if tail is not None:
        frames = await choice.last_frames(parts.log_reader, task, ref.number, tail)
        return Response(choice.shaped(frames), headers=headers, media_type=kind)
    if limit is not None:
        page = await parts.log_reader.page(task, ref.number, narrowed, offset or 0, limit)
        headers["Silkmill-Next-Offset"] = str(page.next_offset)
        return Response(choice.shaped(page.data), headers=headers, media_type=kind)
    frames_of_all = choice.frames(parts.log_reader, task, ref.number, offset or 0)
    return await streamed(_shaped(choice, frames_of_all), kind, headers)


@router.get(
    "/{task_id}/log/stream",
    **told("Follow the log of a task", EVENTS, errors=OF_A_TASK, events=LOG_EVENTS),
)
async def follow(
    task_id: TaskId,
    request: Request,
    narrowed: Narrowed,
    attempt: Attempt = None,
    tail: Tail = None,
    last_event_id: Annotated[
        str | None, Header(alias="Last-Event-ID", description="Go on behind this id, attempt:offset.")
    ] = None,
) -> EventStream:
    """Events `log` (id: attempt:offset), `state`, and at last `end` or `error`. Without `attempt` it goes on
    with the next one."""
    parts = parts_of(request)
    task = await parts.tasks.find(task_id)
    check_log_kept(task)
    choose_attempt(task, attempt)
    position = read_position(last_event_id) if last_event_id else None
    following = LogFollow(parts, Choice(narrowed), task.id, attempt, position)
    return EventStream(with_error(following.events(tail)), request.app.state.closing)


def _check_place(offset: int | None, limit: int | None, tail: int | None) -> None:
    """Raises BadInput."""
    others = {"offset": offset, "limit": limit}
    if tail is not None and (given := [name for name, value in others.items() if value is not None]):
        raise BadInput(
            f"tail and {' and '.join(given)} begin at different places",
            field="tail",
            remedy="send tail for the last lines, or offset and limit for a page",
        )


async def _shaped(choice: Choice, frames: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for piece in frames:
        yield choice.shaped(piece)
