"""Which instants fire at a look: by any policy, with any pauses between the looks, never one twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise, takewhile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from silkmill.domain.firing import MOST_AT_ONCE, ON_TIME, due, firing_name
from silkmill.domain.schedule import CatchUp, Origin, Schedule, ScheduleConfig

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def schedule(cron: str, catchup: CatchUp, until: datetime = START) -> Schedule:
    config = ScheduleConfig("often", cron, "Europe/Berlin", catchup=catchup)
    return Schedule("default", "news", config, Origin.HAND, True, until)


def looked(cron: str, catchup: CatchUp, times: list[datetime]) -> list[list[datetime]]:
    """What fires at each look."""
    current, fired = schedule(cron, catchup), []
    for now in times:
        decided = due(current, now, now - ON_TIME)
        current = schedule(cron, catchup, decided.evaluated_until)
        fired.append(list(decided.instants))
    return fired


crons = st.sampled_from(["* * * * *", "*/7 * * * *", "0 * * * *", "30 2 * * *", "@daily", "0 0 29 2 *"])
pauses = st.lists(
    st.one_of(st.timedeltas(timedelta(0), MINUTE), st.timedeltas(timedelta(0), timedelta(days=9))),
    max_size=8,
)


@settings(deadline=None)
@given(crons, pauses)
def test_any_looks_decide_each_instant_once(cron: str, waited: list[timedelta]) -> None:
    times = [START + sum(waited[:count], timedelta(0)) for count in range(len(waited) + 1)]
    all_of = list(takewhile(lambda at: at <= times[-1], schedule(cron, CatchUp.ALL).config.line.after(START)))
    by_policy = {policy: looked(cron, policy, times) for policy in CatchUp}
    for fired in by_policy.values():
        flat = [at for instants in fired for at in instants]
        assert all(earlier < later for earlier, later in pairwise(flat))
        assert set(flat) <= set(all_of)
        assert [at for now, instants in zip(times, fired, strict=True) for at in instants if at > now] == []
    for look, (before, now) in enumerate(pairwise([START, *times])):
        missed = [at for at in all_of if before < at <= now]
        assert by_policy[CatchUp.ALL][look] == missed[-MOST_AT_ONCE:]
        assert by_policy[CatchUp.LAST][look][-1:] == missed[-1:]
        assert by_policy[CatchUp.NONE][look] == [at for at in missed if now - at < ON_TIME]


@settings(deadline=None)
@given(st.lists(st.timedeltas(timedelta(hours=-3), timedelta(hours=3)), max_size=20))
def test_a_clock_that_is_put_anywhere_fires_nothing_twice(steps: list[timedelta]) -> None:
    times = [START + sum(steps[:count], timedelta(0)) for count in range(len(steps) + 1)]
    flat = [at for instants in looked("*/7 * * * *", CatchUp.ALL, times) for at in instants]
    assert len(set(flat)) == len(flat)


@pytest.mark.parametrize("policy", CatchUp)
def test_nothing_is_due_before_its_instant(policy: CatchUp) -> None:
    [none] = looked("1 13 * * *", policy, [START + timedelta(seconds=59)])  # 12:01 UTC
    assert none == []


def test_firings_of_a_schedule_sort_by_instant() -> None:
    instants = [START + step * 37 * timedelta(days=1) for step in range(12)]
    names = [firing_name("default/news/often", at) for at in instants]
    assert sorted(names) == names
    assert names[0] == "default/news/often@2026-03-01T12:00:00Z#0"
