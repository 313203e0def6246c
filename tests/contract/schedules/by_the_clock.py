"""Letting time pass for a master with schedules, and what has fired since."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from silkmill.domain.schedule import CatchUp, Overlap, Schedule, ScheduleConfig
from silkmill.domain.task import Task
from silkmill.ports.store import TaskFilter
from support.master_rig import START, Rig

MINUTELY = "* * * * *"


def config(cron: str = MINUTELY, **given: object) -> ScheduleConfig:
    kinds = {"overlap": Overlap, "catchup": CatchUp}
    values = {name: kinds.get(name, lambda value: value)(value) for name, value in given.items()}
    return ScheduleConfig(**{"name": "often", "cron": cron} | values)  # type: ignore[arg-type]


async def add(rig: Rig, cron: str = MINUTELY, **given: object) -> Schedule:
    return await rig.schedules.add("default", "news", config(cron, **given))


async def put(rig: Rig, cron: str = MINUTELY, **given: object) -> Schedule:
    return (await rig.schedules.put("default", "news", config(cron, **given)))[0]


async def pass_time(rig: Rig, seconds: int, step: int = 1) -> None:
    """The master looks every `step` seconds, for so long, and at the end."""
    for _ in range(0, seconds, step):
        await look(rig)
        rig.clock.pass_time(step)
    await look(rig)


async def look(rig: Rig) -> None:
    await rig.cron.tick()
    await rig.firings.tick()


async def tasks(rig: Rig) -> list[Task]:
    """All of them, in the order of their making."""
    found = await rig.store.tasks(TaskFilter(), limit=1000, newest_first=False)
    return sorted(found, key=lambda task: task.order)


async def fired(rig: Rig) -> list[float]:
    """Minutes from the start of the test to each firing, in the order of their making."""
    return [minutes(task) for task in await tasks(rig) if task.firing]


def minutes(task: Task) -> float:
    at = datetime.fromisoformat((task.firing or "").split("@")[1].removesuffix("#0"))
    return (at - START) / timedelta(minutes=1)


def states(found: Iterable[Task]) -> list[str]:
    return [task.state.value for task in found]
