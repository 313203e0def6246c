"""Submitting tasks: one, or up to 100,000 at once, all or none."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from typing import Any

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from silkmill.adapters.http.answers import answer
from silkmill.adapters.http.auth import caller_of
from silkmill.adapters.http.bodies import bad_json, decode
from silkmill.adapters.http.parts import parts_of
from silkmill.adapters.http.task_view import full_view
from silkmill.domain.errors import BadInput
from silkmill.domain.placement import Placement, checked_placement
from silkmill.master.submission import Submission

router = APIRouter(prefix="/tasks")


class PlacementGiven(msgspec.Struct, forbid_unknown_fields=True):
    """Instead of that of the spider."""

    mode: str = "random"
    nodes: tuple[str, ...] = ()
    labels: dict[str, str] = {}

    def placement(self) -> Placement:
        """Raises BadInput."""
        return checked_placement(self.mode, self.nodes, self.labels)


class Line(msgspec.Struct, forbid_unknown_fields=True):
    """What a caller gives for one task."""

    spider: str
    project: str = "default"
    version: str | None = None
    params: dict[str, Any] = {}
    env: dict[str, str] = {}
    settings: dict[str, str] = {}
    priority: int | None = None
    tags: tuple[str, ...] = ()
    placement: PlacementGiven | None = None
    key: str | None = None

    def submission(self) -> Submission:
        return Submission(
            project=self.project,
            spider=self.spider,
            version=self.version,
            params=self.params,
            env=self.env,
            settings=self.settings,
            priority=self.priority,
            tags=self.tags,
            placement=self.placement.placement() if self.placement else None,
            key=self.key,
        )


_line = msgspec.json.Decoder(Line)
_list = msgspec.json.Decoder(list[msgspec.Raw])


@router.post("")
async def submit(request: Request) -> Response:
    """With an Idempotency-Key a repeat answers with the task of the first one."""
    parts = parts_of(request)
    body = await request.body()
    submission = decode(body, Line).submission()
    key = _key(request) or (secrets.token_hex(16) if submission.key else None)
    if key is None:
        task = await parts.intake.submit(submission)
    else:
        task = await parts.tasks.get(await parts.intake.submit_once(submission, key, body))
    return answer(await full_view(parts, task), 201, {"Location": f"/api/v1/tasks/{task.id}"})


@router.post("/bulk")
async def submit_bulk(request: Request) -> Response:
    """JSON lines, or one JSON list. The Idempotency-Key makes a repeat answer with the first one's tasks."""
    body = await request.body()
    _, ids = await parts_of(request).intake.submit_group(Lines(body), _key(request), body)
    return answer({"count": len(ids), "ids": ids}, 201)


def _key(request: Request) -> str | None:
    """The Idempotency-Key, apart for each caller: nobody can meet the key of another one."""
    given = request.headers.get("idempotency-key")
    if given is None:
        return None
    return hashlib.sha256(f"{caller_of(request)}\n{given}".encode()).hexdigest()[:32]


class Lines:
    """Submissions that are read when they are asked for, one by one: a hundred thousand values at once would
    keep the garbage collector busy, and all others waiting."""

    def __init__(self, body: bytes) -> None:
        """JSON lines or one JSON list. Raises BadInput for a list that is none."""
        body = body.strip()
        self._texts = _elements(body) if body.startswith(b"[") else body.split(b"\n") if body else []

    def __len__(self) -> int:
        return len(self._texts)

    def __iter__(self) -> Iterator[Submission]:
        """Raises BadInput that names the line (from 1)."""
        for index, text in enumerate(self._texts):
            try:
                line = _line.decode(text)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                raise _in_line(index, bad_json(error, Line)) from None
            try:
                yield line.submission()
            except BadInput as error:
                raise _in_line(index, error) from None


def _elements(body: bytes) -> list[msgspec.Raw]:
    try:
        return _list.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise bad_json(error, Line) from None


def _in_line(index: int, error: BadInput) -> BadInput:
    return BadInput(f"line {index + 1}: {error.detail}", field=error.field, remedy=error.remedy)
