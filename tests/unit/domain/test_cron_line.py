"""Cron lines: what they say, when they fire, and what happens where a clock is put forward or back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import example, given, settings
from hypothesis import strategies as st

from silkmill.domain.cron_line import NAMED, CronLine
from silkmill.domain.errors import BadInput

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

# What each clock shows, from the evening before: what is left out, or shown twice.
CHANGES = {
    "New York, 2 to 3": ("America/New_York", datetime(2026, 3, 8, tzinfo=UTC)),
    "New York, 2 to 1": ("America/New_York", datetime(2026, 11, 1, tzinfo=UTC)),
    "Berlin, 2 to 3": ("Europe/Berlin", datetime(2026, 3, 28, 20, tzinfo=UTC)),
    "Berlin, 3 to 2": ("Europe/Berlin", datetime(2026, 10, 24, 20, tzinfo=UTC)),
    "Lord Howe, 2:00 to 2:30": ("Australia/Lord_Howe", datetime(2026, 10, 3, 12, tzinfo=UTC)),
    "Lord Howe, 2:00 to 1:30": ("Australia/Lord_Howe", datetime(2026, 4, 4, 12, tzinfo=UTC)),
    "Cairo, 0 to 1": ("Africa/Cairo", datetime(2026, 4, 23, 19, tzinfo=UTC)),
    "Cairo, 24 to 23": ("Africa/Cairo", datetime(2026, 10, 29, 18, tzinfo=UTC)),
    "Sydney, 2 to 3": ("Australia/Sydney", datetime(2026, 10, 3, 12, tzinfo=UTC)),
    "Sydney, 3 to 2": ("Australia/Sydney", datetime(2026, 4, 4, 12, tzinfo=UTC)),
    "London, 1 to 2": ("Europe/London", datetime(2026, 3, 28, 22, tzinfo=UTC)),
    "London, 2 to 1": ("Europe/London", datetime(2026, 10, 24, 22, tzinfo=UTC)),
    "Havana, 0 to 1": ("America/Havana", datetime(2026, 3, 8, 3, tzinfo=UTC)),
    "Havana, 1 to 0": ("America/Havana", datetime(2026, 11, 1, 2, tzinfo=UTC)),
    "Santiago, 24 to 23": ("America/Santiago", datetime(2026, 4, 4, 20, tzinfo=UTC)),
}
GOLDEN = [
    # Fixed entries: once for each wall time, at once after one that is left out.
    ("New York, 2 to 3", "30 2 * * *", ["03-08 03:00-0400", "03-09 02:30-0400"]),
    ("New York, 2 to 3", "0,15,30 2 * * *", ["03-08 03:00-0400", "03-09 02:00-0400"]),
    ("New York, 2 to 3", "0 3 * * *", ["03-08 03:00-0400", "03-09 03:00-0400"]),
    ("New York, 2 to 3", "0 1-4 * * *", ["03-08 01:00-0500", "03-08 03:00-0400", "03-08 04:00-0400"]),
    ("New York, 2 to 1", "30 1 * * *", ["11-01 01:30-0400", "11-02 01:30-0500"]),
    ("New York, 2 to 1", "0 1,2 * * *", ["11-01 01:00-0400", "11-01 02:00-0500", "11-02 01:00-0500"]),
    ("Berlin, 2 to 3", "30 2 * * *", ["03-29 03:00+0200", "03-30 02:30+0200"]),
    ("Berlin, 3 to 2", "30 2 * * *", ["10-25 02:30+0200", "10-26 02:30+0100"]),
    ("Berlin, 3 to 2", "0 3 * * *", ["10-25 03:00+0100", "10-26 03:00+0100"]),
    ("Lord Howe, 2:00 to 2:30", "15 2 * * *", ["10-04 02:30+1100", "10-05 02:15+1100"]),
    ("Lord Howe, 2:00 to 1:30", "45 1 * * *", ["04-05 01:45+1100", "04-06 01:45+1030"]),
    ("Cairo, 0 to 1", "@daily", ["04-24 01:00+0300", "04-25 00:00+0300"]),
    ("Cairo, 0 to 1", "30 0 * * *", ["04-24 01:00+0300", "04-25 00:30+0300"]),
    ("Cairo, 24 to 23", "30 23 * * *", ["10-29 23:30+0300", "10-30 23:30+0200"]),
    ("Cairo, 24 to 23", "@daily", ["10-30 00:00+0200", "10-31 00:00+0200"]),
    ("Sydney, 2 to 3", "30 2 * * *", ["10-04 03:00+1100", "10-05 02:30+1100"]),
    ("Sydney, 3 to 2", "30 2 * * *", ["04-05 02:30+1100", "04-06 02:30+1000"]),
    ("London, 1 to 2", "30 1 * * *", ["03-29 02:00+0100", "03-30 01:30+0100"]),
    ("London, 2 to 1", "30 1 * * *", ["10-25 01:30+0100", "10-26 01:30+0000"]),
    ("Havana, 0 to 1", "@daily", ["03-08 01:00-0400", "03-09 00:00-0400"]),
    ("Havana, 1 to 0", "@daily", ["11-01 00:00-0400", "11-02 00:00-0500"]),
    ("Santiago, 24 to 23", "30 23 * * *", ["04-04 23:30-0300", "04-05 23:30-0400"]),
    # Wildcard entries: elapsed time, whatever the clock was put to.
    ("New York, 2 to 3", "30 * * * *", ["03-07 19:30-0500", "03-07 20:30-0500"]),
    ("New York, 2 to 3", "*/30 1-3 * * *", ["03-08 01:00-0500", "03-08 01:30-0500", "03-08 03:00-0400"]),
    ("New York, 2 to 3", "30 */2 8 3 *", ["03-08 00:30-0500", "03-08 04:30-0400"]),
    ("New York, 2 to 1", "*/30 1 * * *", ["11-01 01:00-0400", "11-01 01:30-0400", "11-01 01:00-0500"]),
    ("Berlin, 3 to 2", "*/30 2 * * *", ["10-25 02:00+0200", "10-25 02:30+0200", "10-25 02:00+0100"]),
    ("Lord Howe, 2:00 to 2:30", "*/15 2 * * *", ["10-04 02:30+1100", "10-04 02:45+1100"]),
    ("Lord Howe, 2:00 to 1:30", "*/15 1 * * *", [
        *("04-05 01:00+1100", "04-05 01:15+1100", "04-05 01:30+1100", "04-05 01:45+1100"),
        *("04-05 01:30+1030", "04-05 01:45+1030"),
    ]),
    ("Lord Howe, 2:00 to 1:30", "*/30 2 * * *", ["04-05 02:00+1030", "04-05 02:30+1030"]),
    ("Cairo, 0 to 1", "*/30 0 * * *", ["04-25 00:00+0300", "04-25 00:30+0300"]),
    ("Cairo, 24 to 23", "*/30 23 * * *", [
        *("10-29 23:00+0300", "10-29 23:30+0300", "10-29 23:00+0200", "10-29 23:30+0200"),
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("change", "text", "expected"), GOLDEN)
def test_where_a_clock_is_changed(change: str, text: str, expected: list[str]) -> None:
    timezone, evening = CHANGES[change]
    fired = list(islice(CronLine.read(text, timezone).after(evening), len(expected)))
    assert [f"{at.astimezone(ZoneInfo(timezone)):%m-%d %H:%M%z}" for at in fired] == expected
    backwards = takewhile(lambda at: at > evening, CronLine.read(text, timezone).until(fired[-1]))
    assert list(backwards) == fired[::-1]


def test_every_hour_is_every_hour_where_the_clock_is_changed_by_one() -> None:
    for timezone, evening in CHANGES.values():
        if "Lord_Howe" not in timezone:
            fired = list(islice(CronLine.read("@hourly", timezone).after(evening), 20))
            assert {later - earlier for earlier, later in pairwise(fired)} == {HOUR}


@pytest.mark.parametrize("name", NAMED)
def test_a_name_is_its_line(name: str) -> None:
    line, now = CronLine.read(NAMED[name], "UTC"), datetime(2026, 3, 1, tzinfo=UTC)
    assert CronLine.read(f" {name.upper()} ", "UTC") == line
    assert next(line.after(now)) > now


@pytest.mark.parametrize(
    ("text", "timezone", "field", "remedy"),
    [
        ("", "UTC", "cron", "MINUTE HOUR DAY MONTH WEEKDAY"),
        ("* * * *", "UTC", "cron", "MINUTE HOUR"),
        ("0 * * * * *", "UTC", "cron", "MINUTE HOUR"),
        ("* * * *\n*", "UTC", "cron", "MINUTE HOUR"),
        ("60 * * * *", "UTC", "cron", "MINUTE HOUR"),
        ("* * * * FOO", "UTC", "cron", "MINUTE HOUR"),
        ("*/0 * * * *", "UTC", "cron", "MINUTE HOUR"),
        ("0 0 30 2 *", "UTC", "cron", "MINUTE HOUR"),
        ("0 0 */31 2 MON#5", "UTC", "cron", "MINUTE HOUR"),
        ("@reboot", "UTC", "cron", "@daily"),
        (",".join(["1"] * 200) + " * * * *", "UTC", "cron", "MINUTE HOUR"),
        ("@daily", "Europe/Berln", "timezone", "did you mean 'Europe/Berlin'?"),
        ("@daily", "America", "timezone", ""),
        ("@daily", "../UTC", "timezone", ""),
        ("@daily", "", "timezone", "Europe/Berlin"),
        ("@daily", "a\0b", "timezone", ""),
    ],
)
def test_what_cannot_be_is_refused_with_a_remedy(text: str, timezone: str, field: str, remedy: str) -> None:
    with pytest.raises(BadInput) as refused:
        CronLine.read(text, timezone)
    assert refused.value.field == field
    assert remedy in (refused.value.remedy or "")


@settings(deadline=None)
@given(st.text(alphabet="0123456789*,-/#L W?@MONJAN ", max_size=30), st.text(max_size=20))
def test_any_text_is_read_or_refused(text: str, timezone: str) -> None:
    for zone in ("UTC", timezone):
        try:
            line = CronLine.read(text, zone)
        except BadInput:
            continue
        assert next(line.after(datetime(2026, 3, 1, tzinfo=UTC))).second == 0


def numbers(lowest: int, highest: int) -> st.SearchStrategy[str]:
    listed = st.lists(st.integers(lowest, highest), min_size=1, max_size=3)
    return st.one_of(listed.map(lambda values: ",".join(map(str, values))), st.sampled_from(["*", "*/7"]))


lines = st.builds(
    lambda minute, hour, day: f"{minute} {hour} * * {day}",
    numbers(0, 59),
    numbers(0, 4) | st.just("0,23") | st.just("*/2"),
    st.sampled_from(["*", "*", "SUN", "FRI,SAT"]),
)
nights = st.sampled_from([change for name, change in CHANGES.items() if "Santiago" not in name])
times = st.tuples(nights, st.timedeltas(timedelta(0), 12 * HOUR))


@settings(deadline=None)
@given(lines, times)
def test_instants_rise_without_a_repeat_and_are_the_same_backwards(
    text: str, time: tuple[tuple[str, datetime], timedelta]
) -> None:
    (timezone, evening), later = time
    line, start = CronLine.read(text, timezone), evening + later
    fired = list(islice(line.after(start), 50))
    assert all(earlier < later for earlier, later in pairwise([start, *fired]))
    assert list(takewhile(lambda at: at > start, line.until(fired[-1]))) == fired[::-1]
    assert next(line.after(fired[0])) == fired[1]  # wherever one begins


@settings(deadline=None)
@given(lines, times)
@example("15 2 * * *", (CHANGES["Lord Howe, 2:00 to 2:30"], timedelta(0)))
@example("* 2 * * *", (CHANGES["Lord Howe, 2:00 to 1:30"], timedelta(0)))
def test_it_fires_as_somebody_would_who_watches_the_clock(
    text: str, time: tuple[tuple[str, datetime], timedelta]
) -> None:
    (timezone, evening), later = time
    start = evening + later
    fired = takewhile(lambda at: at <= start + 12 * HOUR, CronLine.read(text, timezone).after(start))
    assert list(fired) == watched(text, ZoneInfo(timezone), start, start + 12 * HOUR)


def watched(text: str, zone: ZoneInfo, start: datetime, end: datetime) -> list[datetime]:
    """Minute by minute: what the clock shows is compared with the line. A fixed line takes each time that is
    shown once only, and what the clock leaves out is made up for in the minute after."""
    first = start.replace(second=0, microsecond=0) - DAY
    meant = set(takewhile(lambda at: at < naive(end, zone) + DAY, CronSim(text, naive(first, zone) - DAY)))
    fixed = not any(part.startswith("*") for part in text.split()[:2])
    fired, seen, shown, minute = [], set[datetime](), naive(first, zone), first + MINUTE
    while minute <= end:
        skipped, shown = shown + MINUTE, naive(minute, zone)
        fires = shown in meant and not (fixed and shown in seen)
        while fixed and skipped < shown:
            fires, skipped = fires or skipped in meant, skipped + MINUTE
        seen.add(shown)
        if fires and minute > start:
            fired.append(minute)
        minute += MINUTE
    return fired


def naive(at: datetime, zone: ZoneInfo) -> datetime:
    return at.astimezone(zone).replace(tzinfo=None, fold=0)
