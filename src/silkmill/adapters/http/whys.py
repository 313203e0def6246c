"""Why a task is where it is, seen among the nodes, slots and tasks of this master."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Annotated, TypedDict

from fastapi import APIRouter
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from silkmill.adapters.http.answers import answer
from silkmill.adapters.http.names import OF_A_TASK, TaskId
from silkmill.adapters.http.parts import Parts, parts_of
from silkmill.adapters.http.times import Time
from silkmill.adapters.http.told import told
from silkmill.domain.node import Node
from silkmill.domain.placement import ANYWHERE
from silkmill.domain.states import State
from silkmill.domain.task import Task
from silkmill.master.why import Around, WaitsFor, why

LOOKED_AT = 1000
"""So many pending tasks are counted at most: a reader cannot tell 1,000 before it from 5,000."""
router = APIRouter(prefix="/tasks")


class WhyShape(TypedDict):
    id: str
    state: State
    waits_for: WaitsFor
    text: str
    until: Annotated[Time | None, Meta(description="When the wait ends by itself, if that is known.")]


@router.get("/{task_id}/why", **told("Why a task is where it is", WhyShape, errors=OF_A_TASK))
async def explain(task_id: TaskId, request: Request) -> Response:
    """The one thing that it waits for now."""
    parts = parts_of(request)
    task = await parts.tasks.find(task_id)
    said = why(task, await _around(parts, task))
    return answer(
        WhyShape(
            id=task.id,
            state=task.state,
            waits_for=said.waits_for,
            text=said.text,
            until=said.until,
        )
    )


async def _around(parts: Parts, task: Task) -> Around:
    around = Around(
        nodes=await _connected(parts),
        draining=parts.dispatcher.draining,
        for_others=not parts.dispatcher.may_place(task),
        preparing=parts.preparations.doing(task.ref) if task.ref else None,
    )
    return await _among_others(parts, task, around) if task.waits else around


async def _among_others(parts: Parts, task: Task, around: Around) -> Around:
    """What only a task that waits for a slot needs: the heads of all queues are read for it."""
    owner = task.project, task.spider
    await parts.permits.learn(owner)
    full = parts.permits.full(owner)
    heads = await _heads(parts)
    return replace(
        around,
        free_slots=_free_slots(parts, task),
        full=tuple(full),
        holders=tuple(parts.permits.taken(full[0])) if full else (),
        earlier=sum(_place(head) < _place(task) and parts.dispatcher.may_place(head) for head in heads),
    )


def _free_slots(parts: Parts, task: Task) -> int:
    """Of the nodes that may run it."""
    free = parts.workers.slots.free_by_session(parts.clock.boottime())
    placement = task.placement or ANYWHERE
    return sum(count for session, count in free.items() if placement.allows(parts.workers.node(session)))


async def _heads(parts: Parts) -> list[Task]:
    """The first pending tasks of every queue."""
    queues = await parts.store.waiting_queues()
    return await parts.store.pending_heads(queues, max(1, LOOKED_AT // max(1, len(queues))))


async def _connected(parts: Parts) -> tuple[Node, ...]:
    """Present sessions of this master: none where only the data directory is read."""
    nodes = []
    for session in (await parts.workers.present_sessions()).values():
        with suppress(KeyError):  # it is connected to another master, or to none
            nodes.append(parts.workers.node(session))
    return tuple(nodes)


def _place(task: Task) -> tuple[int, int, str]:
    return task.priority, task.order, task.id
