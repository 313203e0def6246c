"""Store contract: lists, filters, cursors and the orders that the dispatcher and recovery rely on."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from helpers import START, changed, insert_claimed, make_task, pending
from silkmill.domain.errors import Conflict
from silkmill.domain.events import Accept, Assign, Finish, Lose, Retry, Start
from silkmill.domain.events import Exit as ProcessExit
from silkmill.domain.outcome import ErrorClass, Verdict
from silkmill.domain.placement import Placement
from silkmill.domain.states import State
from silkmill.domain.task import CHUNK_GRACE, SMALL_LOG_BYTES, Task, with_closed
from silkmill.ports.store import Store, TaskFilter

HOUR = timedelta(hours=1)


async def matching(store: Store, **where: object) -> list[Task]:
    return await store.tasks(TaskFilter(**where), limit=100, newest_first=False)


async def test_lists_are_by_id_in_both_directions(store: Store) -> None:
    tasks = [make_task() for _ in range(5)]
    await store.insert_tasks(tasks[::-1])
    assert await store.tasks(TaskFilter(), limit=100) == tasks[::-1]
    assert await store.tasks(TaskFilter(), limit=100, newest_first=False) == tasks


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize(
    "where", [TaskFilter(), TaskFilter(states=(State.PENDING, State.CREATED)), TaskFilter(spider="news")]
)
async def test_a_cursor_pages_through_all(store: Store, newest_first: bool, where: TaskFilter) -> None:
    tasks = [
        make_task(state=(State.PENDING, State.CREATED)[number % 2], project=("shop", "blog")[number % 2])
        for number in range(7)
    ]
    await store.insert_tasks(tasks)
    seen: list[Task] = []
    while page := await store.tasks(
        where, limit=3, before=seen[-1].id if seen else None, newest_first=newest_first
    ):
        assert len(page) <= 3
        seen += page
    assert seen == (tasks[::-1] if newest_first else tasks)


async def test_filters_narrow_and_combine(store: Store) -> None:
    one = make_task(project="shop", spider="news", tags=("daily", "eu"), group="g1")
    two = make_task(project="shop", spider="prices", tags=("daily",), state=State.CREATED)
    three = make_task(project="blog", spider="news", created_at=START + HOUR, state=State.ERROR)
    await store.insert_tasks([one, two, three])
    assert await matching(store) == [one, two, three]
    assert await matching(store, project="shop") == [one, two]
    assert await matching(store, spider="news") == [one, three]
    assert await matching(store, project="shop", spider="news") == [one]
    assert await matching(store, tag="daily") == [one, two]
    assert await matching(store, tag="eu") == [one]
    assert await matching(store, tag="e") == []
    assert await matching(store, group="g1") == [one]
    assert await matching(store, since=START + HOUR) == [three]
    assert await matching(store, since=START + HOUR + timedelta(microseconds=1)) == []
    assert await matching(store, states=(State.ERROR,)) == [three]
    assert await matching(store, states=(State.ERROR, State.CREATED)) == [two, three]
    assert await matching(store, states=(State.CREATED, State.CREATED), tag="daily") == [two]
    assert await matching(store, states=(State.RUNNING,)) == []


@pytest.mark.parametrize("characters", [6, 12, 36])
async def test_tasks_are_found_by_the_end_of_their_id(store: Store, characters: int) -> None:
    tasks = [make_task() for _ in range(20)]
    await store.insert_tasks(tasks)
    for task in tasks[:3]:
        assert await matching(store, id_suffix=task.id[-characters:]) == [task]
    assert await matching(store, id_suffix="zzzzzz") == []


async def test_all_tasks_that_share_an_ending_are_found(store: Store) -> None:
    tasks = [make_task(id=f"{number}-abcdef") for number in range(3)]
    await store.insert_tasks([*tasks, make_task(id="4-xbcdef"), make_task(id="5-abcdefg")])
    assert await matching(store, id_suffix="abcdef") == tasks


async def test_counting_by_state(store: Store) -> None:
    states = [State.PENDING] * 3 + [State.CREATED] * 2 + [State.FINISHED]
    await store.insert_tasks([make_task(state=state, tags=("a",)) for state in states])
    await store.insert_tasks([make_task(spider="other")])
    assert await store.count_tasks() == {
        State.PENDING: 4,
        State.CREATED: 2,
        State.FINISHED: 1,
    }
    assert await store.count_tasks(spider="other") == {State.PENDING: 1}
    await store.insert_tasks([make_task(project="shop", spider="other", state=State.ERROR)])
    assert await store.count_tasks(spider="other") == {State.PENDING: 1, State.ERROR: 1}
    assert await store.count_tasks(project="shop") == {State.ERROR: 1}
    assert await store.count_tasks("default", "other") == {State.PENDING: 1}
    assert await store.count_tasks("none") == await store.count_tasks("shop", "spider") == {}


async def test_the_count_follows_the_state(store: Store) -> None:
    task = await insert_claimed(store)
    assert await store.count_tasks() == {State.PENDING: 1}
    for event in (Accept(), Start(1, START)):
        task = await store.swap(task, changed(task, event))
    assert await store.count_tasks() == {State.RUNNING: 1}
    await store.insert_tasks([task, make_task(state=State.ERROR)])  # one of them is there already
    assert await store.count_tasks() == {State.RUNNING: 1, State.ERROR: 1}
    with pytest.raises(Conflict):
        await store.swap(replace(task, revision=0), changed(task, ProcessExit(), state=State.FINISHED))
    await store.delete_task(await store.task(task.id))
    await store.delete_task(task)  # it is gone
    assert await store.count_tasks() == {State.ERROR: 1}


async def test_a_tag_follows_the_state_of_its_task(store: Store) -> None:
    task, other = make_task(tags=("a", "b")), make_task(tags=("a",), project="shop", spider="prices")
    await store.insert_tasks([task, other])
    task = await store.swap(task, changed(task, state=State.CREATED))
    assert await matching(store, tag="b", states=(State.CREATED,)) == [task]
    again = await store.swap(task, changed(task, state=State.PENDING))
    assert await store.swap(task, replace(again, revision=1)) == again  # its answer was lost
    assert await matching(store, tag="a") == [again, other]
    assert await matching(store, tag="b", states=(State.PENDING,)) == [again]
    assert await matching(store, tag="b", states=(State.CREATED,)) == []
    assert await matching(store, tag="a", project="shop") == [other]
    assert await matching(store, tag="a", spider="prices") == [other]
    assert await matching(store, tag="a", project="shop", spider="prices", since=START) == [other]
    assert await matching(store, tag="a", project="default", spider="prices") == []
    await store.delete_task(again)
    assert await matching(store, tag="a") == [other]


async def test_pending_heads_go_by_priority_then_order_then_id(store: Store) -> None:
    late, early = make_task(order=9), make_task(order=1)
    urgent, idle = make_task(priority=1, order=50), make_task(priority=10, order=0)
    tied = sorted([make_task(order=5), make_task(order=5)], key=lambda task: task.id)
    await store.insert_tasks([late, early, urgent, idle, *tied])
    expected = [urgent, early, *tied, late, idle]
    assert await pending(store, 100) == expected
    assert await pending(store, 2) == expected[:2]


async def test_pending_heads_are_unassigned_and_pending(store: Store) -> None:
    waiting = make_task()
    await store.insert_tasks([waiting, make_task(state=State.CREATED), make_task(state=State.FINISHED)])
    claimed = await insert_claimed(store)
    assert await pending(store, 100) == [waiting]
    waiting = await store.claim(waiting, changed(waiting, Assign("node-1", "session-1", START)))
    assert await pending(store, 100) == []
    back = await store.swap(claimed, changed(claimed, attempt=None))
    assert await pending(store, 100) == [back]
    sooner = await store.swap(back, changed(back, priority=1))
    assert await pending(store, 100) == [sooner]


async def test_each_queue_has_heads_of_its_own(store: Store) -> None:
    gpu = Placement(labels={"gpu": "1"})
    news, slow = [[make_task(spider=spider) for _ in range(3)] for spider in ("news", "slow")]
    narrow = make_task(placement=gpu, priority=1)
    await store.insert_tasks([*news, *slow, narrow, make_task(spider="idle", state=State.CREATED)])
    assert await store.waiting_queues() == ["default/news", narrow.queue, "default/slow"]
    assert await store.pending_heads(["default/slow", "default/idle", "default/news"], 2) == [
        *slow[:2],
        *news[:2],
    ]
    assert await store.pending_heads([narrow.queue], 9) == [narrow]
    await store.claim(narrow, changed(narrow, Assign("node-1", "session-1", START)))
    assert await store.waiting_queues() == ["default/news", "default/slow"]


async def test_no_queue_where_nothing_waits(store: Store) -> None:
    await insert_claimed(store)
    assert await store.waiting_queues() == []
    assert await store.pending_heads([], 5) == []


async def test_open_attempts_in_any_state_and_session(store: Store) -> None:
    await store.insert_tasks([make_task()])
    offered, lost, ended = [await insert_claimed(store) for _ in range(3)]
    for event in (Accept(), Start(1, START), Lose("silent")):
        lost = await store.swap(lost, changed(lost, event))
    for event in (Accept(), Start(1, START), ProcessExit(), Finish(Verdict("exit"), START)):
        ended = await store.swap(ended, changed(ended, event))
    assert await store.open_attempts() == [offered, lost]


async def test_created_tasks_are_due_when_their_time_has_come(store: Store) -> None:
    later, sooner = [make_task(state=State.CREATED, next_attempt_at=START + delay * HOUR) for delay in (2, 1)]
    behind = make_task(state=State.CREATED, reason="behind another")
    await store.insert_tasks([later, sooner, behind, make_task()])
    assert await store.due_created(START + HOUR - timedelta(microseconds=1), 10) == []
    assert await store.due_created(START + HOUR, 10) == [sooner]
    assert await store.due_created(START + 2 * HOUR, 10) == [sooner, later]
    assert await store.due_created(START + 2 * HOUR, 1) == [sooner]


async def test_a_released_task_is_not_due_any_more(store: Store) -> None:
    task = await insert_claimed(store)
    task = await store.swap(task, changed(task, Accept()))
    retry = Retry(Verdict("lost", "runner died", ErrorClass.SYSTEM), START, START + HOUR)
    task = await store.swap(task, changed(task, retry))
    assert await store.due_created(START + HOUR, 10) == [task]
    await store.swap(task, changed(task, state=State.PENDING, next_attempt_at=None))
    assert await store.due_created(START + HOUR, 10) == []


async def test_nothing_is_due_in_an_empty_store(store: Store) -> None:
    assert await store.due_created(START, 10) == []
    assert await store.due_upkeep(START, 10) == []
    assert await pending(store, 10) == []
    assert await store.open_attempts() == []
    assert await store.count_tasks() == {}
    assert await store.tasks(TaskFilter(), limit=10) == []


async def ended_with_log(store: Store, log_bytes: int, minute: int = 0) -> Task:
    task = await insert_claimed(store)
    for event in (Accept(), Start(1, START), ProcessExit()):
        task = await store.swap(task, changed(task, event))
    await store.move_log(task.ref, "session-1", 0, log_bytes)
    found = await store.task(task.id)
    assert found is not None
    end = Finish(Verdict("exit"), START + timedelta(minutes=minute))
    return await store.swap(found, changed(found, end))


async def test_upkeep_is_due_for_large_logs_of_closed_attempts(store: Store) -> None:
    await ended_with_log(store, SMALL_LOG_BYTES - 1)
    second, first = [await ended_with_log(store, SMALL_LOG_BYTES, minute) for minute in (2, 1)]
    assert await store.due_upkeep(START, 10) == []
    assert await store.due_upkeep(START + HOUR, 10) == [first, second]
    assert await store.due_upkeep(START + HOUR, 1) == [first]


async def test_upkeep_done_is_not_due_again(store: Store) -> None:
    task = await ended_with_log(store, SMALL_LOG_BYTES)
    merged = replace(task.history[0], log_object="log", merged_at=START + HOUR)
    task = await store.swap(task, changed(with_closed(task, merged)))
    assert await store.due_upkeep(START + HOUR, 10) == []
    assert await store.due_upkeep(START + HOUR + CHUNK_GRACE, 10) == [task]
    swept = replace(merged, chunks_deleted=True)
    await store.swap(task, changed(with_closed(task, swept)))
    assert await store.due_upkeep(START + 10 * HOUR, 10) == []
