"""Live statistics: fenced, in memory at once, and as a series in a record of its own."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from silkmill.domain.attempt import AttemptRef
from silkmill.domain.errors import Unavailable
from silkmill.domain.series import Series
from silkmill.domain.states import State
from silkmill.domain.statistics import Live, Statistics
from silkmill.master.feed import Resync, StatisticsChanged, TaskChanged
from silkmill.master.statistics import SAVE_SECONDS, delete_series
from silkmill.ports.link import Report
from silkmill.runtime import faults
from support.master_rig import START, Agent, LateRead, Rig

NOW = Statistics(0.5, 1, 9, 4096, 0.25, 2, 10, 20)


async def report(
    agent: Agent, ref: AttemptRef, statistics: Statistics = NOW, *, status: str | None = None
) -> None:
    await agent.rig.link.statistics(agent.session, [Report(ref, statistics, status)])


async def latest(rig: Rig, ref: AttemptRef) -> Statistics:
    return rig.statistics.of(await rig.task(ref.task_id)).statistics


async def stored(rig: Rig, ref: AttemptRef) -> Series | None:
    found = await rig.store.record(Series, str(ref))
    return found and found.value


def seconds_of(series: Series) -> list[float]:
    return [(point.at - START).total_seconds() for point in series.points]


async def test_a_report_is_known_at_once_and_costs_no_write(rig: Rig, agent: Agent) -> None:
    ref = await agent.running()
    before = await rig.task(ref.task_id)
    with rig.feed.subscribe() as hints:
        await report(agent, ref)
        hint = await anext(hints)
    assert isinstance(hint, StatisticsChanged)
    assert (hint.task.id, hint.live.statistics) == (ref.task_id, NOW)
    assert await latest(rig, ref) == NOW
    assert await rig.task(ref.task_id) == before
    assert await stored(rig, ref) is None


async def test_one_message_for_several(rig: Rig, agent: Agent) -> None:
    refs = [await agent.running() for _ in range(2)]
    numbers = [Statistics(errors=number) for number in range(2)]
    both = [Report(ref, each) for ref, each in zip(refs, numbers, strict=True)]
    await rig.link.statistics(agent.session, both)
    assert [await latest(rig, ref) for ref in refs] == numbers


async def test_a_stale_attempt_is_dropped_and_its_neighbour_is_not(rig: Rig, agent: Agent) -> None:
    stale = await agent.running()
    await report(agent, stale, Statistics(errors=1))
    await rig.link.give_back(agent.session, stale, "for a test")
    present = await agent.started()
    assert (present.task_id, present.number) == (stale.task_id, 2)
    with rig.feed.subscribe() as hints:
        for ref in (stale, AttemptRef("no-such-task", 1), present):
            await report(agent, ref, Statistics(errors=ref.number + 10))
        hint = await anext(hints)
    assert isinstance(hint, StatisticsChanged)
    assert hint.live.statistics == await latest(rig, present) == Statistics(errors=12)
    assert (await rig.statistics.series(stale)).points[0].errors == 1


async def test_to_a_reader_who_is_behind_the_next_attempt_tells_nothing(rig: Rig, agent: Agent) -> None:
    ref = await agent.running()
    await report(agent, ref)
    read = await rig.task(ref.task_id)
    await rig.link.give_back(agent.session, ref, "for a test")
    waiting = await rig.task(ref.task_id)
    await report(agent, await agent.started())
    assert [rig.statistics.of(task) for task in (read, waiting)] == [Live(), Live()]
    assert await latest(rig, ref) == NOW


async def test_the_series_of_an_attempt_is_its_own(rig: Rig, agent: Agent) -> None:
    first = await agent.running()
    await report(agent, first, Statistics(errors=1))
    await rig.link.give_back(agent.session, first, "for a test")
    await rig.statistics.tick()
    second = await agent.started()
    rig.clock.pass_time(10)
    for _ in range(2):
        await report(agent, second, Statistics(errors=2))
        for ref in (first, second):
            points = (await rig.statistics.series(ref)).points
            assert [point.errors for point in points] == [ref.number]
        await rig.statistics.leave()


async def test_an_attempt_that_another_master_replaced_is_let_go(rig: Rig, agent: Agent) -> None:
    first = await agent.running()
    await report(agent, first, Statistics(errors=1), status="{}")
    other = Agent(rig.restarted())
    await other.register(other.held(first))
    await other.rig.link.give_back(other.session, first, "for a test")
    second = await other.started()
    rig.clock.pass_time(10)
    await rig.link.statistics(other.session, [Report(second, Statistics(errors=2))])
    series = await rig.statistics.series(second)
    assert ([point.errors for point in series.points], series.status) == ([2], None)


async def test_what_was_told_stands_until_more_is_told(rig: Rig, agent: Agent) -> None:
    ref = await agent.running()
    await report(agent, ref, status='{"n":1}')
    await report(agent, ref)
    await rig.cancel.request(ref.task_id)
    await rig.link.exit(agent.session, ref)
    assert await latest(rig, ref) == NOW
    assert (await rig.statistics.series(ref)).status == '{"n":1}'


async def test_a_report_that_meets_the_end_is_dropped(rig: Rig, agent: Agent) -> None:
    ref = await agent.running()
    again = rig.restarted()
    late = LateRead(rig.store)
    with again.feed.subscribe() as hints:
        reporting = asyncio.ensure_future(again.link.statistics(agent.session, [Report(ref, NOW)]))
        await late.made.wait()
        await again.link.finish(agent.session, ref, agent.facts())
        late.answered.set()
        await reporting
        again.feed.publish(Resync())
        assert [type(await anext(hints)) for _ in range(2)] == [TaskChanged, Resync]
    await again.statistics.leave()
    assert await stored(rig, ref) is None


async def test_another_session_is_dropped(rig: Rig, agent: Agent) -> None:
    ref = await agent.running()
    old = agent.session
    await agent.register(agent.held(ref))
    await rig.link.statistics(old, [Report(ref, NOW)])
    assert rig.statistics.of(await rig.task(ref.task_id)) == Live()
    await report(agent, ref)
    assert await latest(rig, ref) == NOW


async def test_the_series_is_written_now_and_then_and_at_the_end(rig: Rig, agent: Agent) -> None:
    ref = await agent.running()
    for _ in range(3):
        await report(agent, ref, status='{"n":1}')
        rig.clock.pass_time(10)
    await rig.statistics.tick()
    written = await stored(rig, ref)
    assert written is not None and seconds_of(written) == [0, 10, 20]
    assert written.points[0] == written.points[0]._replace(
        at=START, rss_bytes=4096, processes=2, cpu_seconds=0.25, progress=0.5, errors=1, log_lines=9
    )
    await report(agent, ref)
    rig.clock.pass_time(SAVE_SECONDS - 1)
    await rig.statistics.tick()
    assert await stored(rig, ref) == written, "not so soon again"
    await agent.finish(ref, cpu_seconds=0.75, max_rss_bytes=8192, max_processes=3, status='{"n":2}')
    assert rig.statistics.wake.is_set()
    await rig.statistics.tick()
    ended = await stored(rig, ref)
    assert ended is not None and seconds_of(ended) == [0, 10, 20, 30, 59]
    assert (ended.points[-1].cpu_seconds, ended.points[-1].rss_bytes) == (0.75, None)
    assert ended.status == '{"n":2}'
    assert (await rig.task(ref.task_id)).history[0].statistics.rss_bytes == 8192
    await rig.statistics.tick()
    assert await stored(rig, ref) == ended == await rig.statistics.series(ref)


async def test_of_a_task_that_told_nothing_no_record_is_made(rig: Rig, agent: Agent) -> None:
    ref = await agent.running()
    await agent.finish(ref)
    await rig.statistics.tick()
    await rig.statistics.leave()
    assert await stored(rig, ref) is None
    assert await rig.statistics.series(ref) == Series()


async def test_the_last_status_of_a_short_task_is_kept(rig: Rig, agent: Agent) -> None:
    ref = await agent.running()
    await agent.finish(ref, status='{"pages":7}')
    assert (await rig.statistics.series(ref)).status == '{"pages":7}'
    await rig.statistics.tick()
    assert await stored(rig, ref) == Series(status='{"pages":7}')


async def test_a_master_after_a_crash_goes_on_with_the_series(rig: Rig, agent: Agent) -> None:
    ref = await agent.running()
    await report(agent, ref)
    await rig.statistics.leave()
    rig.clock.pass_time(10)
    await report(agent, ref)  # is lost
    again = rig.restarted()
    successor = Agent(again)
    await successor.register(successor.held(ref))
    rig.clock.pass_time(10)
    await report(successor, ref)
    assert seconds_of(await again.statistics.series(ref)) == [0, 20]
    rig.clock.pass_time(SAVE_SECONDS)
    await again.statistics.tick()
    written = await stored(again, ref)
    assert written is not None and seconds_of(written) == [0, 20]


async def test_two_masters_that_write_the_same_lose_neither(rig: Rig, agent: Agent) -> None:
    ref = await agent.running()
    await report(agent, ref)
    await rig.statistics.leave()
    other = rig.restarted()
    rig.clock.pass_time(20)
    await other.link.statistics(agent.session, [Report(ref, NOW)])
    await other.statistics.leave()
    rig.clock.pass_time(20)
    await report(agent, ref)
    await rig.statistics.leave()
    written = await stored(rig, ref)
    assert written is not None and seconds_of(written) == [0, 20, 40]


@pytest.mark.parametrize("fault", ["store.before_commit=error", "store.after_commit=error"])
async def test_a_store_that_is_away_delays_it_and_holds_up_no_cancel(
    rig: Rig, agent: Agent, fault: str
) -> None:
    ref = await agent.running()
    await report(agent, ref)
    rig.clock.pass_time(SAVE_SECONDS)
    faults.arm(fault)
    with pytest.raises(Unavailable):
        await rig.statistics.tick()
    await report(agent, ref)
    cancelling = await rig.cancel.request(ref.task_id)
    assert (cancelling.state, cancelling.cancel_requested) == (State.RUNNING, True)
    await agent.finish(ref, cancelled=True)
    await rig.statistics.tick()
    written = await stored(rig, ref)
    assert written is not None and seconds_of(written) == [0, 30]


async def test_it_is_deleted_with_its_attempt(rig: Rig, agent: Agent) -> None:
    ref = await agent.running()
    await agent.finish(ref, status="{}")
    await rig.statistics.tick()
    assert await stored(rig, ref) is not None
    await delete_series(rig.store, ref)
    await delete_series(rig.store, ref)
    assert await stored(rig, ref) is None


async def test_one_that_was_deleted_is_not_written_again(rig: Rig, agent: Agent) -> None:
    ref = await agent.running()
    await report(agent, ref)
    await rig.statistics.leave()
    await rig.restarted().link.finish(agent.session, ref, agent.facts())  # this master hears nothing of it
    await delete_series(rig.store, ref)
    rig.clock.pass_time(SAVE_SECONDS)
    await rig.statistics.tick()
    await rig.statistics.leave()
    assert await stored(rig, ref) is None


async def test_the_pace_is_that_of_the_last_minute(rig: Rig, agent: Agent) -> None:
    ref = await agent.running()
    offset = 0
    for number in range(40):
        offset = await agent.items(ref, [b"{}"] * 10, offset, number * 10)
        rig.clock.pass_time(3)
        await report(agent, ref)
    counts = rig.statistics.of(await rig.task(ref.task_id)).counts
    assert counts[0] == (rig.clock.now() - timedelta(minutes=1), 200)
    assert counts[-1] == (rig.clock.now(), 400)
