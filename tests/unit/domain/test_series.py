"""The statistics over time: a bounded number of points from the start to the end, and no peak is lost."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

from tests.helpers import START

from silkmill.domain.series import MAX_POINTS, Point, Series, joined, with_point


def point(seconds: float, rss: int | None = 1, items: int = 0, processes: int | None = 1) -> Point:
    at = START + timedelta(seconds=seconds)
    return Point(at, items, 0, rss_bytes=rss, processes=processes)


def series_of(*points: Point) -> Series:
    series = Series()
    for each in points:
        series = with_point(series, each)
    return series


def seconds_of(series: Series) -> list[float]:
    return [(each.at - START).total_seconds() for each in series.points]


def test_the_last_point_moves_until_a_step_is_over() -> None:
    series = series_of(*(point(second) for second in range(26)))
    assert seconds_of(series) == [0, 10, 20, 25]


def test_a_point_holds_the_most_since_the_one_before() -> None:
    series = series_of(point(0, 5), point(3, 900, processes=7), point(6, 2, items=9), point(10, None))
    assert [(each.rss_bytes, each.processes, each.items) for each in series.points] == [
        (5, 1, 0),
        (900, 7, 0),
    ]
    series = series_of(point(0, 5), point(3, 900, processes=7), point(6, 2, items=9))
    assert series.points[-1] == point(6, 900, items=9, processes=7)


def test_a_point_that_is_not_later_is_left_out() -> None:
    series = series_of(point(5))
    assert with_point(series, point(5, 2)) is series
    assert with_point(series, point(4, 2)) is series


def test_their_number_is_bounded_from_the_start_to_the_end() -> None:
    peak, last = 123_456, 40 * 3600
    series = series_of(
        *(point(second, peak if second == 777 else second % 7) for second in range(0, last, 3))
    )
    assert MAX_POINTS // 2 <= len(series.points) <= MAX_POINTS
    times = seconds_of(series)
    assert times == sorted(set(times))
    assert (times[0], times[-1]) == (0, last - 3)
    assert max(each.rss_bytes or 0 for each in series.points) == peak
    assert max(later - earlier for earlier, later in pairwise(times)) <= 2 * series.step_seconds
    assert series.step_seconds > 10


def test_a_master_goes_on_with_the_points_of_the_one_before() -> None:
    older = series_of(*(point(second) for second in range(0, 31, 10)))
    newer = series_of(*(point(second) for second in range(25, 61, 5)))
    assert seconds_of(joined(older, newer)) == [0, 10, 20, 30, 45, 55, 60]
    assert joined(joined(older, newer), newer) == joined(older, newer)
    assert joined(Series(status='{"a":1}'), newer).status == '{"a":1}'
    assert joined(Series(status='{"a":1}'), Series(status='{"a":2}')).status == '{"a":2}'
