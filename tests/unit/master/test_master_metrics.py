"""Metrics: counted once, whatever else changes in a task."""

from __future__ import annotations

from silkmill.domain.outcome import ErrorClass
from silkmill.master.metrics import SECONDS, Histogram
from support.master_rig import Agent, Rig


async def agent_of(rig: Rig) -> Agent:
    agent = Agent(rig)
    await agent.register()
    return agent


async def test_an_end_counts_once_with_what_was_stored(rig: Rig) -> None:
    agent = await agent_of(rig)
    await rig.submit()
    rig.clock.pass_time(2)
    ref = await agent.started()
    await agent.items(ref, [b"{}", b"{}"])
    await agent.log(ref, b"0123456789")
    rig.clock.pass_time(7)
    await agent.finish(ref, items_count=2, items_size=6, log_size=10, started_at=None)
    await rig.tasks.change(ref.task_id, lambda task: None)
    assert rig.metrics.ended == {("default", "finished", ""): 1}
    assert rig.metrics.attempts == {"exit": 1}
    assert (rig.metrics.items, rig.metrics.log_bytes) == (2, 10)
    assert (rig.metrics.waited.sum, rig.metrics.ran.sum) == (2.0, 7.0)
    assert (rig.metrics._items_seen, rig.metrics._bytes_seen) == ({}, {})


async def test_a_retried_attempt_is_no_end(rig: Rig) -> None:
    agent = await agent_of(rig)
    ref = await agent.running()
    await agent.finish(ref, preparation_error="no disk", exit_code=None)
    assert rig.metrics.ended == {}
    assert rig.metrics.attempts == {"never_started": 1}


async def test_a_cancel_before_any_attempt(rig: Rig) -> None:
    task = await rig.submit()
    await rig.cancel.request(task.id)
    await rig.cancel.request(task.id)
    assert rig.metrics.ended == {("default", "cancelled", ErrorClass.CANCELLED): 1}
    assert rig.metrics.attempts == {}


async def test_of_an_adopted_attempt_only_what_comes_now_counts(rig: Rig) -> None:
    agent = await agent_of(rig)
    ref = await agent.running()
    await agent.items(ref, [b"{}"] * 5)
    agent.rig = rig.restarted()
    await agent.register(agent.held(ref))
    for number in range(5, 8):
        await agent.items(ref, [b"{}"], offset=3 * number, first=number)
    assert agent.rig.metrics.items == 3
    assert rig.metrics.items == 5


def test_a_histogram_has_a_place_for_each_value() -> None:
    histogram = Histogram()
    for value in (0.0, SECONDS[0], SECONDS[0] * 1.1, SECONDS[-1] * 2):
        histogram.add(value)
    assert (histogram.counts[0], histogram.counts[1], histogram.counts[-1]) == (2, 1, 1)
    assert sum(histogram.counts) == 4
