"""The embedded node under a new id: it takes over what it had under the old one, and the old one is lost."""

from __future__ import annotations

import pytest

from silkmill.domain.attempt import AttemptRef, Positions
from silkmill.domain.errors import StaleSession
from silkmill.domain.node import Node
from silkmill.domain.states import Phase, State
from silkmill.ports.link import CancelOrder, Kept
from silkmill.runtime import faults
from support.master_rig import Agent, Rig, repeated


@pytest.fixture
async def old(rig: Rig) -> Agent:
    agent = Agent(rig, "old", embedded=True)
    await agent.register()
    return agent


def renamed(rig: Rig, node: str = "new", boot_id: str = "boot-1") -> Agent:
    return Agent(rig, node, boot_id=boot_id, embedded=True)


async def running(rig: Rig, agent: Agent) -> AttemptRef:
    """A spider of a task that the dispatcher has placed."""
    _, (task_id,) = await rig.intake.submit_group([rig.line()], None, b"body")
    ref = await agent.started()
    assert ref.task_id == task_id
    return ref


async def lost_nodes(rig: Rig) -> dict[str, bool]:
    return {stored.key: stored.value.lost for stored in await rig.store.records(Node)}


async def test_what_it_holds_goes_on_under_the_new_id(rig: Rig, old: Agent) -> None:
    ref = await running(rig, old)
    await old.log(ref, b"abc")
    new = renamed(rig)
    registered = await new.register(new.held(ref))
    assert registered.kept == (Kept(ref, Positions(3, 0, 0)),)
    assert await lost_nodes(rig) == {"old": True, "new": False}
    task = await rig.task(ref.task_id)
    assert task.attempt is not None
    assert (task.row, task.attempt.node) == ((State.RUNNING, Phase.EXECUTING), "new")
    for _ in range(20):
        await rig.recovery.tick()
        rig.clock.pass_time(1.0)
    await new.finish(ref, log_size=3)
    task = await rig.task(ref.task_id)
    assert (task.state, task.history[0].node, task.last_number) == (State.FINISHED, "new", 1)


async def test_what_it_does_not_hold_is_given_back_at_once(rig: Rig, old: Agent) -> None:
    ref = await running(rig, old)
    await renamed(rig).register()
    task = await rig.task(ref.task_id)
    assert (task.row, task.lost_attempts) == ((State.PENDING, None), 1)
    assert task.reason == "lost: node old came back without it"


async def test_the_old_id_is_refused_from_then_on(rig: Rig, old: Agent) -> None:
    ref = await running(rig, old)
    commands, new = old.commands, renamed(rig)
    await new.register(new.held(ref))
    with pytest.raises(StopAsyncIteration):
        await anext(commands)
    with pytest.raises(StaleSession):
        await rig.link.heartbeat("old", old.session)
    with pytest.raises(StaleSession):
        await rig.link.append_log(old.session, ref, 0, b"x")
    assert list(rig.workers.slots.free_by_session(rig.clock.boottime())) == [new.session]


async def test_a_cancel_is_ordered_again(rig: Rig, old: Agent) -> None:
    ref = await running(rig, old)
    await rig.cancel.request(ref.task_id)
    new = renamed(rig)
    assert (await new.register(new.held(ref))).cancels == (CancelOrder(ref),)


@pytest.mark.parametrize(
    ("boot_id", "state"),
    [("boot-1", State.ABNORMAL), ("boot-2", State.CANCELLED)],
    ids=["same boot", "another"],
)
async def test_only_another_boot_proves_that_it_is_dead(
    rig: Rig, old: Agent, boot_id: str, state: State
) -> None:
    ref = await running(rig, old)
    await rig.cancel.request(ref.task_id)
    await renamed(rig, boot_id=boot_id).register()
    assert (await rig.task(ref.task_id)).state is state


async def test_an_id_that_comes_back_takes_everything_over_again(rig: Rig, old: Agent) -> None:
    ref = await running(rig, old)
    new = renamed(rig)
    await new.register(new.held(ref))
    await old.register(old.held(ref))
    assert await lost_nodes(rig) == {"old": False, "new": True}
    await old.finish(ref)
    assert (await rig.task(ref.task_id)).state is State.FINISHED


async def test_a_start_that_was_cut_anywhere_is_made_good_by_the_next(rig: Rig, old: Agent) -> None:
    agent = old
    for point in ("store.before_commit", "store.after_commit", "link.answer"):
        for hit in range(1, 6):
            kept, missing = await running(rig, agent), await running(rig, agent)
            agent = renamed(rig, f"{point}-{hit}")
            faults.arm(f"{point}=error@{hit}*2")
            registered = await repeated(lambda kept=kept, agent=agent: agent.register(agent.held(kept)))
            faults.disarm()
            assert [one.ref for one in registered.kept] == [kept]
            assert (await rig.task(missing.task_id)).lost_attempts == 1
            assert [node for node, lost in (await lost_nodes(rig)).items() if not lost] == [agent.node]
            await agent.finish(kept)
            await rig.cancel.request(missing.task_id)


async def test_other_nodes_keep_theirs(rig: Rig, agent: Agent) -> None:
    ref = await agent.running()
    new = renamed(rig)
    assert (await new.register(new.held(ref))).kept == ()
    assert await lost_nodes(rig) == {"node-1": False, "new": False}
    assert (await rig.task(ref.task_id)).row == (State.RUNNING, Phase.EXECUTING)
