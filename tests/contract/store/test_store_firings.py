"""Store contract: firings of schedules: one task each, and the lists that overlap and recovery rely on."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from helpers import START, changed, make_task
from silkmill.domain.errors import Unavailable
from silkmill.domain.events import Cancel, Hold, Release
from silkmill.domain.states import State
from silkmill.domain.task import Task
from silkmill.ports.store import Store, TaskFilter
from silkmill.runtime import faults

NIGHTLY = "default/news/nightly"


def firing(hour: int, schedule: str = NIGHTLY, **given: object) -> Task:
    name = f"{schedule}@2026-03-01T{hour:02}:00:00Z#0"
    return make_task(schedule=schedule, firing=name, **given)


def behind(task: Task, **given: object) -> Task:
    return make_task(state=State.CREATED, after=task.id, **given)


async def test_a_firing_is_read_as_it_was_inserted(store: Store) -> None:
    task = firing(1, state=State.CREATED, after="another", reason="overlap")
    await store.insert_tasks([task])
    assert await store.task(task.id) == task
    assert await store.firing(task.firing or "") == task
    assert await store.firing("another") is None


async def test_a_firing_that_has_its_task_gets_no_second_one(store: Store) -> None:
    first = firing(1, tags=("old",))
    await store.insert_tasks([first])
    moved = await store.swap(first, changed(first, Cancel("overlap", START)))
    repeat = firing(1, tags=("new",))
    other = firing(2)
    await store.insert_tasks([repeat, other])
    assert await store.task(repeat.id) is None
    assert await store.firing(first.firing or "") == moved
    assert await store.tasks(TaskFilter(), limit=10) == [other, moved]
    assert await store.tasks(TaskFilter(tag="new"), limit=10) == []


async def test_of_two_that_are_inserted_at_once_one_is_there(store: Store) -> None:
    rivals = [firing(1) for _ in range(10)]
    await asyncio.gather(*(store.insert_tasks([rival]) for rival in rivals))
    found = await store.tasks(TaskFilter(), limit=20)
    assert len(found) == 1
    assert found[0] in rivals


async def test_two_of_one_firing_in_one_call_are_one(store: Store) -> None:
    first = firing(1)
    await store.insert_tasks([first, firing(1)])
    assert await store.tasks(TaskFilter(), limit=20) == [first]


async def test_tasks_without_a_firing_are_no_rivals(store: Store) -> None:
    await store.insert_tasks([make_task(), make_task(schedule=NIGHTLY), make_task(schedule=NIGHTLY)])
    assert len(await store.tasks(TaskFilter(), limit=20)) == 3
    assert await store.firings(NIGHTLY, limit=10) == []


@pytest.mark.parametrize("point", ["store.before_commit", "store.after_commit"])
async def test_an_insert_whose_answer_is_lost_is_repeated(store: Store, point: str) -> None:
    task = firing(1)
    faults.arm(f"{point}=error")
    with pytest.raises(Unavailable):
        await store.insert_tasks([task])
    await store.insert_tasks([task])
    await store.insert_tasks([firing(1)])
    assert await store.tasks(TaskFilter(), limit=10) == [task]


async def test_firings_of_a_schedule_are_by_instant_the_latest_first(store: Store) -> None:
    late, early, between = firing(9), firing(1), firing(5)
    await store.insert_tasks([late, early, between])
    neighbours = [f"{NIGHTLY}2", f"{NIGHTLY}-", "default/news/night", "default/news/nightl", "a/news/nightly"]
    await store.insert_tasks([firing(3, name) for name in neighbours])
    assert await store.firings(NIGHTLY, limit=10) == [late, between, early]
    assert await store.firings(NIGHTLY, limit=1) == [late]
    assert await store.firings(NIGHTLY, limit=10, before=between.firing) == [early]
    assert await store.firings(NIGHTLY, limit=10, before=early.firing) == []


async def test_open_firings_are_those_that_have_not_ended(store: Store) -> None:
    tasks = [firing(1), firing(2, state=State.CREATED), firing(3, state=State.ABNORMAL), firing(4)]
    await store.insert_tasks([*tasks, firing(5, state=State.CANCELLED)])
    assert await store.firings(NIGHTLY, limit=10, open_only=True) == tasks[::-1]
    ended = await store.swap(tasks[3], changed(tasks[3], Cancel("overlap", START)))
    assert await store.firings(NIGHTLY, limit=10, open_only=True) == tasks[2::-1]
    assert await store.firings(NIGHTLY, limit=1, before=tasks[1].firing, open_only=True) == [tasks[0]]
    assert (await store.firings(NIGHTLY, limit=2))[1] == ended


async def test_what_waits_after_another_task_is_listed_while_it_is_created(store: Store) -> None:
    first = firing(1)
    one, two, ended = behind(first), behind(first), behind(first)
    await store.insert_tasks([first, one, two, ended, make_task(state=State.CREATED)])
    assert sorted(await store.waiting_after()) == sorted((task.id, first.id) for task in (one, two, ended))
    one = await store.swap(one, changed(one, Release()))
    await store.swap(ended, changed(ended, Cancel("cancelled on request", START)))
    two = await store.swap(two, changed(two, after=one.id))
    assert await store.waiting_after() == [(two.id, one.id)]
    assert one.after is None


async def test_what_is_held_for_another_reason_waits_after_nothing(store: Store) -> None:
    task = make_task()
    await store.insert_tasks([task])
    await store.swap(task, changed(replace(task), Hold("backing off", START)))
    assert await store.waiting_after() == []
