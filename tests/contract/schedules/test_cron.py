"""Cron: what fires, when, and once; after a master was away, after a crash, after the clock was set."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest
from by_the_clock import MINUTELY, add, fired, look, pass_time, put, states, tasks

from silkmill.domain.errors import BadInput, Unavailable
from silkmill.domain.firing import MOST_AT_ONCE
from silkmill.domain.outcome import ErrorClass
from silkmill.domain.placement import Placement
from silkmill.domain.schedule import Schedule
from silkmill.domain.states import State
from silkmill.domain.version import Version
from silkmill.runtime import faults
from support.master_rig import START, Agent, Rig

HOUR, DAY = 3600, 86400
FOR_ALL = 'name = "news"\ncommand = "true"\nplacement.mode = "all"\nplacement.labels.gpu = "1"\n'


class TestFiring:
    async def test_it_fires_at_its_instants_and_at_no_other_time(self, rig: Rig) -> None:
        await add(rig, "*/5 * * * *")
        await pass_time(rig, 5 * 60 - 1)
        assert await fired(rig) == []
        await pass_time(rig, 1)
        assert await fired(rig) == [5]
        await pass_time(rig, 600)
        assert await fired(rig) == [5, 10, 15]

    async def test_its_task_is_as_if_it_had_been_submitted(self, rig: Rig, agent: Agent) -> None:
        text = 'name = "news"\ncommand = "true {day}"\nparams.day = "x"\npriority = 3\ntags = ["daily"]\n'
        version = await rig.deploy_spider(text)
        await add(rig, params={"day": "today"})
        await pass_time(rig, 60)
        [task] = await tasks(rig)
        assert (task.state, task.version, task.params) == (State.PENDING, version, {"day": "today"})
        assert (task.priority, task.tags, task.schedule) == (3, ("daily",), "default/news/often")
        assert task.firing == "default/news/often@2026-03-01T12:01:00Z#0"
        assert (await agent.started()).task_id == task.id

    async def test_several_schedules_fire_in_the_order_in_which_they_were_due(self, rig: Rig) -> None:
        for name, cron in (("z", "1 12 * * *"), ("a", "2 12 * * *"), ("m", "* 12 * * *")):
            await add(rig, cron, name=name, catchup="all", overlap="allow")
        rig.clock.pass_time(170)
        await look(rig)
        names = [task.schedule.rpartition("/")[2] for task in await tasks(rig) if task.schedule]
        assert names == ["m", "m", "z", "a"]

    async def test_a_time_zone_is_that_of_the_schedule(self, rig: Rig) -> None:
        await add(rig, "30 17 * * *", timezone="Asia/Kathmandu")
        await pass_time(rig, HOUR, 60)
        assert await fired(rig) == []  # 17:30 in Kathmandu was 11:45 UTC, a quarter of an hour ago
        await pass_time(rig, DAY, 60)
        assert await fired(rig) == [24 * 60 - 15]

    async def test_a_task_for_all_nodes_is_pinned_to_one_that_there_is(self, rig: Rig, agent: Agent) -> None:
        await rig.deploy_spider(FOR_ALL)
        await add(rig)
        await Agent(rig, node="node-2", labels={"gpu": "1"}).register()
        await pass_time(rig, 60)
        [task] = await tasks(rig)
        assert (task.state, task.placement) == (State.PENDING, Placement("nodes", ("node-2",)))

    async def test_where_no_node_is_as_it_asks_it_is_recorded_as_failed(self, rig: Rig, agent: Agent) -> None:
        await rig.deploy_spider(FOR_ALL)
        await add(rig)
        await pass_time(rig, 60)
        [task] = await tasks(rig)
        assert (task.state, task.error_class) == (State.ERROR, ErrorClass.SYSTEM)
        assert "no node has the label gpu=1" in (task.reason or "")

    async def test_where_no_node_is_known_yet_it_waits_for_one(self, rig: Rig) -> None:
        """As in an engine that has just begun: its own node is not there yet."""
        await rig.deploy_spider(FOR_ALL)
        await add(rig)
        await pass_time(rig, 59)
        rig.clock.pass_time(1)
        with pytest.raises(Unavailable):
            await look(rig)
        assert await tasks(rig) == []
        await Agent(rig, labels={"gpu": "1"}).register()
        await look(rig)
        assert states(await tasks(rig)) == ["pending"]

    async def test_its_version_is_kept_for_it(self, rig: Rig) -> None:
        version = (await rig.versions.spider("default", "news")).version
        stored = await rig.store.record(Version, version)
        assert stored is not None
        await rig.store.replace_record(stored, replace(stored.value, doomed_at=rig.clock.now()), "doomed")
        rig.versions.forget(version)
        await add(rig)
        await pass_time(rig, 60)
        stored = await rig.store.record(Version, version)
        assert stored is not None
        assert stored.value.doomed_at is None

    async def test_what_cannot_be_submitted_is_recorded_as_failed(self, rig: Rig) -> None:
        await rig.deploy_spider('name = "news"\ncommand = "true"\nparams.day = "x"\n')
        await add(rig, params={"day": "today"})
        await rig.deploy_spider()
        await pass_time(rig, 120)
        failed = await tasks(rig)
        assert [(task.state, task.error_class) for task in failed] == [(State.ERROR, ErrorClass.SYSTEM)] * 2
        assert "no parameter 'day'" in (failed[0].reason or "")

    async def test_an_unknown_time_zone_stops_one_schedule_only(
        self, rig: Rig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await add(rig, name="lost", timezone="Europe/Berlin")
        await add(rig)

        def forget(name: str) -> None:
            if name != "UTC":
                raise BadInput(f"{name!r} is not a time zone", field="timezone")

        monkeypatch.setattr("silkmill.domain.cron_line._zone", forget)
        await pass_time(rig, 60)
        assert [task.schedule for task in await tasks(rig)] == ["default/news/often"]


class TestAway:
    """The master was away over 250 instants, five minutes apart."""

    @pytest.mark.parametrize(
        ("policy", "expected"),
        [("none", []), ("last", [1250]), ("all", [5 * n for n in range(250 - MOST_AT_ONCE + 1, 251)])],
    )
    async def test_what_was_missed_fires_by_the_policy(
        self, rig: Rig, policy: str, expected: list[float]
    ) -> None:
        await add(rig, "*/5 * * * *", catchup=policy, overlap="allow")
        await look(rig)
        rig.clock.pass_time(250 * 300 + 60)
        rig = rig.restarted()
        await pass_time(rig, 120)
        assert await fired(rig) == expected
        await pass_time(rig, 120)  # and then it goes on
        assert await fired(rig) == [*expected, 1255]

    @pytest.mark.parametrize(("policy", "expected"), [("none", [10]), ("last", [10]), ("all", [5, 10])])
    async def test_what_is_less_than_a_minute_late_was_not_missed(
        self, rig: Rig, policy: str, expected: list[float]
    ) -> None:
        await add(rig, "*/5 * * * *", catchup=policy, overlap="allow")
        rig.clock.pass_time(600 + 59)
        rig = rig.restarted()
        await look(rig)
        assert await fired(rig) == expected

    @pytest.mark.parametrize("policy", ["none", "last", "all"])
    async def test_few_that_were_missed(self, rig: Rig, policy: str) -> None:
        await add(rig, "0 */6 * * *", catchup=policy, overlap="allow")
        rig.clock.pass_time(2 * DAY + HOUR)
        rig = rig.restarted()
        await look(rig)
        missed = [360.0 * n for n in range(1, 9)]
        assert await fired(rig) == {"none": [], "last": missed[-1:], "all": missed}[policy]

    async def test_a_store_that_was_away_is_as_a_master_that_was(self, rig: Rig) -> None:
        await add(rig, catchup="last")
        await look(rig)
        faults.arm("store.before_commit=error*1000")
        for _ in range(10):
            rig.clock.pass_time(60)
            with pytest.raises(Unavailable):
                await rig.cron.tick()
        faults.disarm()
        await look(rig)
        assert await fired(rig) == [10]


class TestCrashes:
    async def test_killed_between_task_and_evaluation_it_is_not_made_twice(self, rig: Rig) -> None:
        await add(rig, overlap="allow")
        await look(rig)
        rig.clock.pass_time(60)
        faults.arm("cron.after_insert=error")
        with pytest.raises(Unavailable):
            await rig.cron.tick()
        [made] = await tasks(rig)
        rig = rig.restarted()
        await pass_time(rig, 30)
        assert await tasks(rig) == [made]
        await pass_time(rig, 30)
        assert await fired(rig) == [1, 2]

    @pytest.mark.parametrize("policy", ["skip", "queue", "replace", "allow"])
    @pytest.mark.parametrize("point", ["store.before_commit", "store.after_commit"])
    async def test_cut_anywhere_each_instant_has_one_task(self, rig: Rig, point: str, policy: str) -> None:
        await add(rig, catchup="all", overlap=policy)
        await look(rig)
        rig.clock.pass_time(5 * 60)
        for number in range(1, 12):
            faults.arm(f"{point}=error@{number}*2")
            rig = rig.restarted()
            with suppress(Unavailable):
                await rig.cron.tick()
        faults.disarm()
        rig = rig.restarted()
        await look(rig)
        assert sorted(await fired(rig)) == [1, 2, 3, 4, 5]
        assert (await stored(rig)).evaluated_until == rig.clock.now()

    async def test_two_masters_make_one_task_of_an_instant(self, rig: Rig) -> None:
        await add(rig, overlap="allow")
        other = rig.restarted()
        for _ in range(5):
            rig.clock.pass_time(60)
            await rig.cron.tick()
            await other.cron.tick()
        assert await fired(rig) == [1, 2, 3, 4, 5]


class TestChanges:
    """While a task of it runs."""

    async def test_edited_it_goes_by_the_new_line(self, rig: Rig, agent: Agent) -> None:
        await add(rig, "*/5 * * * *")
        await pass_time(rig, 300)
        ref = await agent.started()
        rig.clock.pass_time(90)
        edited = await put(rig, "*/2 * * * *", overlap="allow", params={})
        assert edited.evaluated_until == rig.clock.now()
        await pass_time(rig, 240)
        assert await fired(rig) == [5, 8, 10]
        await agent.finish(ref)
        assert (await rig.task(ref.task_id)).state is State.FINISHED

    async def test_an_edit_that_changes_nothing_loses_nothing(self, rig: Rig) -> None:
        before = await add(rig)
        await look(rig)
        rig.clock.pass_time(90)
        assert await put(rig) == before
        await look(rig)
        assert await fired(rig) == [1]

    async def test_disabled_and_enabled_again_it_makes_up_for_nothing(self, rig: Rig, agent: Agent) -> None:
        await add(rig, catchup="all", overlap="allow")
        await pass_time(rig, 60)
        ref = await agent.started()
        await rig.schedules.switch("default/news/often", enabled=False)
        await pass_time(rig, 600)
        assert await fired(rig) == [1]
        await rig.schedules.switch("default/news/often", enabled=True)
        await look(rig)
        assert await fired(rig) == [1]
        await pass_time(rig, 60)
        assert await fired(rig) == [1, 12]
        await agent.finish(ref)
        assert (await rig.task(ref.task_id)).state is State.FINISHED

    async def test_switching_to_what_it_is_changes_nothing(self, rig: Rig) -> None:
        before = await add(rig)
        rig.clock.pass_time(30)
        assert await rig.schedules.switch(before.key, enabled=True) == before

    async def test_a_change_while_it_fires_is_not_overwritten(self, rig: Rig) -> None:
        await add(rig)
        await look(rig)
        rig.clock.pass_time(60)
        fire = rig.firings.fire

        async def disabled_meanwhile(*given: object) -> object:
            await rig.restarted().schedules.switch("default/news/often", enabled=False)
            return await fire(*given)  # type: ignore[arg-type]

        rig.firings.fire = disabled_meanwhile  # type: ignore[method-assign, assignment]
        await pass_time(rig, 300)
        assert await fired(rig) == [1]
        assert not (await stored(rig)).enabled

    async def test_removed_it_fires_no_more(self, rig: Rig) -> None:
        await add(rig)
        await pass_time(rig, 60)
        await rig.schedules.remove("default/news/often")
        await pass_time(rig, 120)
        assert await fired(rig) == [1]

    async def test_made_anew_it_fires_no_instant_again(self, rig: Rig) -> None:
        await add(rig, overlap="allow")
        await pass_time(rig, 60)
        await rig.schedules.remove("default/news/often")
        await add(rig, overlap="allow", catchup="all")
        await pass_time(rig, 60)
        assert await fired(rig) == [1, 2]


class TestClockJumps:
    async def test_a_clock_that_is_put_back_an_hour_fires_nothing_twice(self, rig: Rig) -> None:
        await add(rig, "*/10 * * * *", overlap="allow")
        await pass_time(rig, HOUR, 10)
        expected = [10.0 * n for n in range(1, 7)]
        rig.clock.set_wall(-HOUR)
        await pass_time(rig, HOUR + 9 * 60, 10)
        assert await fired(rig) == expected
        await pass_time(rig, 60, 10)
        assert await fired(rig) == [*expected, 70]  # the first that was not shown before

    @pytest.mark.parametrize("policy", ["none", "last", "all"])
    async def test_a_day_that_was_left_out_is_one_that_was_missed(self, rig: Rig, policy: str) -> None:
        await add(rig, "0 * * * *", catchup=policy, overlap="allow")
        await pass_time(rig, 90 * 60, 10)
        rig.clock.set_wall(DAY)
        await pass_time(rig, 120, 10)
        left_out = [60.0 * n for n in range(2, 26)]
        missed = {"none": [], "last": left_out[-1:], "all": left_out}[policy]
        assert await fired(rig) == [60, *missed]
        await pass_time(rig, HOUR, 10)
        assert await fired(rig) == [60, *missed, 26 * 60]

    async def test_one_that_sleeps_until_a_wrong_time_is_woken_by_switching_it(self, rig: Rig) -> None:
        await add(rig, "*/10 * * * *")
        rig.clock.set_wall(DAY)
        await pass_time(rig, HOUR, 10)
        rig.clock.set_wall(-DAY)
        before = await fired(rig)
        await pass_time(rig, HOUR, 10)
        assert await fired(rig) == before
        for enabled in (False, True):
            await rig.schedules.switch("default/news/often", enabled=enabled)
        await pass_time(rig, 600, 10)
        assert len(await fired(rig)) == len(before) + 1

    @pytest.mark.parametrize("jump", [DAY, -HOUR, 61, -61])
    async def test_a_jump_that_is_taken_back_leaves_no_trace(self, rig: Rig, jump: int) -> None:
        await add(rig, overlap="allow")
        await pass_time(rig, 60)
        rig.clock.set_wall(jump)
        await pass_time(rig, 30)
        assert rig.cron.paused_since is not None
        rig.clock.set_wall(-jump)
        await pass_time(rig, 59)
        assert await fired(rig) == [1]
        await pass_time(rig, 61)
        assert rig.cron.paused_since is None
        assert await fired(rig) == [1, 2, 3]
        assert (await stored(rig)).evaluated_until <= rig.clock.now()

    async def test_it_pauses_until_the_clocks_have_gone_together_for_a_minute(self, rig: Rig) -> None:
        await look(rig)
        before = rig.clock.now()
        for _ in range(3):  # each jump begins the minute again
            rig.clock.set_wall(DAY)
            await pass_time(rig, 59)
            assert rig.cron.paused_since == before
        await pass_time(rig, 1)
        assert rig.cron.paused_since is None

    async def test_a_store_that_is_away_then_does_not_make_it_late(self, rig: Rig) -> None:
        await add(rig, overlap="allow")
        await pass_time(rig, 30)
        rig.clock.set_wall(HOUR)
        await pass_time(rig, 59)
        faults.arm("store.before_commit=error*3")
        rig.clock.pass_time(1)
        with pytest.raises(Unavailable):
            await rig.cron.tick()
        faults.disarm()
        rig.clock.pass_time(1)
        await look(rig)
        assert await fired(rig) == [60, 61]  # half a minute, and a minute and a half ago

    async def test_small_corrections_and_a_sleeping_machine_are_no_jumps(self, rig: Rig) -> None:
        await add(rig, overlap="allow")
        await pass_time(rig, 60)
        rig.clock.set_wall(59)
        await pass_time(rig, 1)
        assert await fired(rig) == [1, 2]
        rig.clock.pass_time(8 * HOUR)  # BOOTTIME goes on while it sleeps
        await look(rig)
        assert rig.cron.paused_since is None
        assert await fired(rig) == [1, 2, 482]


async def stored(rig: Rig) -> Schedule:
    return await rig.schedules.get("default/news/often")


def test_the_test_begins_at_a_full_minute() -> None:
    assert (START.second, START.microsecond, MINUTELY) == (0, 0, "* * * * *")
