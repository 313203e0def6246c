"""Tasks: listing and reading them, and asking for their end or a repeat."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, cast

import msgspec
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from silkmill.adapters.http.answers import answer
from silkmill.adapters.http.bodies import read_body
from silkmill.adapters.http.names import OF_A_TASK, OfProject, OfSpider, TaskId
from silkmill.adapters.http.parts import parts_of
from silkmill.adapters.http.problems import Refusal
from silkmill.adapters.http.task_shapes import StateCounts, TaskCounts, TaskPage, TaskShape
from silkmill.adapters.http.task_view import full_view, summary
from silkmill.adapters.http.times import aware
from silkmill.adapters.http.told import LOCATION, told
from silkmill.domain.placement import ANYWHERE
from silkmill.domain.states import State
from silkmill.domain.task import Task
from silkmill.master.submission import Submission
from silkmill.ports.store import TaskFilter

PAGE = 200
router = APIRouter(prefix="/tasks")


class CancelBody(msgspec.Struct, forbid_unknown_fields=True):
    force: Annotated[bool, msgspec.Meta(description="Kill at once, without the graces.")] = False


@router.get("", **told("List tasks", TaskPage))
async def page(
    request: Request,
    state: Annotated[list[State], Query(description="In one of these states.")] = [],  # noqa: B006
    project: OfProject = None,
    spider: OfSpider = None,
    tag: Annotated[str | None, Query(description="With this tag.")] = None,
    since: Annotated[datetime | None, Query(description="Created since, as RFC 3339.")] = None,
    cursor: Annotated[
        str | None, Query(pattern="^[0-9a-f-]{36}$", description="`next` of the page before.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE, description="At most so many.")] = 50,
) -> Response:
    """Newest first; `next` is the cursor of the following page, null on the last one."""
    parts = parts_of(request)
    where = TaskFilter(tuple(state), project, spider, tag, aware(since))
    found = await parts.store.tasks(where, limit=limit, before=cursor)
    now = parts.clock.now()
    following = found[-1].id if len(found) == limit else None
    shown = [summary(task, now, parts.statistics.of(task)) for task in found]
    return answer(TaskPage(tasks=shown, next=following))


@router.get("/counts", **told("Count tasks by state", TaskCounts))
async def counts(request: Request, project: OfProject = None, spider: OfSpider = None) -> Response:
    """How many tasks are in each state."""
    found = await parts_of(request).store.count_tasks(project, spider)
    states = cast(StateCounts, {state.value: found.get(state, 0) for state in State})
    return answer(TaskCounts(total=sum(found.values()), states=states))


@router.get("/{task_id}", **told("Read a task", TaskShape, errors=OF_A_TASK))
async def one(task_id: TaskId, request: Request) -> Response:
    """With its attempts."""
    parts = parts_of(request)
    return answer(await full_view(parts, await parts.tasks.find(task_id)))


@router.post(
    "/{task_id}/cancel",
    **told("Ask for the end of a task", TaskShape, status=(200, 202), body=CancelBody, errors=OF_A_TASK),
)
async def cancel(task_id: TaskId, request: Request) -> Response:
    """The task as it is after the wish was recorded (202); one that has ended stays as it is (200)."""
    parts = parts_of(request)
    force = (await read_body(request, CancelBody)).force
    task = await parts.tasks.find(task_id)
    task = await parts.cancel.request(task.id, force=force)
    return answer(await full_view(parts, task), 200 if task.state.final else 202)


@router.post(
    "/{task_id}/retry",
    **told("Run an ended task again", TaskShape, status=201, errors=OF_A_TASK, headers=LOCATION),
)
async def retry(task_id: TaskId, request: Request) -> Response:
    """A new task of the same version and parameters. 409 while the old one has not ended."""
    parts = parts_of(request)
    task = await parts.tasks.find(task_id)
    if not task.state.final:
        raise Refusal(
            409, f"task {task.id} is still {task.state}", field="id", remedy="wait for its end, or cancel it"
        )
    repeated = await parts.intake.submit(_again(task))
    return answer(await full_view(parts, repeated), 201, {"Location": f"/api/v1/tasks/{repeated.id}"})


def _again(task: Task) -> Submission:
    return Submission(
        project=task.project,
        spider=task.spider,
        version=task.version,
        params=task.params,
        env=task.env,
        settings=task.settings,
        priority=task.priority,
        tags=task.tags,
        retry_of=task.id,
        placement=task.placement or ANYWHERE,
    )
