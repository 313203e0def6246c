"""The engine of a `run`: it places what was given to it, and closes its door when all of that has ended."""

from __future__ import annotations

import asyncio

import pytest

from helpers import pending
from silkmill.adapters.store.memory import MemoryStore
from silkmill.domain.errors import EngineLeaves
from silkmill.domain.states import State
from silkmill.master import admission, backlog, lookahead
from silkmill.master.admission import OnlyGiven
from silkmill.master.submission import Submission
from silkmill.runtime import faults
from support.master_rig import Agent, Rig


class Run:
    """A master that takes only what is given to it, over the records of another one."""

    def __init__(self, before: Rig) -> None:
        self.given = OnlyGiven(before.store)
        self.rig = Rig(before.store, before.bucket, before.clock, self.given)
        self.rig.feed.watch(self.given.notice)
        self.agent = Agent(self.rig)


@pytest.fixture
async def before(monkeypatch: pytest.MonkeyPatch) -> Rig:
    """A master that has left a backlog longer than the look-ahead, all of it first in the queue."""
    monkeypatch.setattr(lookahead, "LOOK_AHEAD", 3)
    monkeypatch.setattr(backlog, "SHORTEST_LOOK", 3)
    rig = Rig(MemoryStore())
    await rig.deploy_spider()
    for _ in range(5):
        await rig.submit(priority=1)
    return rig


@pytest.fixture
async def run(before: Rig) -> Run:
    run = Run(before)
    await run.agent.register()
    return run


async def states(rig: Rig) -> list[State]:
    return [task.state for task in await pending(rig.store, 100)]


async def test_a_backlog_is_left_alone(before: Rig, run: Run) -> None:
    for _ in range(2):
        await run.rig.dispatcher.tick()
    own = await run.rig.submit()
    assert await run.agent.offered() == (await run.rig.task(own.id)).ref
    await run.rig.dispatcher.tick()
    assert await states(before) == [State.PENDING] * 5


async def test_the_lines_of_one_submission_and_a_retry_are_given_too(before: Rig, run: Run) -> None:
    lines = [Submission("default", "news")] * 2
    _, ids = await run.rig.intake.submit_group(lines, "key", b"body")
    refs = [await run.agent.started() for _ in ids]
    assert sorted(ref.task_id for ref in refs) == sorted(ids)
    await run.agent.finish(refs[0], exit_code=None, preparation_error="no room", started=False)
    waiting = await run.rig.task(refs[0].task_id)
    assert waiting.state is State.CREATED
    run.rig.clock.pass_time(600)
    await run.rig.recovery.tick()
    assert (await run.agent.offered()).task_id == waiting.id


async def test_the_door_closes_when_all_that_was_given_has_ended(before: Rig, run: Run) -> None:
    own = await run.rig.submit()
    assert not await run.given.close_if_done()
    assert run.given.open == [own.id]
    await run.agent.finish(await run.agent.started())
    assert await run.given.close_if_done()
    with pytest.raises(EngineLeaves):
        await run.rig.submit()
    with pytest.raises(EngineLeaves):
        await run.rig.intake.submit_group([Submission("default", "news")], "key", b"body")
    assert len(await states(before)) == 5


async def test_the_last_end_closes_the_door_at_once(
    before: Rig, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "LOOK_SECONDS", 3600.0)
    await run.rig.submit()
    closed = asyncio.create_task(run.given.close_when_done())
    await run.agent.finish(await run.agent.started())
    await asyncio.wait_for(closed, 10)
    with pytest.raises(EngineLeaves):
        await run.rig.submit()


async def test_an_end_that_the_feed_did_not_tell_is_found_by_looking(
    before: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OnlyGiven, "notice", lambda self, hint: None)
    monkeypatch.setattr(admission, "LOOK_SECONDS", 0.01)
    run = Run(before)
    await run.agent.register()
    await run.rig.submit()
    closed = asyncio.create_task(run.given.close_when_done())
    await run.agent.finish(await run.agent.started())
    await asyncio.wait_for(closed, 10)


async def test_the_door_stays_open_for_a_submission_on_its_way(before: Rig, run: Run) -> None:
    faults.arm("intake.after_group=pause:0.2")
    lines = [Submission("default", "news")]
    coming = asyncio.create_task(run.rig.intake.submit_group(lines, "key", b"body"))
    await asyncio.sleep(0)
    assert not await run.given.close_if_done()
    _, ids = await coming
    assert not await run.given.close_if_done()
    assert run.given.open == ids


async def test_looking_at_many_tasks_leaves_others_their_turns() -> None:
    given = OnlyGiven(MemoryStore())
    given.admit(f"task-{number}" for number in range(2000))
    others = asyncio.create_task(_count_turns())
    await asyncio.sleep(0)
    await given.pending_heads(["default/news"], 10)
    assert await given.close_if_done()
    others.cancel()
    assert len(_turns) >= 20


_turns: list[None] = []


async def _count_turns() -> None:
    while True:
        _turns.append(None)
        await asyncio.sleep(0)
