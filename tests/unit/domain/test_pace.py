"""Items per minute: of the last minute while it runs, of the whole run afterwards."""

from __future__ import annotations

from datetime import timedelta

from tests.helpers import START

from silkmill.domain.pace import Counts, counted, items_per_minute


def after(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


def counts_of(*pairs: tuple[float, int]) -> Counts:
    counts: Counts = ()
    for seconds, items in pairs:
        counts = counted(counts, items, START + after(seconds))
    return counts


def test_before_a_minute_is_over_it_is_that_of_the_run_so_far() -> None:
    counts = counts_of((1, 2), (5, 10))
    assert items_per_minute(15, START, START + after(30), counts) == 30.0


def test_then_it_is_that_of_the_last_minute() -> None:
    counts = counts_of(*((float(second), second) for second in range(0, 601, 3)))
    assert items_per_minute(600, START, START + after(600), counts) == 60.0
    assert items_per_minute(600, START, START + after(630), counts) == 30.0
    assert items_per_minute(600, START, START + after(660), counts) == 0.0


def test_what_is_remembered_is_bounded_and_reaches_back_a_minute() -> None:
    counts = counts_of(*((second / 4, second) for second in range(4000)))
    assert 30 <= len(counts) <= 32
    assert after(60) <= counts[-1][0] - counts[0][0] < after(65)


def test_a_master_that_has_just_begun_tells_that_of_the_run() -> None:
    counts = counts_of((3600, 7200))
    assert items_per_minute(7210, START, START + after(3605), counts) == 120.0


def test_of_an_ended_attempt_it_is_that_of_the_whole_run() -> None:
    assert items_per_minute(90, START, START + after(180)) == 30.0
    assert items_per_minute(1, START, START) is None
