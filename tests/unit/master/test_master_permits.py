"""Limits of spiders and projects: who waits for a permit, who does not, and that no limit is exceeded."""

from __future__ import annotations

import asyncio

import pytest

from silkmill.domain.attempt import AttemptRef
from silkmill.domain.errors import BadInput, Unavailable
from silkmill.domain.events import Assign, GiveBack
from silkmill.domain.permits import Limit, free_permit
from silkmill.domain.project import Project
from silkmill.domain.states import State
from silkmill.domain.task import advance
from silkmill.master.feed import TaskChanged
from silkmill.runtime import faults
from support.master_rig import Agent, Rig
from support.task_values import NOW, a_task

LIMITED = 'name = "slow"\ncommand = "/bin/true"\nmax_concurrency = 2\n'


async def running(rig: Rig, spider: str) -> int:
    return sum(task.spider == spider for task in await rig.store.open_attempts())


async def submit(rig: Rig, spider: str, count: int, **given: object) -> list[str]:
    lines = [rig.line(**given, spider=spider) for _ in range(count)]
    _, ids = await rig.intake.submit_group(lines, None, b"body")
    rig.clock.pass_time(1)  # what is submitted later stands behind it
    return ids


@pytest.fixture
async def agent(rig: Rig) -> Agent:
    agent = Agent(rig, max_runners=8)
    await agent.register()
    await rig.deploy_spider(LIMITED)
    return agent


async def test_no_more_tasks_of_a_spider_than_its_limit(rig: Rig, agent: Agent) -> None:
    await submit(rig, "slow", 5)
    await submit(rig, "news", 3)
    await rig.dispatcher.tick()
    assert (await running(rig, "slow"), await running(rig, "news")) == (2, 3)
    assert {task.attempt.spider_permit for task in await rig.store.open_attempts() if task.attempt} == {
        None,
        "default/slow#0",
        "default/slow#1",
    }


async def test_an_attempt_that_closes_gives_its_permit_to_the_next_task(rig: Rig, agent: Agent) -> None:
    ids = await submit(rig, "slow", 5)
    ended = []
    for _ in range(5):
        ref = await agent.started()
        assert await running(rig, "slow") <= 2
        await agent.finish(ref)
        ended.append(ref.task_id)
    assert ended == ids
    assert [(await rig.task(task_id)).state for task_id in ids] == [State.FINISHED] * 5


async def test_a_freed_permit_wakes_the_dispatcher(rig: Rig, agent: Agent) -> None:
    *_, last = await submit(rig, "slow", 3)
    refs = [await agent.started() for _ in range(2)]
    for ref in refs:
        await rig.link.slot_free(agent.session, ref)  # slots are no hint any more
    await rig.dispatcher.tick()
    rig.dispatcher.wake.clear()
    await agent.finish(refs[0])
    assert rig.dispatcher.wake.is_set()
    assert (await agent.offered()).task_id == last


def test_a_hint_from_before_the_claim_gives_no_permit_back(rig: Rig) -> None:
    task, owner = a_task(), ("default", "news")
    rig.permits.take(AttemptRef(task.id, 1), owner, ("default/news#0", None))
    rig.permits.notice(TaskChanged(task))
    assert rig.permits.taken("default/news") == [task.id]
    claimed = advance(task, Assign("node-1", "session-1", NOW, "default/news#0"))
    rig.permits.notice(TaskChanged(claimed))
    rig.permits.notice(TaskChanged(advance(claimed, GiveBack("not taken", NOW))))
    assert rig.permits.taken("default/news") == []


async def test_the_limit_of_a_project_holds_over_its_spiders(rig: Rig, agent: Agent) -> None:
    await rig.projects.set("default", max_concurrency=3)
    await submit(rig, "slow", 5)
    await submit(rig, "news", 5)
    await rig.dispatcher.tick()
    assert (await running(rig, "slow"), await running(rig, "news")) == (2, 1)
    await rig.projects.set("default", max_concurrency=0)
    await rig.dispatcher.tick()
    assert (await running(rig, "slow"), await running(rig, "news")) == (2, 5)


async def test_a_limit_that_is_set_while_tasks_run_counts_them(rig: Rig, agent: Agent) -> None:
    ids = await submit(rig, "news", 4)
    refs = [await agent.started() for _ in ids]
    await rig.projects.set("default", max_concurrency=3)
    await submit(rig, "news", 2)
    await rig.dispatcher.tick()
    assert await running(rig, "news") == 4
    for ref in refs[:2]:
        await agent.finish(ref)
    await rig.dispatcher.tick()
    assert await running(rig, "news") == 3


async def test_a_single_submit_waits_for_a_permit_too(rig: Rig) -> None:
    await rig.deploy_spider(LIMITED)
    await Agent(rig, max_runners=8, embedded=True).register()
    await rig.dispatcher.tick()
    tasks = [await rig.submit(spider="slow") for _ in range(4)]
    await rig.dispatcher.tick()
    waiting = [task.id for task in tasks if (await rig.task(task.id)).waits]
    assert waiting == [task.id for task in tasks[2:]]


async def test_an_abnormal_attempt_holds_its_permit(rig: Rig, agent: Agent) -> None:
    await submit(rig, "slow", 3)
    refs = [await agent.started() for _ in range(2)]
    await agent.register()  # it comes back with nothing: what it had is lost
    assert (await rig.task(refs[0].task_id)).attempt is None
    await rig.dispatcher.tick()
    assert await running(rig, "slow") == 2


async def test_two_masters_together_keep_the_limit(rig: Rig, agent: Agent) -> None:
    other = rig.restarted()
    second = Agent(other, "node-2", 8)
    await second.register()
    ids = await submit(rig, "slow", 12)
    for _ in range(200):
        await asyncio.gather(rig.dispatcher.tick(), other.dispatcher.tick())
        for task in await rig.store.open_attempts():
            mine = agent if task.attempt and task.attempt.node == "node-1" else second
            assert task.ref
            await mine.rig.link.accept(mine.session, task.ref)
            await mine.rig.link.start(mine.session, task.ref, 1, rig.clock.now())
            assert await running(rig, "slow") <= 2
            await mine.finish(task.ref)
        rig.clock.pass_time(1)
        if all([(await rig.task(task_id)).state is State.FINISHED for task_id in ids]):
            return
    raise AssertionError("they do not end")


async def test_a_claim_in_doubt_keeps_its_permit_until_it_is_known(rig: Rig, agent: Agent) -> None:
    await submit(rig, "slow", 3)
    faults.arm("store.after_commit=error*2")
    await rig.dispatcher.tick()
    rig.clock.pass_time(1)
    for _ in range(3):
        await rig.dispatcher.tick()
        rig.clock.pass_time(5)
    assert await running(rig, "slow") == 2


@pytest.mark.parametrize("most", [-1, 100_001])
async def test_a_limit_that_is_none_is_refused(rig: Rig, most: int) -> None:
    with pytest.raises(BadInput, match="max_concurrency"):
        await rig.projects.set("default", max_concurrency=most)


async def test_a_task_waits_for_its_label_and_holds_up_nobody(rig: Rig) -> None:
    text = 'name = "gpu"\ncommand = "/bin/true"\n[placement]\nlabels = { gpu = "1" }\n'
    await rig.deploy_spider(text)
    plain = Agent(rig, "plain", 4)
    await plain.register()
    await submit(rig, "gpu", 3, priority=1)
    await submit(rig, "news", 2)
    await rig.dispatcher.tick()
    assert (await running(rig, "gpu"), await running(rig, "news")) == (0, 2)
    fitting = Agent(rig, "fitting", 2, labels={"gpu": "1", "eu": "1"})
    await fitting.register()
    await rig.dispatcher.tick()
    nodes = [task.attempt.node for task in await rig.store.open_attempts() if task.attempt]
    assert sorted(nodes) == ["fitting", "fitting", "plain", "plain"]


async def test_a_task_goes_to_the_node_that_it_names(rig: Rig) -> None:
    text = 'name = "near"\ncommand = "/bin/true"\n[placement]\nmode = "nodes"\nnodes = ["b", "c"]\n'
    await rig.deploy_spider(text)
    agents = [Agent(rig, name, 8) for name in ("a", "b", "c")]
    for agent in agents:
        await agent.register()
    await submit(rig, "near", 16)
    await rig.dispatcher.tick()
    nodes = [task.attempt.node for task in await rig.store.open_attempts() if task.attempt]
    assert sorted(nodes) == ["b"] * 8 + ["c"] * 8


async def test_a_limit_whose_answer_was_lost_holds_all_the_same(rig: Rig, agent: Agent) -> None:
    await submit(rig, "news", 1)
    await rig.dispatcher.tick()  # now its limits are known
    faults.arm("store.after_commit=error")
    with pytest.raises(Unavailable):
        await rig.projects.set("default", max_concurrency=2)
    await submit(rig, "news", 3)
    await rig.dispatcher.tick()
    assert await running(rig, "news") == 2


def test_an_attempt_from_before_the_limit_takes_its_place() -> None:
    assert free_permit(Limit("default", 1), [None]) is None
    assert free_permit(Limit("default", 2), [None]) == "default#0"
    assert free_permit(Limit("default", 2), ["default#0"]) == "default#1"


async def test_a_limit_that_changes_while_it_is_read(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    read = rig.projects.get

    async def get(name: str) -> Project:
        project = await read(name)
        if not project.max_concurrency:
            await rig.projects.set(name, max_concurrency=1)
        return project

    monkeypatch.setattr(rig.projects, "get", get)
    await rig.permits.learn(("default", "news"))
    assert rig.permits.free(("default", "news")) == (None, "default#0")


async def test_a_claim_on_its_way_keeps_its_permit_while_the_attempts_are_read(rig: Rig) -> None:
    ref = AttemptRef("task-1", 1)
    rig.permits.take(ref, ("default", "news"), ("default/news#0", None))
    rig.permits.begin_reading()
    rig.permits.end_reading([], lambda claiming: claiming == ref)
    assert rig.permits.taken("default/news") == ["task-1"]
    rig.permits.begin_reading()
    rig.permits.end_reading([], lambda claiming: False)
    assert rig.permits.taken("default/news") == []


async def test_what_changes_while_the_attempts_are_read_is_newer(rig: Rig) -> None:
    permits, task = rig.permits, a_task()
    claimed = advance(task, Assign("node-1", "session-1", NOW, "default/news#0"))
    permits.notice(TaskChanged(claimed))
    permits.begin_reading()
    permits.notice(TaskChanged(advance(claimed, GiveBack("drain", NOW))))
    permits.end_reading([claimed], lambda _: False)
    assert permits.taken("default/news") == []
    permits.begin_reading()
    permits.notice(TaskChanged(claimed))
    permits.end_reading([], lambda _: False)
    assert permits.taken("default/news") == [task.id]


async def test_the_end_of_a_task_wakes_though_a_deploy_has_made_its_limits_unknown(
    rig: Rig, agent: Agent
) -> None:
    await rig.projects.set("default", max_concurrency=1)
    await submit(rig, "news", 1)
    ref = await agent.started()
    await rig.link.slot_free(agent.session, ref)
    await rig.deploy_spider(LIMITED)
    rig.dispatcher.wake.clear()
    await agent.finish(ref)
    assert rig.dispatcher.wake.is_set()
