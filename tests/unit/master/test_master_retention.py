"""Retention over a whole master: what goes is gone everywhere, what stays is whole, a crash costs nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from silkmill.adapters.bucket import memory_bucket
from silkmill.adapters.store.memory import MemoryStore
from silkmill.domain.attempt import AttemptRef
from silkmill.domain.errors import Unavailable
from silkmill.domain.retention import Policy
from silkmill.domain.series import Series
from silkmill.domain.task import Task
from silkmill.master import belongings, retention
from silkmill.master.belongings import AllSeries, Items, Logs, Steps
from silkmill.master.logs import LogReader, LogUpkeep
from silkmill.master.retention import PASS_SECONDS, Retention
from silkmill.master.version_retention import VersionRetention
from silkmill.ports.store import TaskFilter
from silkmill.protocol.logframe import frame_line
from support.master_rig import Agent, Rig

HOUR = timedelta(hours=1)
LOG = frame_line(b"stdout", b"x" * 1000, 1)
LARGE = b"".join(frame_line(b"stdout", b"y" * 60_000, 1) for _ in range(20))


class Others:
    """One more kind of thing that goes with a task."""

    def __init__(self) -> None:
        self.erased: list[str] = []

    async def erase(self, task: Task, steps: Steps) -> bool:
        self.erased.append(task.id)
        return steps.take()


def keeper(rig: Rig, policy: Policy, others: tuple[Others, ...] = (), **parts: Any) -> Retention:
    store, bucket = parts.get("store", rig.store), parts.get("bucket", rig.bucket)
    change = parts.get("change", rig.tasks.change)
    versions = VersionRetention(store, rig.versions, policy.versions_for, rig.clock)
    return Retention(store, change, Logs(store, bucket), Items(store), others, versions, policy, rig.clock)


async def run_task(rig: Rig, agent: Agent, log: bytes = LOG, items: int = 3, **submitted: Any) -> str:
    """A finished task, whose log is merged, and an hour more."""
    ref = await agent.running(**submitted)
    await end(rig, agent, ref, log, items)
    rig.clock.pass_time(3601)
    await keep_up(rig)
    return ref.task_id


async def end(rig: Rig, agent: Agent, ref: AttemptRef, log: bytes, items: int = 3) -> None:
    """Its spider writes so much and ends well; the log is merged."""
    offset = 0
    for begin in range(0, len(log), 1 << 20):
        offset = await agent.log(ref, log[begin : begin + (1 << 20)], offset)
    records = [b'{"n":%d}' % number for number in range(items)]
    size = await agent.items(ref, records)
    await rig.link.exit(agent.session, ref)
    await agent.finish(ref, log_size=offset, items_size=size, items_count=items)
    await keep_up(rig)


async def keep_up(rig: Rig) -> None:
    upkeep = LogUpkeep(rig.store, rig.bucket, rig.tasks.change)
    for task in await rig.store.due_upkeep(rig.clock.now(), 100):
        await upkeep.upkeep(task, rig.clock.now())


async def left(rig: Rig) -> list[str]:
    return [task.id for task in await rig.store.tasks(TaskFilter(), limit=100, newest_first=False)]


async def assert_whole(rig: Rig, task_id: str, log: bytes = LOG, items: int = 3) -> None:
    task = await rig.task(task_id)
    reader = LogReader(rig.store, rig.bucket, rig.expressions)
    assert b"".join([page.data async for page in reader.pages(task, 1)]) == log
    assert len(await rig.store.items(AttemptRef(task_id, 1))) == items


async def assert_erased(rig: Rig, task_id: str) -> None:
    """Nothing is stored under its name."""
    ref = AttemptRef(task_id, 1)
    assert await rig.bucket.names(f"logs/{task_id}/") == []
    assert (await rig.store.items(ref), await rig.store.log_tail(ref)) == ([], [])


async def test_a_task_goes_with_all_that_belongs_to_it(rig: Rig, agent: Agent) -> None:
    old = [await run_task(rig, agent, LARGE), await run_task(rig, agent, tags=("a",))]
    running = (await agent.running()).task_id
    rig.clock.pass_time(7200)
    young = await run_task(rig, agent)
    assert await rig.bucket.names(f"logs/{old[0]}/")
    others = Others()
    await keeper(rig, Policy(tasks_for=3 * HOUR), (others,)).tick()
    assert await left(rig) == [running, young]
    for task_id in old:
        await assert_erased(rig, task_id)
    assert others.erased == old
    await assert_whole(rig, young)


async def test_the_statistics_of_all_its_attempts_go(rig: Rig, agent: Agent) -> None:
    task = await rig.task(await run_task(rig, agent))
    task = replace(task, last_number=3)
    for number in (1, 3):
        await rig.store.insert_record(f"{task.id}.{number}", Series())
    assert not await AllSeries(rig.store).erase(task, Steps(1))
    assert await AllSeries(rig.store).erase(task, Steps(1))
    assert await rig.store.records(Series) == []


async def test_only_so_many_are_kept(rig: Rig, agent: Agent) -> None:
    tasks = [await run_task(rig, agent) for _ in range(5)]
    await keeper(rig, Policy(tasks=2)).tick()
    assert await left(rig) == tasks[-2:]


async def test_logs_go_by_age_and_the_task_says_so(rig: Rig, agent: Agent) -> None:
    large, small = await run_task(rig, agent, LARGE), await run_task(rig, agent)
    young = await run_task(rig, agent)
    before = await rig.task(large)
    await keeper(rig, Policy(logs_for=HOUR + HOUR / 2)).tick()
    assert await left(rig) == [large, small, young]
    for task_id in (large, small):
        task = await rig.task(task_id)
        assert (task.expiry.logs_at, task.expiry.erased) == (rig.clock.now(), True)
        assert (task.state, task.history, task.finished_at) == (before.state, task.history, task.finished_at)
        assert await rig.bucket.names(f"logs/{task_id}/") == []
        assert await rig.store.log_tail(AttemptRef(task_id, 1)) == []
        assert len(await rig.store.items(AttemptRef(task_id, 1))) == 3
    await assert_whole(rig, young)
    assert await rig.store.due_upkeep(rig.clock.now() + 1000 * HOUR, 10) == []


async def test_items_go_by_age(rig: Rig, agent: Agent) -> None:
    old, young = await run_task(rig, agent, items=7), await run_task(rig, agent)
    await keeper(rig, Policy(items_for=HOUR + HOUR / 2)).tick()
    assert (await rig.task(old)).expiry.items_at == rig.clock.now()
    assert await rig.store.items(AttemptRef(old, 1)) == []
    assert (await rig.store.log_tail(AttemptRef(old, 1))) != []
    await assert_whole(rig, young)


async def test_logs_go_by_size_the_oldest_first_once_the_size_is_known(rig: Rig, agent: Agent) -> None:
    tasks = [await run_task(rig, agent, LOG) for _ in range(5)]
    keep = keeper(rig, Policy(log_bytes=2 * len(LOG) + 10))
    await keep.tick()
    assert [bool((await rig.task(task_id)).expiry.logs_at) for task_id in tasks] == [False] * 5
    rig.clock.pass_time(PASS_SECONDS)
    await keep.tick()
    assert [bool((await rig.task(task_id)).expiry.logs_at) for task_id in tasks] == [True] * 3 + [False] * 2
    rig.clock.pass_time(PASS_SECONDS)
    await keep.tick()
    for task_id in tasks[-2:]:
        await assert_whole(rig, task_id)


async def test_what_may_not_go_yet_counts_all_the_same(rig: Rig, agent: Agent) -> None:
    """The newest stay: those before them that are left in peace are not made up for by newer ones."""
    _, group = await rig.intake.submit_group([rig.line() for _ in range(5)], None, b"")
    for _ in group:
        await end(rig, agent, await agent.started(), LOG)
    rig.clock.pass_time(60)
    single = [await run_task(rig, agent) for _ in range(3)]
    keep = keeper(rig, Policy(tasks=3, log_bytes=3 * len(LOG)))
    for _ in range(2):
        await keep.tick()
        rig.clock.pass_time(PASS_SECONDS)
    assert await left(rig) == [*sorted(group), *single]
    for task_id in single:
        await assert_whole(rig, task_id)


async def test_what_takes_several_ticks_counts_once_and_as_it_was(
    rig: Rig, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task whose record says already that its log is gone has freed it: no newer one goes for it."""
    tasks = [await run_task(rig, agent, LARGE) for _ in range(5)]
    keep = keeper(rig, Policy(tasks=4, log_bytes=3 * len(LARGE)))
    keep._log_bytes = 5 * len(LARGE)  # as the pass before has counted
    monkeypatch.setattr(retention, "STEPS_AT_ONCE", 1)
    ticks = 0
    while keep._pass is not None or not ticks:
        await keep.tick()
        ticks += 1
    assert ticks >= 3
    assert await left(rig) == tasks[1:]
    assert [bool((await rig.task(task_id)).expiry.logs_at) for task_id in tasks[1:]] == [True, *[False] * 3]


async def test_nothing_goes_by_default(rig: Rig, agent: Agent) -> None:
    task_id = await run_task(rig, agent)
    rig.clock.pass_time(10 * 365 * 86400)
    await keeper(rig, Policy()).tick()
    await assert_whole(rig, task_id)


async def test_a_tick_does_some_work_and_the_next_one_goes_on(
    rig: Rig, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "TASKS_AT_ONCE", 2)
    monkeypatch.setattr(retention, "STEPS_AT_ONCE", 3)
    monkeypatch.setattr(belongings, "ITEMS_PER_STEP", 10)
    tasks = [await run_task(rig, agent, items=100) for _ in range(3)]
    keep, ticks = keeper(rig, Policy(tasks_for=HOUR / 2)), 0
    while await left(rig):
        before = sum([len(await rig.store.items(AttemptRef(task_id, 1))) for task_id in tasks])
        await keep.tick()
        after = sum([len(await rig.store.items(AttemptRef(task_id, 1))) for task_id in tasks])
        assert before - after <= 30
        ticks += 1
        assert ticks < 30
    assert ticks >= 10


async def test_between_passes_it_rests(rig: Rig, agent: Agent) -> None:
    keep = keeper(rig, Policy(tasks_for=HOUR / 2))
    await keep.tick()
    task_id = await run_task(rig, agent)
    rig.clock.pass_time(-3601 + PASS_SECONDS - 1)
    await keep.tick()
    assert await left(rig) == [task_id]
    rig.clock.pass_time(3601)
    await keep.tick()
    assert await left(rig) == []


class Dies:
    """Passes calls on, and dies at one of those that write, before or after it took effect."""

    def __init__(self, target: Any, count: list[int], at: int, after: bool) -> None:
        self._target, self._count, self._at, self._after = target, count, at, after

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._target, name)
        if name not in ("swap", "delete", "delete_items", "delete_log_tail", "delete_task"):
            return method

        async def call(*arguments: Any, **named: Any) -> Any:
            self._count[0] += 1
            if self._count[0] == self._at and not self._after:
                raise Unavailable("store", "died")
            answer = await method(*arguments, **named)
            if self._count[0] == self._at:
                raise Unavailable("store", "died")
            return answer

        return call


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("log", [LOG, LARGE], ids=["small", "large"])
async def test_a_crash_between_any_two_steps_leaves_a_record_that_says_where_to_go_on(
    after: bool, log: bytes
) -> None:
    died_at = 0
    while True:
        rig = Rig(MemoryStore(), memory_bucket())
        await rig.deploy_spider()
        agent = Agent(rig)
        await agent.register()
        task_id = await run_task(rig, agent, log)
        died_at += 1
        count = [0]
        store = Dies(rig.store, count, died_at, after)
        dying = Rig(store, Dies(rig.bucket, count, died_at, after), rig.clock)  # type: ignore[arg-type]
        dying.tasks._answered = lambda write: write()  # type: ignore[method-assign,assignment]
        keep = keeper(dying, Policy(tasks_for=HOUR / 2))
        try:
            await keep.tick()
        except Unavailable:
            pass
        else:
            break
        stored = await rig.store.task(task_id)
        if stored is None:
            await assert_erased(rig, task_id)
        elif stored.expiry.logs_at is None:
            await assert_whole(rig, task_id, log)
        await keeper(rig.restarted(), Policy(tasks_for=HOUR / 2)).tick()
        assert await left(rig) == []
        await assert_erased(rig, task_id)
    assert died_at > 4


async def test_two_masters_at_once(rig: Rig, agent: Agent) -> None:
    tasks = [await run_task(rig, agent, LARGE) for _ in range(3)]
    first, second = (keeper(one, Policy(tasks_for=HOUR / 2)) for one in (rig, rig.restarted()))
    original = second._store.delete_task

    async def first_is_faster(task: Task) -> None:
        await first.tick()
        await original(task)

    second._store = Dies(rig.store, [0], -1, False)  # type: ignore[assignment]
    second._store.delete_task = first_is_faster  # type: ignore[method-assign]
    await second.tick()
    assert await left(rig) == []
    for task_id in tasks:
        await assert_erased(rig, task_id)
