"""Deadlines, orphans, releases: every state that is not final ends by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from silkmill.adapters.store.memory import MemoryStore
from silkmill.domain.attempt import AttemptRef
from silkmill.domain.errors import StaleAttempt, StaleSession, Unavailable
from silkmill.domain.outcome import ErrorClass
from silkmill.domain.states import Phase, State
from silkmill.domain.task import Task
from silkmill.master.feed import Resync
from silkmill.runtime import faults
from support.master_rig import Agent, Rig

REFUSED: dict[str, Any] = {
    "exit_code": 1,
    "traceback": "Traceback (most recent call last):\n  x\nConnectionRefusedError: refused",
    "traceback_ends_stderr": True,
}


async def watch(rig: Rig, seconds: float) -> None:
    """Recovery looks every second, for so long."""
    for _ in range(int(seconds)):
        await rig.recovery.tick()
        rig.clock.pass_time(1.0)
    await rig.recovery.tick()


async def vanish(rig: Rig, agent: Agent) -> None:
    """The node gets another session behind this master's back: a registration that dies in the middle."""
    faults.arm("store.before_commit=error@2*20")
    with pytest.raises(Unavailable):
        await rig.restarted().link.register(agent.registration())
    faults.disarm()


class TestOffered:
    async def test_an_offer_is_withdrawn_after_10_seconds(self, rig: Rig, agent: Agent) -> None:
        await rig.submit()
        ref = await agent.offered()
        await watch(rig, 9)
        assert (await rig.task(ref.task_id)).row == (State.PENDING, Phase.OFFERED)
        await watch(rig, 1)
        task = await rig.task(ref.task_id)
        assert task.row == (State.PENDING, None)
        assert task.reason == "withdrawn: not accepted within 10 s"
        assert (task.history, task.counted_attempts) == ((), 0)
        with pytest.raises(StaleAttempt):
            await rig.link.accept(agent.session, ref)

    async def test_its_slot_is_offered_again(self, rig: Rig, agent: Agent) -> None:
        await rig.submit()
        ref = await agent.offered()
        await watch(rig, 10)
        again = await agent.offered()
        assert again == AttemptRef(ref.task_id, 2)

    async def test_an_offer_to_a_session_that_is_over_is_withdrawn_at_once(
        self, rig: Rig, agent: Agent
    ) -> None:
        await rig.submit()
        ref = await agent.offered()
        await vanish(rig, agent)
        await rig.recovery.tick()
        assert (await rig.task(ref.task_id)).row == (State.PENDING, None)

    async def test_the_deadline_counts_from_when_this_master_first_saw_it(
        self, rig: Rig, agent: Agent
    ) -> None:
        await rig.submit()
        ref = await agent.offered()
        rig.clock.pass_time(3600)
        restarted = rig.restarted()
        await watch(restarted, 9)
        assert (await rig.task(ref.task_id)).row[1] is Phase.OFFERED
        await watch(restarted, 1)
        assert (await rig.task(ref.task_id)).row[1] is None

    async def test_a_pause_of_the_master_is_nobodys_fault(self, rig: Rig, agent: Agent) -> None:
        await rig.submit()
        ref = await agent.offered()
        await watch(rig, 9)
        rig.clock.pass_time(600)
        await watch(rig, 9)
        assert (await rig.task(ref.task_id)).row[1] is Phase.OFFERED

    async def test_a_store_that_was_away_is_nobodys_fault(self, rig: Rig, agent: Agent) -> None:
        class AwayStore(MemoryStore):
            away = False

            async def open_attempts(self) -> list[Task]:
                if self.away:
                    raise Unavailable("store", "away")
                return await super().open_attempts()

        rig = Rig(AwayStore())
        await rig.deploy_spider()
        agent = Agent(rig)
        await agent.register()
        await rig.submit()
        ref = await agent.offered()
        await watch(rig, 5)
        rig.store.away = True  # type: ignore[attr-defined]
        for _ in range(8):
            rig.clock.pass_time(1)
            with pytest.raises(Unavailable):
                await rig.recovery.tick()
        rig.store.away = False  # type: ignore[attr-defined]
        await watch(rig, 9)
        assert (await rig.task(ref.task_id)).row[1] is Phase.OFFERED


class TestPreparing:
    @pytest.fixture
    async def ref(self, rig: Rig, agent: Agent) -> AttemptRef:
        await rig.deploy_spider('name = "news"\ncommand = "x"\n[limits]\nprepare = "20s"\n')
        await rig.submit()
        return (await agent.accepted()).ref

    async def test_preparation_that_takes_too_long_has_failed(self, rig: Rig, ref: AttemptRef) -> None:
        await watch(rig, 49)
        assert (await rig.task(ref.task_id)).row[1] is Phase.PREPARING, "its agent is to end it first"
        await watch(rig, 1)
        task = await rig.task(ref.task_id)
        assert (task.state, task.counted_attempts) == (State.CREATED, 1)
        assert task.reason == "preparation took longer than limits.prepare (20 s)"
        assert task.history[0].error_class == "system"

    async def test_time_in_which_an_index_is_away_does_not_count(
        self, rig: Rig, agent: Agent, ref: AttemptRef
    ) -> None:
        await watch(rig, 49)
        await rig.link.preparing(agent.session, ref, "the index is away", away=True)
        for _ in range(12):
            await watch(rig, 5)
            await rig.link.preparing(agent.session, ref, "the index is away", away=True)
        await rig.link.preparing(agent.session, ref, "is built", away=False)
        assert rig.preparations.doing(ref) == "is built"
        await watch(rig, 64)
        assert (await rig.task(ref.task_id)).row[1] is Phase.PREPARING
        await watch(rig, 2)
        assert (await rig.task(ref.task_id)).state is State.CREATED
        await watch(rig, 1)
        assert rig.preparations.doing(ref) is None, "what is over is forgotten"

    async def test_a_limit_shorter_than_what_lies_between_two_hints_is_none_while_an_index_is_away(
        self, rig: Rig, agent: Agent
    ) -> None:
        await rig.deploy_spider('name = "news"\ncommand = "x"\n[limits]\nprepare = "2s"\n')
        await rig.submit()
        ref = (await agent.accepted()).ref
        for _ in range(3):
            await rig.link.preparing(agent.session, ref, "the index is away", away=True)
            await watch(rig, 5)
        assert (await rig.task(ref.task_id)).row[1] is Phase.PREPARING
        await watch(rig, 43)
        assert (await rig.task(ref.task_id)).state is State.CREATED

    async def test_no_limit_is_no_deadline(self, rig: Rig, agent: Agent) -> None:
        await rig.deploy_spider('name = "news"\ncommand = "x"\n[limits]\nprepare = "0s"\n')
        await rig.submit()
        ref = (await agent.accepted()).ref
        await watch(rig, 30)
        assert (await rig.task(ref.task_id)).row[1] is Phase.PREPARING

    async def test_the_third_time_it_is_an_error(self, rig: Rig, agent: Agent, ref: AttemptRef) -> None:
        await watch(rig, 50)
        for _ in range(2):
            rig.clock.pass_time(60)
            await rig.recovery.tick()
            await agent.accepted()
            await watch(rig, 50)
        task = await rig.task(ref.task_id)
        assert (task.state, task.error_class) == (State.ERROR, ErrorClass.SYSTEM)

    async def test_time_without_a_bucket_does_not_count(self, rig: Rig, ref: AttemptRef) -> None:
        await watch(rig, 45)
        faults.arm("bucket.away=error")
        with pytest.raises(Unavailable), rig.outages.noted():
            await faults.point("bucket.away")
        await watch(rig, 49)
        assert (await rig.task(ref.task_id)).row[1] is Phase.PREPARING

    async def test_a_cancelled_preparation_is_not_proven_to_be_over(self, rig: Rig, ref: AttemptRef) -> None:
        await rig.cancel.request(ref.task_id)
        await watch(rig, 50)
        task = await rig.task(ref.task_id)
        assert (task.state, task.reason) == (State.ABNORMAL, "cancel not verified")


class TestExecuting:
    async def test_a_running_spider_has_no_deadline_here(self, rig: Rig, agent: Agent) -> None:
        ref = await agent.running()
        await watch(rig, 1000)
        assert (await rig.task(ref.task_id)).row == (State.RUNNING, Phase.EXECUTING)


class TestCompleting:
    async def test_without_a_byte_for_five_minutes_sight_of_it_is_lost(self, rig: Rig, agent: Agent) -> None:
        await rig.submit()
        ref = await agent.completing()
        await watch(rig, 299)
        assert (await rig.task(ref.task_id)).row[1] is Phase.COMPLETING
        await watch(rig, 1)
        task = await rig.task(ref.task_id)
        assert task.row == (State.ABNORMAL, Phase.COMPLETING)
        assert task.reason == "lost: completing without progress for 300 s"
        await watch(rig, 5)
        task = await rig.task(ref.task_id)
        assert (task.state, task.lost_attempts) == (State.PENDING, 1)

    async def test_every_acknowledged_byte_begins_it_anew(self, rig: Rig, agent: Agent) -> None:
        await rig.submit()
        ref = await agent.completing()
        for offset in range(4):
            await watch(rig, 200)
            await agent.log(ref, b"x", offset)
        await watch(rig, 299)
        assert (await rig.task(ref.task_id)).row[1] is Phase.COMPLETING

    async def test_while_the_store_takes_nothing_the_agent_is_not_to_blame(
        self, rig: Rig, agent: Agent
    ) -> None:
        await rig.submit()
        ref = await agent.completing()
        await watch(rig, 290)
        faults.arm("store.before_commit=error*1")
        with pytest.raises(Unavailable):
            await agent.items(ref, [b"{}"])
        await watch(rig, 290)
        assert (await rig.task(ref.task_id)).row[1] is Phase.COMPLETING

    async def test_a_byte_that_comes_while_recovery_looks_counts(self) -> None:
        class RacingStore(MemoryStore):
            between: Callable[[], Awaitable[object]] | None = None

            async def open_attempts(self) -> list[Task]:
                read = await super().open_attempts()
                if self.between is not None:
                    await self.between()
                return read

        store = RacingStore()
        rig = Rig(store)
        await rig.deploy_spider()
        agent = Agent(rig)
        await agent.register()
        await rig.submit()
        ref = await agent.completing()
        await watch(rig, 299)
        rig.clock.pass_time(1)
        store.between = lambda: agent.log(ref, b"abc")
        await rig.recovery.tick()
        assert (await rig.task(ref.task_id)).row == (State.RUNNING, Phase.COMPLETING)


class TestOrphans:
    async def test_an_attempt_whose_session_is_over_is_given_back_after_15_seconds(
        self, rig: Rig, agent: Agent
    ) -> None:
        ref = await agent.running()
        await agent.log(ref, b"abc")
        await vanish(rig, agent)
        await watch(rig, 14)
        assert (await rig.task(ref.task_id)).row == (State.RUNNING, Phase.EXECUTING)
        await watch(rig, 1)
        task = await rig.task(ref.task_id)
        assert (task.state, task.lost_attempts, task.counted_attempts) == (State.PENDING, 1, 0)
        assert task.reason is not None
        assert task.reason.startswith("lost: node node-1")
        assert (task.history[0].outcome, task.history[0].log_offset) == ("lost", 3)

    async def test_its_writes_are_refused_afterwards(self, rig: Rig, agent: Agent) -> None:
        ref = await agent.running()
        old = agent.session
        await vanish(rig, agent)
        await watch(rig, 15)
        with pytest.raises(StaleAttempt):
            await rig.link.append_log(old, ref, 0, b"late")

    async def test_a_node_that_comes_back_in_time_keeps_it(self, rig: Rig, agent: Agent) -> None:
        ref = await agent.running()
        await vanish(rig, agent)
        await watch(rig, 14)
        registered = await agent.register(agent.held(ref))
        assert [kept.ref for kept in registered.kept] == [ref]
        await watch(rig, 60)
        assert (await rig.task(ref.task_id)).row == (State.RUNNING, Phase.EXECUTING)

    async def test_an_unknown_node_is_no_session(self, rig: Rig, agent: Agent) -> None:
        ref = await agent.running()
        stored = await rig.store.task(ref.task_id)
        assert stored is not None
        alone = Rig(MemoryStore(), rig.bucket, rig.clock)
        await alone.store.insert_tasks([stored])
        await alone.deploy_spider()
        await watch(alone, 15)
        assert (await alone.task(ref.task_id)).state is State.PENDING

    async def test_after_three_lost_workers_it_is_poison(self, rig: Rig, agent: Agent) -> None:
        task = await rig.submit()
        for _ in range(3):
            await agent.started()
            await vanish(rig, agent)
            await watch(rig, 15)
            await agent.register()
        task = await rig.task(task.id)
        assert (task.state, task.error_class, task.lost_attempts) == (State.ERROR, ErrorClass.SYSTEM, 3)
        assert task.reason == "poison: 3 workers were lost with it"

    async def test_a_cancelled_one_waits_for_proof_and_is_an_error_after_a_day(
        self, rig: Rig, agent: Agent
    ) -> None:
        ref = await agent.running()
        await rig.cancel.request(ref.task_id)
        await vanish(rig, agent)
        await watch(rig, 15)
        task = await rig.task(ref.task_id)
        assert (task.state, task.reason) == (State.ABNORMAL, "cancel not verified")
        await watch(rig, 60)
        assert (await rig.task(ref.task_id)).state is State.ABNORMAL
        for _ in range(24 * 3600 // 4 - 20):
            rig.clock.pass_time(4)
            await rig.recovery.tick()
        assert (await rig.task(ref.task_id)).state is State.ABNORMAL
        await watch(rig, 60)
        task = await rig.task(ref.task_id)
        assert (task.state, task.error_class) == (State.ERROR, ErrorClass.CANCELLED)
        assert task.reason == "cancel not verified"


class TestAbnormal:
    async def test_what_a_crash_left_abnormal_is_given_back(self, rig: Rig, agent: Agent) -> None:
        """A lost runner is recorded in two steps; the master dies between them."""
        ref = await agent.running()
        faults.arm("store.before_commit=error@2*2")
        with pytest.raises(Unavailable):
            await agent.finish(ref, lost=True, exit_code=None)
        faults.disarm()
        assert (await rig.task(ref.task_id)).row == (State.ABNORMAL, Phase.COMPLETING)
        await watch(rig, 4)
        assert (await rig.task(ref.task_id)).state is State.ABNORMAL
        await watch(rig, 1)
        task = await rig.task(ref.task_id)
        assert (task.state, task.reason) == (State.PENDING, "lost: its runner died")

    async def test_or_finished_by_its_agent_which_comes_back(self, rig: Rig, agent: Agent) -> None:
        ref = await agent.running()
        faults.arm("store.before_commit=error@2*2")
        with pytest.raises(Unavailable):
            await agent.finish(ref, lost=True, exit_code=None)
        faults.disarm()
        with pytest.raises(StaleSession):
            await agent.finish(ref, lost=True, exit_code=None)
        await agent.register(agent.held(ref, Phase.COMPLETING))
        await agent.finish(ref, lost=True, exit_code=None)
        task = await rig.task(ref.task_id)
        assert (task.state, task.counted_attempts) == (State.CREATED, 1)


class TestRelease:
    async def test_a_task_is_eligible_when_its_back_off_is_over(self, rig: Rig, agent: Agent) -> None:
        ref = await agent.running()
        await agent.finish(ref, **REFUSED)
        task = await rig.task(ref.task_id)
        assert task.next_attempt_at is not None
        wait = (task.next_attempt_at - rig.clock.now()).total_seconds()
        rig.clock.pass_time(wait - 0.001)
        await rig.recovery.tick()
        assert (await rig.task(ref.task_id)).state is State.CREATED
        rig.clock.pass_time(0.002)
        await rig.recovery.tick()
        assert (await rig.task(ref.task_id)).state is State.PENDING
        assert await agent.offered() == AttemptRef(ref.task_id, 2)

    async def test_a_cancelled_task_is_not_released(self, rig: Rig, agent: Agent) -> None:
        ref = await agent.running()
        await agent.finish(ref, **REFUSED)
        assert (await rig.cancel.request(ref.task_id)).state is State.CANCELLED
        await watch(rig, 20)
        assert (await rig.task(ref.task_id)).state is State.CANCELLED


class TestLostAnswers:
    """Changes that were committed, though nobody has heard of it: their writer repeats, or is gone."""

    @pytest.fixture
    async def agent(self, rig: Rig) -> Agent:
        agent = Agent(rig, max_runners=1)
        await agent.register()
        return agent

    async def test_the_slot_of_a_closed_attempt_is_used_again(self, rig: Rig, agent: Agent) -> None:
        await rig.submit()
        ref = await agent.offered()
        second = await rig.submit()
        faults.arm("store.after_commit=error*2")
        with pytest.raises(Unavailable):
            await rig.cancel.request(ref.task_id)
        assert rig.workers.slots.free_by_session(rig.clock.boottime()) == {}
        await rig.recovery.tick()
        assert rig.workers.slots.free_by_session(rig.clock.boottime()) == {agent.session: 1}
        assert (await agent.offered()).task_id == second.id

    async def test_whoever_waits_for_the_end_is_told_to_look(self, rig: Rig, agent: Agent) -> None:
        ref = await agent.running()
        with rig.feed.subscribe() as hints:
            faults.arm("store.after_commit=error*2")
            with pytest.raises(Unavailable):
                await agent.finish(ref)
            await agent.finish(ref)
            assert (await rig.task(ref.task_id)).state is State.FINISHED
            await rig.recovery.tick()
            assert await asyncio.wait_for(anext(aiter(hints)), 1) == Resync()

    async def test_also_when_the_writer_was_cut(self, rig: Rig, agent: Agent) -> None:
        ref = await agent.running()
        faults.arm("store.after_commit=pause:0.05")
        with rig.feed.subscribe() as hints:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(agent.finish(ref), 0.01)
            await rig.recovery.tick()
            assert await asyncio.wait_for(anext(aiter(hints)), 1) == Resync()

    async def test_doubt_lasts_until_the_store_takes_writes(self, rig: Rig, agent: Agent) -> None:
        ref = await agent.running()
        with rig.feed.subscribe() as hints:
            faults.arm("store.before_commit=error*3")
            with pytest.raises(Unavailable):
                await agent.finish(ref)
            with pytest.raises(Unavailable):
                await rig.recovery.tick()
            await rig.recovery.tick()
            assert await asyncio.wait_for(anext(aiter(hints)), 1) == Resync()

    async def test_a_claim_on_its_way_keeps_its_slot(self, rig: Rig, agent: Agent) -> None:
        await rig.submit()
        faults.arm("store.before_commit=pause:0.05")
        claim = asyncio.create_task(rig.dispatcher.tick())
        await asyncio.sleep(0.01)
        await rig.recovery.tick()
        assert rig.workers.slots.free_by_session(rig.clock.boottime()) == {}
        await claim
        await rig.recovery.tick()
        assert rig.workers.slots.free_by_session(rig.clock.boottime()) == {}


async def test_two_masters_may_recover_at_once(rig: Rig, agent: Agent) -> None:
    ref = await agent.running()
    await vanish(rig, agent)
    other = rig.restarted()
    for _ in range(16):
        await rig.recovery.tick()
        await other.recovery.tick()
        rig.clock.pass_time(1)
    task = await rig.task(ref.task_id)
    assert (task.state, task.lost_attempts, len(task.history)) == (State.PENDING, 1, 1)


async def test_a_healthy_engine_is_left_alone(rig: Rig, agent: Agent) -> None:
    ref = await agent.running()
    before = await rig.task(ref.task_id)
    await watch(rig, 100)
    assert await rig.task(ref.task_id) == before
