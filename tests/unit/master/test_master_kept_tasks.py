"""What a master remembers of open attempts saves reads, and is never the last word."""

from __future__ import annotations

import asyncio

import pytest

from silkmill.domain.errors import StaleAttempt
from silkmill.domain.states import State
from silkmill.domain.task import Task
from silkmill.master.logs import LogReader, LogUpkeep
from silkmill.protocol.logframe import STDOUT
from support.master_rig import Agent, LateRead, Rig

FRAME = b"2026-03-01T12:00:00.000000000Z stdout F a line of a log\n"


async def test_that_nothing_is_to_be_done_is_decided_on_the_stored_task(rig: Rig, agent: Agent) -> None:
    ref = await agent.running()
    await rig.restarted().link.finish(agent.session, ref, agent.facts())
    seen: list[State] = []

    def look(task: Task) -> None:
        seen.append(task.state)

    task = await rig.tasks.change(ref.task_id, look)
    assert (task.state, seen) == (State.FINISHED, [State.RUNNING, State.FINISHED])


async def test_a_repeated_start_of_an_attempt_that_another_master_closed_is_refused(
    rig: Rig, agent: Agent
) -> None:
    ref = await agent.running()
    await rig.restarted().link.finish(agent.session, ref, agent.facts())
    with pytest.raises(StaleAttempt):
        await rig.link.start(agent.session, ref, 4711, rig.clock.now())


async def test_a_log_that_another_master_closed_is_merged_whole(rig: Rig, agent: Agent) -> None:
    log = FRAME * 6000
    ref = await agent.running()
    for offset in range(0, len(log), 100_000):
        await agent.log(ref, log[offset : offset + 100_000], offset)
    await rig.restarted().link.finish(agent.session, ref, agent.facts(log_size=len(log)))
    upkeep = LogUpkeep(rig.store, rig.bucket, rig.tasks.change)
    await upkeep.upkeep(await rig.task(ref.task_id), rig.clock.now())
    task = await rig.task(ref.task_id)
    assert task.history[0].log_object is not None
    assert await rig.store.log_tail(ref) == []
    raw = [piece async for piece in LogReader(rig.store, rig.bucket, rig.expressions).raw(task, 1, STDOUT)]
    assert b"".join(raw) == b"a line of a log\n" * 6000


async def test_an_attempt_that_was_closed_while_it_was_read_is_not_kept(rig: Rig, agent: Agent) -> None:
    ref = await agent.running()
    again = rig.restarted()
    late = LateRead(rig.store)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(again.tasks.opened(ref))
        await late.made.wait()
        second = group.create_task(again.tasks.reread(ref.task_id))
        await again.link.finish(agent.session, ref, agent.facts())
        late.answered.set()
    finished = await rig.task(ref.task_id)
    assert first.result() == second.result() == await again.tasks.opened(ref) == finished
    assert finished.state is State.FINISHED


async def test_an_attempt_that_was_replaced_while_it_was_read_is_not_kept(rig: Rig, agent: Agent) -> None:
    ref = await agent.running()
    late = LateRead(rig.store)
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(rig.tasks.reread(ref.task_id))
        await late.made.wait()
        await rig.link.give_back(agent.session, ref, "for a test")
        present = await agent.started()
        late.answered.set()
    assert reading.result() == await rig.tasks.opened(present) == await rig.task(ref.task_id)
    assert present.number == 2


async def test_a_read_that_fails_leaves_nothing(rig: Rig, agent: Agent) -> None:
    ref = await agent.running()
    again = rig.restarted()
    late = LateRead(rig.store)
    reading = asyncio.ensure_future(again.tasks.opened(ref))
    await late.made.wait()
    reading.cancel()
    await asyncio.wait([reading])
    assert not again.tasks._reads
    assert await again.tasks.opened(ref) == await rig.task(ref.task_id)
    assert not again.tasks._reads
