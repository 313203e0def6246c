"""The embedded agent is not asked: a claim for it is accepted, and a new task may be stored as claimed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from tests.helpers import wait_until_async

from silkmill.adapters.store.memory import MemoryStore
from silkmill.domain.attempt import AttemptRef
from silkmill.domain.errors import StaleAttempt, Unavailable
from silkmill.domain.states import Phase, State
from silkmill.domain.task import Task
from silkmill.ports.link import Offer
from silkmill.runtime import faults
from support.master_rig import Agent, Rig, repeated

WAITING = (State.PENDING, None)
PREPARING = (State.PENDING, Phase.PREPARING)


@pytest.fixture
async def agent(rig: Rig) -> Agent:
    agent = Agent(rig, max_runners=1, embedded=True)
    await agent.register()
    await rig.dispatcher.tick()
    return agent


async def test_a_claim_is_accepted_in_one_write(rig: Rig, agent: Agent) -> None:
    _, (first, second) = await rig.intake.submit_group([rig.line(), rig.line()], None, b"body")
    ref = await agent.offered()
    assert ref == AttemptRef(first, 1)
    claimed = await rig.task(first)
    assert (claimed.row, claimed.revision) == (PREPARING, 1)
    assert (await rig.link.accept(agent.session, ref)).ref == ref
    assert (await rig.task(first)).revision == 1
    assert (await rig.task(second)).row == WAITING


async def test_a_task_that_need_not_wait_is_stored_as_claimed(rig: Rig, agent: Agent) -> None:
    task = await rig.submit()
    assert task == await rig.task(task.id)
    assert (task.row, task.revision) == (PREPARING, 0)
    ref = AttemptRef(task.id, 1)
    assert await anext(agent.commands) == Offer(ref)
    order = await rig.link.accept(agent.session, ref)
    await rig.link.start(agent.session, order.ref, 1, rig.clock.now())
    await agent.log(ref, b"x")
    await agent.finish(ref, log_size=1)
    assert (await rig.task(task.id)).state is State.FINISHED


async def test_the_agent_has_its_order_before_the_submitter_has_the_answer(rig: Rig, agent: Agent) -> None:
    """To make the answer takes as long as to start the spider, and the start is what is waited for."""
    ordered: list[AttemptRef] = []

    async def take() -> None:
        offer = await anext(agent.commands)
        owner = asyncio.create_task(rig.link.accept(agent.session, offer.ref))
        ordered.append((await owner).ref)

    taking = asyncio.create_task(take())
    await asyncio.sleep(0)
    task = await rig.submit()
    assert ordered == [AttemptRef(task.id, 1)]
    await taking


async def test_a_task_waits_for_a_slot_and_behind_others(rig: Rig, agent: Agent) -> None:
    running = await rig.submit()
    assert (await rig.submit()).row == WAITING
    await rig.link.accept(agent.session, (await anext(agent.commands)).ref)
    await agent.finish(AttemptRef(running.id, 1), exit_code=1, started=True)
    assert (await rig.submit()).row == WAITING  # there is a slot, but others wait for it


async def test_nothing_is_placed_before_the_queue_is_known(rig: Rig) -> None:
    await Agent(rig, embedded=True).register()
    assert (await rig.submit()).row == WAITING


async def test_nothing_is_placed_any_more_in_a_drain(rig: Rig, agent: Agent) -> None:
    rig.dispatcher.drain()
    task = await rig.submit()
    await rig.dispatcher.tick()
    assert (await rig.task(task.id)).row == WAITING


async def test_what_is_under_way_when_a_drain_begins_is_given_back(rig: Rig, agent: Agent) -> None:
    """Nobody may be left to take it."""
    faults.arm("store.after_commit=pause:0.05*2")
    submit = asyncio.create_task(rig.submit())
    await asyncio.sleep(0)
    rig.dispatcher.drain()
    task = await rig.task((await submit).id)
    assert (task.row, task.counted_attempts, task.lost_attempts) == (WAITING, 0, 0)
    assert [closed.outcome for closed in task.history] == ["given_back"]


async def test_so_is_a_claim_that_its_dispatcher_does_not_outlive(rig: Rig, agent: Agent) -> None:
    async def claiming() -> bool:
        return rig.workers.slots.is_claiming(AttemptRef(task_id, 1))

    _, (task_id,) = await rig.intake.submit_group([rig.line()], None, b"body")
    faults.arm("store.after_commit=pause:0.2")
    dispatching = asyncio.create_task(rig.dispatcher.run())
    await wait_until_async(claiming)
    rig.dispatcher.drain()
    dispatching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await dispatching
    task = await rig.task(task_id)
    assert (task.row, [closed.outcome for closed in task.history]) == (WAITING, ["given_back"])


async def test_a_submit_that_the_store_refuses_leaves_nothing(rig: Rig, agent: Agent) -> None:
    faults.arm("store.before_commit=error*2")
    with pytest.raises(Unavailable):
        await rig.submit()
    doubtful = (await anext(agent.commands)).ref
    with pytest.raises(StaleAttempt):
        await rig.link.accept(agent.session, doubtful)
    assert await rig.store.task(doubtful.task_id) is None
    rig.clock.pass_time(0.5)
    await rig.dispatcher.tick()
    assert (await rig.submit()).row == PREPARING  # its slot is free again


async def test_a_submit_in_doubt_that_was_stored_runs(rig: Rig, agent: Agent) -> None:
    faults.arm("store.after_commit=error*2")
    with pytest.raises(Unavailable):
        await rig.submit()
    doubtful = (await anext(agent.commands)).ref
    order = await repeated(lambda: rig.link.accept(agent.session, doubtful))
    assert (await rig.task(order.ref.task_id)).row == PREPARING
    assert rig.workers.slots.held() == {doubtful: agent.session}


async def test_an_attempt_that_was_let_go_is_not_accepted_any_more(rig: Rig, agent: Agent) -> None:
    """The next one of the same task and session is another one."""
    await rig.submit()
    first = (await anext(agent.commands)).ref
    await rig.link.give_back(agent.session, first, "for a test")
    second = await agent.offered()
    assert (second.task_id, second.number) == (first.task_id, 2)
    with pytest.raises(StaleAttempt):
        await rig.link.accept(agent.session, first)


async def test_a_cancelled_task_that_is_refused_waits_for_nothing(rig: Rig, agent: Agent) -> None:
    task = await rig.submit()
    ref = (await anext(agent.commands)).ref
    await rig.cancel.request(task.id)
    await rig.link.refuse(agent.session, ref, "the worker is draining")
    assert (await rig.task(task.id)).state is State.CANCELLED


class SlowStore(MemoryStore):
    """Answers what the queue was when it was asked, but only when it may; or not at all."""

    def __init__(self) -> None:
        super().__init__()
        self.may_answer = asyncio.Event()
        self.is_away = False

    async def pending_heads(self, queues: Sequence[str], limit: int) -> list[Task]:
        if self.is_away:
            raise Unavailable("store", "for a test")
        heads = await super().pending_heads(queues, limit)
        await self.may_answer.wait()
        return heads


async def backlog_of_one(store: MemoryStore) -> tuple[Rig, Task]:
    """A master that starts with a waiting task, and one free slot."""
    before = Rig(store)
    await before.deploy_spider()
    early = await before.submit()
    before.clock.pass_time(1)
    rig = before.restarted()
    await Agent(rig, max_runners=1, embedded=True).register()
    return rig, early


async def test_nobody_overtakes_a_queue_that_is_being_read() -> None:
    store = SlowStore()
    rig, early = await backlog_of_one(store)
    async with asyncio.TaskGroup() as group:
        group.create_task(rig.dispatcher.tick())
        await asyncio.sleep(0)
        late = await rig.submit()
        store.may_answer.set()
    assert [(await rig.task(task.id)).row for task in (early, late)] == [PREPARING, WAITING]


async def test_nor_one_that_could_not_be_read() -> None:
    store = SlowStore()
    store.may_answer.set()
    rig, early = await backlog_of_one(store)
    store.is_away = True
    with pytest.raises(ExceptionGroup):
        await rig.dispatcher.tick()
    store.is_away = False
    late = await rig.submit()
    await rig.dispatcher.tick()
    assert [(await rig.task(task.id)).row for task in (early, late)] == [PREPARING, WAITING]
