"""The statistics of an attempt over time: the longer it runs, the wider apart are the points."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import zip_longest
from typing import NamedTuple

MAX_POINTS = 240
STEP_SECONDS = 10


class Point(NamedTuple):
    """The numbers of an attempt at a time, those of `Statistics` and of its streams. None: not known.

    `rss_bytes` and `processes` are the most since the point before."""

    at: datetime
    items: int
    log_bytes: int
    log_lines: int | None = None
    errors: int | None = None
    progress: float | None = None
    rss_bytes: int | None = None
    processes: int | None = None
    cpu_seconds: float | None = None
    read_bytes: int | None = None
    written_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """A record of its own, under the name of the attempt. The last point moves until it is `step_seconds`
    behind the one before. `status`: the latest STATUS message, as JSON."""

    points: tuple[Point, ...] = ()
    step_seconds: int = STEP_SECONDS
    status: str | None = None


def with_point(series: Series, point: Point) -> Series:
    """One that is not later than the last is left out."""
    points = series.points
    if points and point.at <= points[-1].at:
        return series
    step = timedelta(seconds=series.step_seconds)
    if len(points) > 1 and points[-1].at - points[-2].at < step:
        return replace(series, points=(*points[:-1], _later(points[-1], point)))
    return _thinned(replace(series, points=(*points, point)))


def joined(older: Series, newer: Series) -> Series:
    """The series of two masters that saw the same attempt one after the other."""
    series = replace(older, status=newer.status or older.status)
    for point in newer.points:
        series = with_point(series, point)
    return series


def _thinned(series: Series) -> Series:
    """Over the bound, every two points become one, and later ones come half as often."""
    if len(series.points) <= MAX_POINTS:
        return series
    first, rest = series.points[0], series.points[1:]
    pairs = zip_longest(rest[::2], rest[1::2])
    merged = (one if other is None else _later(one, other) for one, other in pairs)
    return replace(series, points=(first, *merged), step_seconds=series.step_seconds * 2)


def _later(one: Point, other: Point) -> Point:
    """The later of two neighbours in place of both, so that no peak is lost."""
    return other._replace(
        rss_bytes=_most(one.rss_bytes, other.rss_bytes), processes=_most(one.processes, other.processes)
    )


def _most(one: int | None, other: int | None) -> int | None:
    return max((value for value in (one, other) if value is not None), default=None)
