"""Schedules: made and changed by hand, switched, and run outside of their series."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from silkmill.adapters.http.answers import answer
from silkmill.adapters.http.bodies import read_body
from silkmill.adapters.http.parts import Parts, parts_of
from silkmill.adapters.http.problems import Refusal
from silkmill.adapters.http.task_view import task_view
from silkmill.domain.errors import BadInput, Duplicate, NotFound
from silkmill.domain.schedule import CatchUp, Origin, Overlap, Schedule, ScheduleConfig, schedule_key
from silkmill.domain.schedule_check import choice_of
from silkmill.domain.task import Task
from silkmill.master.submission import Submission

router = APIRouter(prefix="/schedules")


class Written(msgspec.Struct, forbid_unknown_fields=True):
    """What a caller says about a schedule whose name is in the path."""

    cron: str
    timezone: str = "UTC"
    overlap: str = Overlap.SKIP.value
    catchup: str = CatchUp.NONE.value
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


class Named(Written, kw_only=True):
    """The same with its name."""

    spider: str
    name: str
    project: str = "default"


@router.get("")
async def every(request: Request) -> Response:
    """`paused_since`: why nothing fires for now."""
    parts = parts_of(request)
    found = [await _view(parts, stored.value) for stored in await parts.schedules.all()]
    return answer({"schedules": found, "paused_since": parts.cron.paused_since})


@router.post("")
async def add(request: Request) -> Response:
    """A new one; 409 when there is one of that name."""
    parts = parts_of(request)
    given = await read_body(request, Named)
    try:
        schedule = await parts.schedules.add(given.project, given.spider, given.config(given.name))
    except Duplicate as taken:
        remedy = await _way_out(parts, given)
        raise Refusal(409, str(taken), field="name", remedy=remedy) from None
    return answer(await _view(parts, schedule), 201, {"Location": f"/api/v1/schedules/{schedule.key}"})


async def _way_out(parts: Parts, given: Named) -> str:
    """What can be done about a name that is taken."""
    with suppress(NotFound):  # removed meanwhile
        taken = await parts.schedules.get(schedule_key(given.project, given.spider, given.name))
        if taken.origin is Origin.FILE:
            return "choose another name, or change it in its spider.toml and deploy that"
    return "choose another name, change it by PUT, or remove it first"


@router.get("/{project}/{spider}/{name}")
async def one(project: str, spider: str, name: str, request: Request) -> Response:
    parts = parts_of(request)
    return answer(await _view(parts, await parts.schedules.get(schedule_key(project, spider, name))))


@router.put("/{project}/{spider}/{name}")
async def put(project: str, spider: str, name: str, request: Request) -> Response:
    """New (201) or changed (200)."""
    parts = parts_of(request)
    config = (await read_body(request, Written)).config(name)
    schedule, is_new = await parts.schedules.put(project, spider, config)
    return answer(await _view(parts, schedule), 201 if is_new else 200)


@router.delete("/{project}/{spider}/{name}")
async def remove(project: str, spider: str, name: str, request: Request) -> Response:
    await parts_of(request).schedules.remove(schedule_key(project, spider, name))
    return Response(status_code=204)


@router.post("/{project}/{spider}/{name}/enable")
async def enable(project: str, spider: str, name: str, request: Request) -> Response:
    return await _switch(request, schedule_key(project, spider, name), enabled=True)


@router.post("/{project}/{spider}/{name}/disable")
async def disable(project: str, spider: str, name: str, request: Request) -> Response:
    return await _switch(request, schedule_key(project, spider, name), enabled=False)


@router.post("/{project}/{spider}/{name}/run")
async def run(project: str, spider: str, name: str, request: Request) -> Response:
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


async def _view(parts: Parts, schedule: Schedule) -> dict[str, Any]:
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


def _firing(task: Task) -> dict[str, Any]:
    at = (task.firing or "").rpartition("@")[2].partition("#")[0]
    return {"at": at, "task": task.id, "state": task.state, "reason": task.reason}
