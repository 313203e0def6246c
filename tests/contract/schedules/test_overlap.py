"""Overlap: what becomes of a firing while an earlier one of its schedule has not ended."""

from __future__ import annotations

from dataclasses import replace

import pytest
from by_the_clock import add, look, pass_time, put, states, tasks

from silkmill.domain.attempt import AttemptRef
from silkmill.domain.errors import Unavailable
from silkmill.domain.states import Phase, State
from silkmill.domain.task import Task
from silkmill.runtime import faults
from support.master_rig import Agent, Rig


async def running(rig: Rig, agent: Agent, overlap: str, **given: object) -> AttemptRef:
    """The first firing of a minutely schedule, its spider running."""
    await add(rig, overlap=overlap, **given)
    await pass_time(rig, 60)
    return await agent.started()


async def last(rig: Rig) -> Task:
    return (await tasks(rig))[-1]


class TestSkip:
    async def test_a_firing_meanwhile_is_recorded_as_cancelled(self, rig: Rig, agent: Agent) -> None:
        ref = await running(rig, agent, "skip")
        await pass_time(rig, 180)
        assert states(await tasks(rig)) == ["running", "cancelled", "cancelled", "cancelled"]
        skipped = await last(rig)
        assert (skipped.reason, skipped.last_number) == ("overlap", 0)
        assert skipped.finished_at == rig.clock.now()
        await agent.finish(ref)
        await pass_time(rig, 60)
        assert (await last(rig)).state is State.PENDING

    async def test_one_that_has_not_started_yet_runs_too(self, rig: Rig) -> None:
        await add(rig, overlap="skip")
        await pass_time(rig, 120)
        assert states(await tasks(rig)) == ["pending", "cancelled"]

    async def test_one_that_is_lost_runs_too(self, rig: Rig, agent: Agent) -> None:
        ref = await running(rig, agent, "skip")
        await rig.cancel.request(ref.task_id)
        await agent.finish(ref, lost=True, verified=False)
        assert (await rig.task(ref.task_id)).state is State.ABNORMAL
        await pass_time(rig, 60)
        assert (await last(rig)).reason == "overlap"

    async def test_one_that_waits_for_its_retry_runs_too(self, rig: Rig, agent: Agent) -> None:
        await rig.deploy_spider('name = "news"\ncommand = "x"\nretry.on = ["spider"]\nretry.backoff = "1h"\n')
        ref = await running(rig, agent, "skip")
        await agent.finish(ref, exit_code=1)
        assert (await rig.task(ref.task_id)).state is State.CREATED
        await pass_time(rig, 60)
        assert (await last(rig)).reason == "overlap"

    async def test_another_schedule_or_a_run_by_hand_is_no_overlap(self, rig: Rig, agent: Agent) -> None:
        await rig.submit(schedule="default/news/often")
        await add(rig, "1 12 * * *", name="other")
        await running(rig, agent, "skip")
        assert "cancelled" not in states(await tasks(rig))


class TestQueue:
    async def test_firings_wait_for_one_another_and_run_in_order(self, rig: Rig, agent: Agent) -> None:
        ref = await running(rig, agent, "queue")
        await pass_time(rig, 180)
        first, *waiting = await tasks(rig)
        assert states(waiting) == ["created"] * 3
        assert [task.after for task in waiting] == [first.id, waiting[0].id, waiting[1].id]
        assert waiting[0].reason == f"overlap: waits for the end of task {first.id}"
        await rig.schedules.switch("default/news/often", enabled=False)
        for task in waiting:
            await agent.finish(ref)
            await look(rig)
            assert sum(state == "pending" for state in states(await tasks(rig))) == 1
            ref = await agent.started()
            assert ref.task_id == task.id

    async def test_the_end_of_the_one_before_wakes_it(self, rig: Rig, agent: Agent) -> None:
        ref = await running(rig, agent, "queue")
        await pass_time(rig, 60)
        rig.firings.wake.clear()
        await agent.finish(ref)
        assert rig.firings.wake.is_set()
        await rig.firings.tick()
        released = await last(rig)
        assert (released.state, released.reason, released.after) == (State.PENDING, None, None)

    async def test_the_next_master_releases_what_waits(self, rig: Rig, agent: Agent) -> None:
        ref = await running(rig, agent, "queue")
        await pass_time(rig, 60)
        await agent.finish(ref)
        rig = rig.restarted()
        await rig.firings.tick()
        assert (await last(rig)).state is State.PENDING

    async def test_what_waits_for_a_task_that_is_gone_is_released(self, rig: Rig) -> None:
        await add(rig, overlap="queue")
        await pass_time(rig, 120)
        first, waiting = await tasks(rig)
        # As if retention had deleted the task between the two.
        await rig.tasks.change(waiting.id, lambda task: replace(task, after="no-such-task"))
        await rig.cancel.request(first.id)
        await rig.firings.tick()
        assert (await last(rig)).state is State.PENDING

    async def test_when_the_one_between_is_cancelled_the_first_is_waited_for(
        self, rig: Rig, agent: Agent
    ) -> None:
        ref = await running(rig, agent, "queue")
        await pass_time(rig, 120)
        first, between, behind = await tasks(rig)
        await rig.cancel.request(between.id)
        await look(rig)
        behind = await rig.task(behind.id)
        assert (behind.state, behind.after) == (State.CREATED, first.id)
        assert first.id in (behind.reason or "")
        await agent.finish(ref)
        await look(rig)
        assert (await rig.task(behind.id)).state is State.PENDING

    async def test_a_lost_one_is_waited_for(self, rig: Rig, agent: Agent) -> None:
        ref = await running(rig, agent, "queue")
        await agent.finish(ref, lost=True, verified=True)
        await pass_time(rig, 60)
        first, waiting = await tasks(rig)
        assert not first.state.final
        assert (waiting.state, waiting.after) == (State.CREATED, first.id)

    async def test_a_retry_of_a_released_one_waits_for_its_time(self, rig: Rig, agent: Agent) -> None:
        await rig.deploy_spider('name = "news"\ncommand = "x"\nretry.on = ["spider"]\nretry.backoff = "1h"\n')
        ref = await running(rig, agent, "queue")
        await pass_time(rig, 60)
        await agent.finish(ref)
        await pass_time(rig, 1)
        await agent.finish(await agent.started(), exit_code=1)
        await look(rig)
        assert (await last(rig)).state is State.CREATED

    async def test_a_cancelled_one_never_runs(self, rig: Rig, agent: Agent) -> None:
        ref = await running(rig, agent, "queue")
        await pass_time(rig, 60)
        await rig.cancel.request((await last(rig)).id)
        await agent.finish(ref)
        await look(rig)
        assert states(await tasks(rig)) == ["finished", "cancelled"]


class TestReplace:
    async def test_the_running_one_is_stopped_and_the_new_one_waits_for_its_death(
        self, rig: Rig, agent: Agent
    ) -> None:
        ref = await running(rig, agent, "replace")
        await pass_time(rig, 60)
        first, new = await tasks(rig)
        assert (first.state, first.cancel_requested) == (State.RUNNING, True)
        assert first.cancel_reason == f"replaced by task {new.id}"
        assert (new.state, new.after) == (State.CREATED, first.id)
        await pass_time(rig, 20)
        assert (await last(rig)).state is State.CREATED
        await agent.finish(ref, exit_code=None, signal=15, cancelled=True)
        await look(rig)
        assert states(await tasks(rig)) == ["cancelled", "pending"]

    async def test_while_the_first_dies_the_newest_replaces_those_that_wait(
        self, rig: Rig, agent: Agent
    ) -> None:
        ref = await running(rig, agent, "replace")
        await pass_time(rig, 180)
        assert states(await tasks(rig)) == ["running", "cancelled", "cancelled", "created"]
        assert (await last(rig)).after == ref.task_id
        await agent.finish(ref, exit_code=None, signal=15, cancelled=True)
        await look(rig)
        assert (await last(rig)).state is State.PENDING

    async def test_one_that_has_not_started_is_replaced_at_once(self, rig: Rig) -> None:
        await add(rig, overlap="replace")
        await pass_time(rig, 120)
        assert states(await tasks(rig)) == ["cancelled", "pending"]

    async def test_killed_before_the_cancel_the_next_master_cancels(self, rig: Rig, agent: Agent) -> None:
        ref = await running(rig, agent, "replace")
        rig.clock.pass_time(60)
        faults.arm("store.before_commit=error@2*20")
        with pytest.raises(Unavailable):
            await rig.cron.tick()
        faults.disarm()
        assert not (await rig.task(ref.task_id)).cancel_requested
        assert len(await tasks(rig)) == 2
        rig = rig.restarted()
        await look(rig)
        assert (await rig.task(ref.task_id)).cancel_requested
        assert len(await tasks(rig)) == 2

    async def test_it_replaces_all_that_were_queued_before_the_edit(self, rig: Rig, agent: Agent) -> None:
        ref = await running(rig, agent, "queue")
        await pass_time(rig, 120)
        await put(rig, overlap="replace")
        await pass_time(rig, 60)
        assert states(await tasks(rig)) == ["running", "cancelled", "cancelled", "created"]
        assert (await rig.task(ref.task_id)).cancel_requested
        assert (await last(rig)).after == ref.task_id

    async def test_however_late_the_next_master_comes(self, rig: Rig, agent: Agent) -> None:
        ref = await running(rig, agent, "replace", cron="1,2 12 * * *")
        rig.clock.pass_time(60)
        faults.arm("store.before_commit=error@2*20")
        with pytest.raises(Unavailable):
            await rig.cron.tick()
        faults.disarm()
        rig = rig.restarted()
        rig.clock.pass_time(3600)  # the instant counts as missed by now, and no other one has come
        await look(rig)
        assert (await rig.task(ref.task_id)).cancel_requested


class TestAllow:
    async def test_they_run_beside_each_other(self, rig: Rig, agent: Agent) -> None:
        await running(rig, agent, "allow")
        await pass_time(rig, 60)
        await agent.started()
        await pass_time(rig, 60)
        assert states(await tasks(rig)) == ["running", "running", "pending"]


async def test_over_long_runs_never_two_of_a_schedule_run(rig: Rig) -> None:
    """Runs of seven minutes, every two minutes a firing, for two hours, under each policy."""
    agent = Agent(rig, max_runners=8)
    await agent.register()
    for overlap in ("skip", "queue", "replace"):
        await add(rig, "*/2 * * * *", name=overlap, overlap=overlap)
    begun: dict[AttemptRef, int] = {}
    for minute in range(120):
        await pass_time(rig, 60, 20)
        await rig.dispatcher.tick()
        for task in await rig.store.open_attempts():
            if task.row == (State.PENDING, Phase.OFFERED) and task.ref:
                await rig.link.accept(agent.session, task.ref)
                await rig.link.start(agent.session, task.ref, 1, rig.clock.now())
                begun[task.ref] = minute
        open_now = [task for task in await rig.store.open_attempts() if task.ref]
        assert len({task.schedule for task in open_now}) == len(open_now)
        for task in open_now:
            if task.ref and task.cancel_requested:
                await agent.finish(task.ref, exit_code=None, signal=15, cancelled=True)
            elif task.ref and minute - begun[task.ref] >= 7:
                await agent.finish(task.ref)
    made = await tasks(rig)
    of = {
        name: [task for task in made if task.schedule == f"default/news/{name}"]
        for name in ("skip", "queue", "replace")
    }
    assert [len(found) for found in of.values()] == [60, 60, 60]
    assert {task.reason for task in of["skip"] if task.state is State.CANCELLED} == {"overlap"}
    assert states(of["queue"]).count("cancelled") == 0
    assert states(of["queue"])[-1] == "created"
    assert states(of["replace"]).count("finished") == 0
