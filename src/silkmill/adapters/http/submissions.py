"""Submitting tasks: one, or up to 100,000 at once, all or none."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from silkmill.adapters.http.answers import answer
from silkmill.adapters.http.bodies import bad_json, decode
from silkmill.adapters.http.parts import parts_of
from silkmill.adapters.http.task_view import task_view
from silkmill.domain.errors import BadInput
from silkmill.master.submission import Submission

router = APIRouter(prefix="/tasks")


class Line(msgspec.Struct, forbid_unknown_fields=True):
    """What a caller gives for one task."""

    spider: str
    project: str = "default"
    version: str | None = None
    params: dict[str, Any] = {}
    env: dict[str, str] = {}
    priority: int | None = None
    tags: tuple[str, ...] = ()

    def submission(self) -> Submission:
        return Submission(
            project=self.project,
            spider=self.spider,
            version=self.version,
            params=self.params,
            env=self.env,
            priority=self.priority,
            tags=self.tags,
        )


_line = msgspec.json.Decoder(Line)
_lines = msgspec.json.Decoder(list[Line])


@router.post("")
async def submit(request: Request) -> Response:
    """With an Idempotency-Key a repeat answers with the task of the first one."""
    parts = parts_of(request)
    body = await request.body()
    submission = decode(body, Line).submission()
    key = request.headers.get("idempotency-key")
    if key is None:
        task = await parts.intake.submit(submission)
    else:
        _, ids = await parts.intake.submit_group([submission], key, body)
        task = await parts.tasks.get(ids[0])
    return answer(task_view(task, parts.clock.now()), 201, {"Location": f"/api/v1/tasks/{task.id}"})


@router.post("/bulk")
async def submit_bulk(request: Request) -> Response:
    """JSON lines, or one JSON list. The Idempotency-Key makes a repeat answer with the first one's tasks."""
    body = await request.body()
    lines = read_lines(body)
    key = request.headers.get("idempotency-key")
    _, ids = await parts_of(request).intake.submit_group(lines, key, body)
    return answer({"count": len(ids), "ids": ids}, 201)


def read_lines(body: bytes) -> list[Submission]:
    """Raises BadInput that names the first wrong line (from 1)."""
    body = body.strip()
    lines = _read_list(body) if body.startswith(b"[") else _read_each(body)
    return [line.submission() for line in lines]


def _read_each(body: bytes) -> list[Line]:
    read = _line.decode
    lines: list[Line] = []
    try:
        for text in body.split(b"\n") if body else ():
            lines.append(read(text))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _in_line(len(lines), bad_json(error, Line)) from None
    return lines


def _read_list(body: bytes) -> list[Line]:
    try:
        return _lines.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        whole = bad_json(error, Line)
    # Only a list that is wrong is read again, element by element, for the number of the wrong one.
    try:
        elements = msgspec.json.decode(body, type=list[msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise whole from None
    return _read_each(b"\n".join(bytes(element).replace(b"\n", b" ") for element in elements))


def _in_line(index: int, error: BadInput) -> BadInput:
    return BadInput(f"line {index + 1}: {error.detail}", field=error.field, remedy=error.remedy)
