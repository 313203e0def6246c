"""Submitting tasks: one, or up to 100,000 at once, all or none."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, TypedDict

import msgspec
from fastapi import APIRouter, Header
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from silkmill.adapters.http.answers import answer
from silkmill.adapters.http.auth import caller_of
from silkmill.adapters.http.bodies import bad_json, decode
from silkmill.adapters.http.parts import parts_of
from silkmill.adapters.http.task_shapes import TaskShape
from silkmill.adapters.http.task_view import full_view
from silkmill.adapters.http.told import LOCATION, Content, told
from silkmill.domain.errors import BadInput
from silkmill.domain.placement import MODES, Placement, checked_placement
from silkmill.master.submission import Submission

router = APIRouter(prefix="/tasks")


class PlacementGiven(msgspec.Struct, forbid_unknown_fields=True):
    """Instead of that of the spider."""

    mode: Annotated[str, Meta(extra_json_schema={"enum": list(MODES)})] = "random"
    nodes: Annotated[tuple[str, ...], Meta(description="Names or ids.")] = ()
    labels: Annotated[dict[str, str], Meta(description="A node must have them all.")] = {}

    def placement(self) -> Placement:
        """Raises BadInput."""
        return checked_placement(self.mode, self.nodes, self.labels)


class NewTask(msgspec.Struct, forbid_unknown_fields=True):
    """What a caller gives for one task."""

    spider: str
    project: str = "default"
    version: Annotated[str | None, Meta(description="The one that the spider points to by default.")] = None
    params: dict[str, Any] = {}
    env: dict[str, str] = {}
    settings: Annotated[dict[str, str], Meta(description="Of Scrapy, for its spiders alone.")] = {}
    priority: Annotated[int | None, Meta(description="1 (first) to 10 (last); by default the spider's.")] = (
        None
    )
    tags: tuple[str, ...] = ()
    placement: PlacementGiven | None = None
    key: Annotated[
        str | None,
        Meta(description="The submitter's own name for it, unique for its spider as long as it is kept."),
    ] = None

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


class Submitted(TypedDict):
    count: int
    ids: Annotated[Sequence[str], Meta(description="In the order of the lines.")]


BULK = (Content("application/x-ndjson"), Content("application/json", list[NewTask]))
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="A repeat with the same key, token and body within 24 hours is answered with what the"
        " first one made; with another body it is 422.",
    ),
]

_line = msgspec.json.Decoder(NewTask)
_list = msgspec.json.Decoder(list[msgspec.Raw])


@router.post(
    "", **told("Submit a task", TaskShape, status=201, body=NewTask, errors=(404,), headers=LOCATION)
)
async def submit(request: Request, idempotency_key: IdempotencyKey = None) -> Response:
    """With an Idempotency-Key a repeat answers with the task of the first one."""
    parts = parts_of(request)
    body = await request.body()
    submission = decode(body, NewTask).submission()
    key = _key(request, idempotency_key) or (secrets.token_hex(16) if submission.key else None)
    if key is None:
        task = await parts.intake.submit(submission)
    else:
        task = await parts.tasks.get(await parts.intake.submit_once(submission, key, body))
    return answer(await full_view(parts, task), 201, {"Location": f"/api/v1/tasks/{task.id}"})


@router.post(
    "/bulk",
    **told("Submit up to 100,000 tasks, all or none", Submitted, status=201, body=BULK, errors=(404,)),
)
async def submit_bulk(request: Request, idempotency_key: IdempotencyKey = None) -> Response:
    """NewTasks as JSON lines, or as one JSON list. An error names the line, from 1."""
    body = await request.body()
    _, ids = await parts_of(request).intake.submit_group(Lines(body), _key(request, idempotency_key), body)
    return answer(Submitted(count=len(ids), ids=ids), 201)


def _key(request: Request, given: str | None) -> str | None:
    """The Idempotency-Key, apart for each caller: nobody can meet the key of another one."""
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
                raise _in_line(index, bad_json(error, NewTask)) from None
            try:
                yield line.submission()
            except BadInput as error:
                raise _in_line(index, error) from None


def _elements(body: bytes) -> list[msgspec.Raw]:
    try:
        return _list.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise bad_json(error, NewTask) from None


def _in_line(index: int, error: BadInput) -> BadInput:
    field = error.field and f"lines[{index}].{error.field}"
    return BadInput(f"line {index + 1}: {error.detail}", field=field, remedy=error.remedy)
