"""Schedules: made and changed by hand, switched, and run outside of their series."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any, TypedDict

import msgspec
from fastapi import APIRouter
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from silkmill.adapters.http.answers import answer
from silkmill.adapters.http.bodies import read_body
from silkmill.adapters.http.names import ProjectName, ScheduleName, SpiderName
from silkmill.adapters.http.pages import MOST, Cursor, Limit, Page, page_of
from silkmill.adapters.http.parts import Parts, parts_of
from silkmill.adapters.http.problems import Refusal
from silkmill.adapters.http.task_shapes import TaskShape
from silkmill.adapters.http.task_view import task_view
from silkmill.adapters.http.times import Time
from silkmill.adapters.http.told import LOCATION, told
from silkmill.domain.errors import BadInput, Duplicate, NotFound
from silkmill.domain.schedule import CatchUp, Origin, Overlap, Schedule, ScheduleConfig, schedule_key
from silkmill.domain.schedule_check import choice_of
from silkmill.domain.states import State
from silkmill.domain.task import Task
from silkmill.master.submission import Submission

router = APIRouter(prefix="/schedules")


class ScheduleBody(msgspec.Struct, forbid_unknown_fields=True):
    """What a caller says about a schedule whose name is in the path."""

    cron: str
    timezone: Annotated[str, Meta(description="As in the time zone database.")] = "UTC"
    overlap: Annotated[str, Meta(extra_json_schema={"enum": [*map(str, Overlap)]})] = Overlap.SKIP.value
    catchup: Annotated[str, Meta(extra_json_schema={"enum": [*map(str, CatchUp)]})] = CatchUp.NONE.value
    enabled: bool = True
    params: dict[str, Any] = {}

    def config(self, name: str) -> ScheduleConfig:
        """Raises BadInput."""
        return ScheduleConfig(
            name=name,
            cron=self.cron,
            timezone=self.timezone,
            overlap=choice_of(Overlap, self.overlap, "overlap"),
            catchup=choice_of(CatchUp, self.catchup, "catchup"),
            enabled=self.enabled,
            params=self.params,
        )


class NewSchedule(ScheduleBody, kw_only=True):
    """The same with its name."""

    spider: str
    name: str
    project: str = "default"


class FiringShape(TypedDict):
    at: Annotated[str, Meta(description="The instant, as RFC 3339.")]
    task: str
    state: State
    reason: str | None


class ScheduleShape(TypedDict):
    project: str
    spider: str
    name: str
    cron: str
    timezone: str
    overlap: Overlap
    catchup: CatchUp
    enabled: bool
    params: dict[str, Any]
    origin: Annotated[Origin, Meta(description="One of a file comes and goes with the version.")]
    evaluated_until: Annotated[Time, Meta(description="Instants until then have fired, or never will.")]
    next_firing: Annotated[Time | None, Meta(description="Null while it is disabled.")]
    last_firing: FiringShape | None
    problem: Annotated[str | None, Meta(description="Why it can never fire on this machine.")]


class ScheduleList(Page):
    schedules: list[ScheduleShape]
    paused_since: Annotated[
        Time | None, Meta(description="Not null while nothing fires because the clock was set.")
    ]


@router.get("", **told("List schedules", ScheduleList))
async def every(request: Request, cursor: Cursor = None, limit: Limit = MOST) -> Response:
    """By project, spider and name."""
    parts = parts_of(request)
    every = await parts.schedules.all()
    found, following = page_of(every, lambda stored: stored.key, cursor, limit)
    shown = [await _view(parts, stored.value) for stored in found]
    return answer(ScheduleList(schedules=shown, paused_since=parts.cron.paused_since, next=following))


@router.post(
    "",
    **told(
        "Make a schedule",
        ScheduleShape,
        status=201,
        body=NewSchedule,
        errors=(404, 409),
        headers=LOCATION,
    ),
)
async def add(request: Request) -> Response:
    """A new one; 409 when there is one of that name."""
    parts = parts_of(request)
    given = await read_body(request, NewSchedule)
    try:
        schedule = await parts.schedules.add(given.project, given.spider, given.config(given.name))
    except Duplicate as taken:
        remedy = await _way_out(parts, given)
        raise Refusal(409, str(taken), field="name", remedy=remedy) from None
    return answer(await _view(parts, schedule), 201, {"Location": f"/api/v1/schedules/{schedule.key}"})


async def _way_out(parts: Parts, given: NewSchedule) -> str:
    """What can be done about a name that is taken."""
    with suppress(NotFound):  # removed meanwhile
        taken = await parts.schedules.get(schedule_key(given.project, given.spider, given.name))
        if taken.origin is Origin.FILE:
            return "choose another name, or change it in its spider.toml and deploy that"
    return "choose another name, change it by PUT, or remove it first"


@router.get("/{project}/{spider}/{name}", **told("Read a schedule", ScheduleShape, errors=(404,)))
async def one(project: ProjectName, spider: SpiderName, name: ScheduleName, request: Request) -> Response:
    """With its next and its last firing."""
    parts = parts_of(request)
    return answer(await _view(parts, await parts.schedules.get(schedule_key(project, spider, name))))


@router.put(
    "/{project}/{spider}/{name}",
    **told("Make or change a schedule", ScheduleShape, status=(200, 201), body=ScheduleBody, errors=(404,)),
)
async def put(project: ProjectName, spider: SpiderName, name: ScheduleName, request: Request) -> Response:
    """New (201) or changed (200)."""
    parts = parts_of(request)
    config = (await read_body(request, ScheduleBody)).config(name)
    schedule, is_new = await parts.schedules.put(project, spider, config)
    return answer(await _view(parts, schedule), 201 if is_new else 200)


@router.delete("/{project}/{spider}/{name}", **told("Remove a schedule", status=204, errors=(404, 422)))
async def remove(project: ProjectName, spider: SpiderName, name: ScheduleName, request: Request) -> Response:
    """One that was made by hand; its tasks stay. 422 for one of a file."""
    await parts_of(request).schedules.remove(schedule_key(project, spider, name))
    return Response(status_code=204)


@router.post("/{project}/{spider}/{name}/enable", **told("Let a schedule fire", ScheduleShape, errors=(404,)))
async def enable(project: ProjectName, spider: SpiderName, name: ScheduleName, request: Request) -> Response:
    """From now on."""
    return await _switch(request, schedule_key(project, spider, name), enabled=True)


@router.post(
    "/{project}/{spider}/{name}/disable",
    **told("Let a schedule fire no more", ScheduleShape, errors=(404,)),
)
async def disable(project: ProjectName, spider: SpiderName, name: ScheduleName, request: Request) -> Response:
    """Its tasks go on."""
    return await _switch(request, schedule_key(project, spider, name), enabled=False)


@router.post(
    "/{project}/{spider}/{name}/run",
    **told("Run a task of a schedule now", TaskShape, status=201, errors=(404, 422), headers=LOCATION),
)
async def run(project: ProjectName, spider: SpiderName, name: ScheduleName, request: Request) -> Response:
    """A task at once, whatever else of the schedule runs, and no firing of it."""
    parts = parts_of(request)
    schedule = await parts.schedules.get(schedule_key(project, spider, name))
    task = await parts.intake.submit(
        Submission(project, spider, params=schedule.config.params, schedule=schedule.key)
    )
    return answer(task_view(task, parts.clock.now()), 201, {"Location": f"/api/v1/tasks/{task.id}"})


async def _switch(request: Request, key: str, *, enabled: bool) -> Response:
    parts = parts_of(request)
    return answer(await _view(parts, await parts.schedules.switch(key, enabled=enabled)))


async def _view(parts: Parts, schedule: Schedule) -> ScheduleShape:
    """The fields of docs/http.md. `problem`: why it can never fire on this machine."""
    try:
        next_firing, problem = schedule.next_instant(parts.clock.now()), None
    except BadInput as unknown:
        next_firing, problem = None, str(unknown)
    last = await parts.store.firings(schedule.key, limit=1)
    config = schedule.config
    return {
        "project": schedule.project,
        "spider": schedule.spider,
        "name": config.name,
        "cron": config.cron,
        "timezone": config.timezone,
        "overlap": config.overlap,
        "catchup": config.catchup,
        "enabled": schedule.enabled,
        "params": config.params,
        "origin": schedule.origin,
        "evaluated_until": schedule.evaluated_until,
        "next_firing": next_firing,
        "last_firing": _firing(last[0]) if last else None,
        "problem": problem,
    }


def _firing(task: Task) -> FiringShape:
    at = (task.firing or "").rpartition("@")[2].partition("#")[0]
    return {"at": at, "task": task.id, "state": task.state, "reason": task.reason}
