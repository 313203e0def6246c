"""Store contract: task records, their conditional writes, and repeats of an ambiguous write."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from helpers import START, changed, insert_claimed, make_task
from silkmill.domain.attempt import Positions
from silkmill.domain.errors import Conflict, Unavailable
from silkmill.domain.events import Accept, Assign, Exit, Finish, GiveBack, Lose, Start
from silkmill.domain.outcome import Verdict
from silkmill.domain.states import State
from silkmill.domain.statistics import Statistics
from silkmill.domain.task import Task, request_cancel
from silkmill.ports.store import Store, TaskFilter
from silkmill.runtime import faults

GIVEN_BACK = GiveBack("drain", START)


async def stored(store: Store, task: Task) -> Task:
    found = await store.task(task.id)
    assert found is not None
    return found


async def test_a_task_is_read_as_it_was_inserted(store: Store) -> None:
    task = make_task(
        params={"day": "today", "big": 1234567890123456789, "deep": [{"a": None}], "x": 0.5},
        env={"NAME": "wert"},
        tags=("a", "b"),
        state=State.CREATED,
        reason="delayed",
        next_attempt_at=START + timedelta(microseconds=1),
        group="group-1",
    )
    await store.insert_tasks([task])
    assert await stored(store, task) == task


async def test_an_ended_task_keeps_what_its_attempt_told(store: Store) -> None:
    told = Statistics(progress=0.5, errors=2, log_lines=9, rss_bytes=1 << 20, cpu_seconds=0.25)
    task = await insert_claimed(store)
    for event in (Accept(), Start(1, START), Exit(), Finish(Verdict("exit", statistics=told), START)):
        task = await store.swap(task, changed(task, event))
    assert (await stored(store, task)).history[0].statistics == told


async def test_an_unknown_task_is_none(store: Store) -> None:
    assert await store.task("nothing") is None


async def test_inserting_leaves_existing_tasks_as_they_are(store: Store) -> None:
    first = make_task(tags=("old",))
    await store.insert_tasks([first])
    moved = await store.swap(first, changed(first, priority=1))
    again, other = replace(first, tags=("new",)), make_task()
    await store.insert_tasks([again, other, replace(other, priority=9)])
    assert await stored(store, first) == moved
    assert await stored(store, other) == other
    assert await store.tasks(TaskFilter(tag="new"), limit=10) == []


async def test_inserting_many(store: Store) -> None:
    tasks = [make_task() for _ in range(2500)]
    await store.insert_tasks(tasks)
    assert await store.tasks(TaskFilter(), limit=5000, newest_first=False) == tasks


async def test_swap_writes_the_next_revision(store: Store) -> None:
    task = make_task()
    await store.insert_tasks([task])
    new = changed(task, priority=2)
    swapped = await store.swap(task, new)
    assert swapped == replace(new, revision=task.revision + 1)
    assert await stored(store, task) == swapped


async def test_swap_of_an_old_revision_conflicts_and_writes_nothing(store: Store) -> None:
    task = make_task()
    await store.insert_tasks([task])
    swapped = await store.swap(task, changed(task, priority=2))
    with pytest.raises(Conflict):
        await store.swap(task, changed(task, priority=3))
    assert await stored(store, task) == swapped


async def test_swap_of_an_unknown_task_conflicts(store: Store) -> None:
    task = make_task()
    with pytest.raises(Conflict):
        await store.swap(task, changed(task))
    assert await store.task(task.id) is None


async def test_repeating_ones_own_swap_is_a_success(store: Store) -> None:
    task = make_task()
    await store.insert_tasks([task])
    new = changed(task, priority=2)
    first = await store.swap(task, new)
    assert await store.swap(task, new) == first
    assert (await stored(store, task)).revision == task.revision + 1


async def test_ones_own_swap_that_was_overwritten_conflicts(store: Store) -> None:
    task = make_task()
    await store.insert_tasks([task])
    new = changed(task, priority=2)
    other = await store.swap(await store.swap(task, new), changed(new, priority=3))
    with pytest.raises(Conflict):
        await store.swap(task, new)
    assert await stored(store, task) == other


@pytest.mark.parametrize("change_id", ["", "inherited"])
async def test_a_swap_without_a_fresh_change_id_is_a_defect(store: Store, change_id: str) -> None:
    task = make_task(change_id="inherited")
    await store.insert_tasks([task])
    with pytest.raises(ValueError, match="change_id"):
        await store.swap(task, replace(task, priority=1, change_id=change_id))


async def test_of_concurrent_swaps_one_wins(store: Store) -> None:
    task = make_task()
    await store.insert_tasks([task])
    swaps = [store.swap(task, changed(task, priority=priority)) for priority in range(1, 11)]
    results = await asyncio.gather(*swaps, return_exceptions=True)
    won = [result for result in results if isinstance(result, Task)]
    assert len(won) == 1
    assert all(isinstance(result, Conflict) for result in results if result is not won[0])
    assert await stored(store, task) == won[0]


@pytest.mark.parametrize("write", ["swap", "claim"])
async def test_an_answer_lost_after_the_commit_is_found_by_the_repeat(store: Store, write: str) -> None:
    task = make_task()
    await store.insert_tasks([task])
    new = changed(task, Assign("node-1", "session-1", START))
    faults.arm("store.after_commit=error")
    with pytest.raises(Unavailable):
        await getattr(store, write)(task, new)
    assert (await stored(store, task)).change_id == new.change_id
    repeated = await getattr(store, write)(task, new)
    assert repeated == await stored(store, task) == replace(new, revision=1)


async def test_a_write_that_fails_before_its_commit_changes_nothing(store: Store) -> None:
    task = make_task()
    await store.insert_tasks([task])
    new = changed(task, priority=2)
    faults.arm("store.before_commit=error")
    with pytest.raises(Unavailable):
        await store.swap(task, new)
    assert await stored(store, task) == task
    assert (await store.swap(task, new)).priority == 2


async def test_an_insert_whose_answer_was_lost_is_repeated(store: Store) -> None:
    tasks = [make_task() for _ in range(3)]
    faults.arm("store.after_commit=error")
    with pytest.raises(Unavailable):
        await store.insert_tasks(tasks)
    await store.insert_tasks(tasks)
    assert await store.tasks(TaskFilter(), limit=10, newest_first=False) == tasks


async def test_claim_begins_the_positions_at_zero(store: Store) -> None:
    task = await insert_claimed(store)
    await store.append_items(task.ref, "session-1", 0, 0, [b"{}"])
    await store.append_log(task.ref, "session-1", 0, b"line\n")
    task = await store.swap(await stored(store, task), changed(await stored(store, task), Accept()))
    closed = await store.swap(task, changed(task, GIVEN_BACK))
    assert (await stored(store, closed)).positions == Positions(5, 3, 1)
    again = await store.claim(closed, changed(closed, Assign("node-2", "session-2", START)))
    assert again.positions == (await stored(store, again)).positions == Positions()


async def test_repeating_ones_own_claim_keeps_what_came_meanwhile(store: Store) -> None:
    task = make_task()
    await store.insert_tasks([task])
    new = changed(task, Assign("node-1", "session-1", START))
    claimed = await store.claim(task, new)
    await store.append_items(claimed.ref, "session-1", 0, 0, [b"{}"])
    assert (await store.claim(task, new)).positions == Positions(0, 3, 1)
    assert (await stored(store, task)).positions == Positions(0, 3, 1)


async def test_swap_never_writes_positions(store: Store) -> None:
    task = await insert_claimed(store)
    await store.append_items(task.ref, "session-1", 0, 0, [b"{}"])
    swapped = await store.swap(task, changed(task, Accept(), positions=Positions(9, 9, 9)))
    assert swapped.positions == (await stored(store, task)).positions == Positions(0, 3, 1)


async def test_positions_do_not_bump_the_revision(store: Store) -> None:
    task = await insert_claimed(store)
    await store.append_items(task.ref, "session-1", 0, 0, [b"{}"])
    await store.append_log(task.ref, "session-1", 0, b"line\n")
    await store.move_log(task.ref, "session-1", 5, 10)
    assert await stored(store, task) == replace(task, positions=Positions(15, 3, 1))


async def test_a_swap_that_keeps_the_attempt_open_ignores_moved_positions(store: Store) -> None:
    task = await insert_claimed(store)
    await store.append_log(task.ref, "session-1", 0, b"line\n")
    wish = await store.swap(task, replace(request_cancel(task, force=False, reason="user"), change_id="c"))
    assert wish.cancel_requested
    assert wish.positions == Positions(5, 0, 0)


@pytest.mark.parametrize("stream", ["log", "items"])
async def test_a_swap_that_closes_the_attempt_conflicts_when_positions_moved(
    store: Store, stream: str
) -> None:
    task = await insert_claimed(store)
    task = await store.swap(task, changed(task, Accept()))
    if stream == "log":
        await store.append_log(task.ref, "session-1", 0, b"line\n")
    else:
        await store.append_items(task.ref, "session-1", 0, 0, [b"{}"])
    with pytest.raises(Conflict):
        await store.swap(task, changed(task, GIVEN_BACK))
    fresh = await stored(store, task)
    assert fresh.attempt is not None
    closed = await store.swap(fresh, changed(fresh, GIVEN_BACK))
    assert closed.attempt is None


async def test_a_closing_swap_is_repeated_with_success(store: Store) -> None:
    task = await insert_claimed(store)
    task = await store.swap(task, changed(task, Accept()))
    new = changed(task, GIVEN_BACK)
    closed = await store.swap(task, new)
    assert await store.swap(task, new) == closed


async def test_a_lost_attempt_stays_open_without_a_session(store: Store) -> None:
    task = await insert_claimed(store)
    for event in (Accept(), Start(42, START), Lose("silent")):
        task = await store.swap(task, changed(task, event))
    assert await stored(store, task) == task
    assert await store.open_attempts() == [task]


async def test_the_whole_life_of_a_task(store: Store) -> None:
    task = await insert_claimed(store)
    for event in (Accept(), Start(42, START)):
        task = await store.swap(task, changed(task, event))
    await store.append_items(task.ref, "session-1", 0, 0, [b"{}"])
    task = await stored(store, task)
    task = await store.swap(task, changed(task, Exit()))
    task = await store.swap(task, changed(task, Finish(Verdict("exit", exit_code=0), START)))
    assert await stored(store, task) == task
    assert task.state is State.FINISHED
    assert task.history[0].items_count == 1
