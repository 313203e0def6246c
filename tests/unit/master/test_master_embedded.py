"""The embedded agent is not asked: a claim for it is accepted, and a new task may be stored as claimed."""

from __future__ import annotations

import pytest

from silkmill.domain.attempt import AttemptRef
from silkmill.domain.errors import StaleAttempt, Unavailable
from silkmill.domain.states import Phase, State
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
