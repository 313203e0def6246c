"""Placing: which task goes to which slot, when, and what happens when a claim does not work out."""

from __future__ import annotations

import asyncio
import weakref
from collections import Counter
from collections.abc import Sequence

import pytest

from silkmill.domain.attempt import AttemptRef
from silkmill.domain.errors import StaleAttempt, Unavailable
from silkmill.domain.events import Assign, GiveBack
from silkmill.domain.states import Phase, State
from silkmill.domain.task import Task, advance
from silkmill.master import backlog, lookahead
from silkmill.master.slots import Slots
from silkmill.master.submission import Submission
from silkmill.ports.link import Offer
from silkmill.runtime import faults
from support.master_rig import Agent, Rig
from support.task_values import NOW, a_task


async def offers(agent: Agent) -> list[str]:
    """Task ids of the offers that wait for the agent."""
    found = []
    while True:
        try:
            command = await asyncio.wait_for(anext(agent.commands), 0.01)
        except TimeoutError:
            agent.commands = agent.rig.link.commands(agent.session)
            return found
        assert isinstance(command, Offer)
        found.append(command.ref.task_id)


async def test_first_come_first_served_inside_a_priority(rig: Rig) -> None:
    late = [await rig.submit(priority=6) for _ in range(2)]
    tasks = [await rig.submit() for _ in range(5)]
    urgent = await rig.submit(priority=1)
    agent = Agent(rig, max_runners=8)
    await agent.register()
    await rig.dispatcher.tick()
    assert await offers(agent) == [task.id for task in (urgent, *tasks, *late)]


async def test_no_more_offers_than_free_slots(rig: Rig, agent: Agent) -> None:
    tasks = [await rig.submit() for _ in range(5)]
    for _ in range(3):
        await rig.dispatcher.tick()
    assert await offers(agent) == [task.id for task in tasks[:2]]
    assert [(await rig.task(task.id)).row[1] for task in tasks] == [Phase.OFFERED] * 2 + [None] * 3


@pytest.mark.parametrize("how", ["slot_free", "finish", "give_back", "cancel"])
async def test_a_slot_is_free_again_when_its_attempt_needs_it_no_more(
    rig: Rig, agent: Agent, how: str
) -> None:
    agent = Agent(rig, max_runners=1)
    await agent.register()
    await rig.submit()
    second = await rig.submit()
    if how == "cancel":
        await rig.cancel.request((await agent.offered()).task_id)
    else:
        ref = await agent.started()
        await {
            "slot_free": lambda: rig.link.slot_free(agent.session, ref),
            "finish": lambda: agent.finish(ref),
            "give_back": lambda: rig.link.give_back(agent.session, ref, "drain"),
        }[how]()
        if how == "give_back":
            assert (await agent.offered()).task_id == ref.task_id
            return
    assert (await agent.offered()).task_id == second.id


async def test_a_freed_slot_is_counted_once(rig: Rig) -> None:
    agent = Agent(rig, max_runners=1)
    await agent.register()
    for _ in range(3):
        await rig.submit()
    ref = await agent.started()
    await rig.link.slot_free(agent.session, ref)
    await rig.link.slot_free(agent.session, ref)
    await rig.dispatcher.tick()
    await agent.finish(ref)
    await rig.dispatcher.tick()
    assert len(await offers(agent)) == 1


async def test_a_refused_slot_is_believed_to_be_taken_for_a_while(rig: Rig, agent: Agent) -> None:
    tasks = [await rig.submit() for _ in range(3)]
    first = await agent.offered()
    await rig.link.refuse(agent.session, first, "no free slot")
    await rig.dispatcher.tick()
    assert await offers(agent) == [tasks[1].id]
    rig.clock.pass_time(1.0)
    await rig.dispatcher.tick()
    assert await offers(agent) == [tasks[0].id]
    assert (await rig.task(tasks[0].id)).last_number == 2


async def test_a_freed_slot_ends_the_doubt_about_refused_ones(rig: Rig, agent: Agent) -> None:
    for _ in range(4):
        await rig.submit()
    running = await agent.started()
    await rig.link.refuse(agent.session, await agent.offered(), "no free slot")
    await rig.link.slot_free(agent.session, running)
    await rig.dispatcher.tick()
    assert len(await offers(agent)) == 2


async def test_several_nodes_share_by_their_free_slots(rig: Rig) -> None:
    agents = [Agent(rig, f"node-{size}", size) for size in (1, 3)]
    for agent in agents:
        await agent.register()
    for _ in range(4):
        await rig.submit()
    await rig.dispatcher.tick()
    placed = Counter(task.attempt.node for task in await rig.store.open_attempts() if task.attempt)
    assert placed == {"node-1": 1, "node-3": 3}


async def test_without_an_agent_tasks_wait(rig: Rig) -> None:
    task = await rig.submit()
    await rig.dispatcher.tick()
    assert (await rig.task(task.id)).row == (State.PENDING, None)


async def test_an_offer_to_a_session_that_has_just_ended_is_not_lost(rig: Rig, agent: Agent) -> None:
    task = await rig.submit()
    await rig.dispatcher.tick()
    await agent.register()
    await rig.dispatcher.tick()
    assert await offers(agent) == [task.id]
    assert (await rig.task(task.id)).last_number == 2


async def test_a_cancelled_task_is_not_offered(rig: Rig, agent: Agent) -> None:
    first, second = await rig.submit(), await rig.submit()
    await rig.cancel.request(first.id)
    await rig.dispatcher.tick()
    assert await offers(agent) == [second.id]


async def test_two_masters_never_claim_the_same_task_twice(rig: Rig) -> None:
    other = rig.restarted()
    agents = [Agent(rig, "node-1", 5), Agent(other, "node-2", 5)]
    for agent in agents:
        await agent.register()
    tasks = [await rig.submit() for _ in range(8)]
    for _ in range(3):
        await asyncio.gather(rig.dispatcher.tick(), other.dispatcher.tick())
        rig.clock.pass_time(5)
    offered = [task_id for agent in agents for task_id in await offers(agent)]
    assert sorted(offered) == sorted(task.id for task in tasks)
    assert [(await rig.task(task.id)).last_number for task in tasks] == [1] * 8


async def test_a_claim_that_the_store_refuses_is_tried_again_later(rig: Rig, agent: Agent) -> None:
    task = await rig.submit()
    faults.arm("store.before_commit=error*2")
    doubtful = await agent.offered()  # the claim may have been committed
    assert (await rig.task(task.id)).row == (State.PENDING, None)
    with pytest.raises(StaleAttempt):
        await rig.link.accept(agent.session, doubtful)
    await rig.dispatcher.tick()
    assert await offers(agent) == []
    rig.clock.pass_time(0.5)
    await rig.dispatcher.tick()
    assert await offers(agent) == [task.id]


async def test_a_claim_in_doubt_that_was_made_is_accepted(rig: Rig, agent: Agent) -> None:
    task = await rig.submit()
    faults.arm("store.after_commit=error*2")
    order = await agent.accepted()
    assert (await rig.task(task.id)).row == (State.PENDING, Phase.PREPARING)
    rig.clock.pass_time(0.5)
    await rig.dispatcher.tick()
    assert await offers(agent) == []
    await rig.link.start(agent.session, order.ref, 1, rig.clock.now())


async def test_a_claim_whose_answer_is_lost_is_offered_all_the_same(rig: Rig, agent: Agent) -> None:
    task = await rig.submit()
    faults.arm("store.after_commit=error")
    await rig.dispatcher.tick()
    assert await offers(agent) == [task.id]


async def test_the_running_dispatcher_answers_a_submit_at_once(rig: Rig, agent: Agent) -> None:
    async with asyncio.TaskGroup() as group:
        dispatcher = group.create_task(rig.dispatcher.run())
        for _ in range(2):
            await asyncio.sleep(0.01)
            before = asyncio.get_running_loop().time()
            task = await rig.submit()
            command = await anext(agent.commands)
            assert command == Offer(AttemptRef(task.id, 1))
            assert asyncio.get_running_loop().time() - before < 0.1
        dispatcher.cancel()


async def test_a_backlog_longer_than_the_look_ahead_is_worked_off_in_order(
    rig: Rig, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookahead, "LOOK_AHEAD", 3)
    monkeypatch.setattr(backlog, "SHORTEST_LOOK", 3)
    lines = [Submission("default", "news") for _ in range(20)]
    _, ids = await rig.intake.submit_group(lines, None, b"body")
    urgent = await rig.submit(priority=1)
    taken = []
    for _ in range(21):
        ref = await agent.offered()
        taken.append(ref.task_id)
        await rig.cancel.request(ref.task_id)
    assert sorted(taken) == sorted([urgent.id, *ids])
    assert taken[0] == urgent.id
    # A wave of slots may be filled from one look: order holds but for that.
    assert all(abs(taken.index(task_id) - 1 - place) <= 2 for place, task_id in enumerate(ids))


async def test_what_another_process_submitted_is_found_by_looking(rig: Rig, agent: Agent) -> None:
    await rig.dispatcher.tick()
    task = await rig.restarted().submit()
    await rig.dispatcher.tick()
    assert await offers(agent) == []
    rig.clock.pass_time(5)
    await rig.dispatcher.tick()
    assert await offers(agent) == [task.id]


def test_a_hint_from_before_the_claim_frees_no_slot() -> None:
    slots = Slots()
    slots.open("session-1", 1, [])
    task = a_task()
    slots.take("session-1", AttemptRef(task.id, 1))
    slots.notice(task)
    assert slots.free_by_session(0.0) == {}
    claimed = advance(task, Assign("node-1", "session-1", NOW))
    slots.notice(claimed)
    assert slots.free_by_session(0.0) == {}
    slots.notice(advance(claimed, GiveBack("not taken", NOW)))
    assert slots.free_by_session(0.0) == {"session-1": 1}


async def test_a_task_whose_claim_is_on_its_way_is_not_claimed_again(rig: Rig, agent: Agent) -> None:
    await rig.submit()
    faults.arm("store.before_commit=pause:0.2")
    first = asyncio.create_task(rig.dispatcher.tick())
    await asyncio.sleep(0)
    rig.clock.pass_time(5)  # then the queue is read anew
    await asyncio.gather(first, rig.dispatcher.tick())
    assert len(await offers(agent)) == 1
    assert rig.workers.slots.free_by_session(rig.clock.boottime()) == {agent.session: 1}


def test_a_new_attempt_ends_what_the_one_before_it_held() -> None:
    """The commit that ended that one was never answered."""
    slots = Slots()
    slots.open("session-1", 2, [])
    slots.take("session-1", AttemptRef("task-1", 1))
    slots.claimed(AttemptRef("task-1", 1))
    slots.take("session-1", AttemptRef("task-1", 2))
    assert slots.free_by_session(0.0) == {"session-1": 1}
    slots.free(AttemptRef("task-1", 2))
    assert slots.free_by_session(0.0) == {"session-1": 2}


class TestBacklog:
    async def test_a_queue_whose_rest_is_in_the_store_is_not_forgotten(self, rig: Rig) -> None:
        """A task came while the queues were listed, behind those that were known."""
        known = backlog.Backlog()
        first, second = a_task(order=1), a_task(order=2)
        known.notice(first)
        [waiting] = [waiting for placed in known for waiting in placed.queues.values()]
        waiting.ahead.read([first], 1)
        waiting.ahead.pop()

        class Source:
            async def waiting_queues(self) -> list[str]:
                known.notice(second)
                return []

            async def pending_heads(self, queues: Sequence[str], limit: int) -> list[Task]:
                return [second]

        await known.list_queues(Source())
        assert [waiting] == [waiting for placed in known for waiting in placed.queues.values()]
        await known.read(Source(), [waiting])
        assert waiting.ahead.pop() == second


def test_the_end_of_a_session_leaves_nothing_behind() -> None:
    slots = Slots()
    slots.open("session-1", 2, [AttemptRef("task-1", 1)])
    slots.take("session-1", AttemptRef("task-2", 1))
    slots.close("session-1")
    slots.free(AttemptRef("task-1", 1))
    slots.free(AttemptRef("task-2", 1))
    assert (slots.held(), slots.free_by_session(0.0)) == ({}, {})
    assert not slots.is_claiming(AttemptRef("task-2", 1))


class TestLookAhead:
    def test_what_is_committed_during_a_read_is_not_missed(self) -> None:
        ahead, task = lookahead.LookAhead(is_stale=True), a_task()
        with ahead.being_read():
            ahead.notice(task)
            ahead.read([], 10)
        assert ahead.pop() == task

    def test_after_a_read_that_failed_nothing_is_gathered_for_it(self) -> None:
        ahead = lookahead.LookAhead(is_stale=True)
        with pytest.raises(Unavailable), ahead.being_read():
            raise Unavailable("store", "for a test")
        ended = a_task(state=State.FINISHED)
        ahead.notice(ended)
        kept = weakref.ref(ended)
        del ended
        assert kept() is None

    async def test_it_stays_bounded_and_knows_that_there_is_more(
        self, rig: Rig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lookahead, "LOOK_AHEAD", 2)
        ahead = lookahead.LookAhead(is_stale=False)
        tasks = [await rig.submit() for _ in range(9)]
        for task in reversed(tasks):
            ahead.notice(task)
        assert len(ahead) <= 4
        assert [ahead.pop() for _ in range(len(ahead))] == tasks[:4]
        assert ahead.wants_reading
