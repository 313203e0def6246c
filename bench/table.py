"""Results as a table for people and as values for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.rounds import Result

HEAD = ("row", "figure", "silkmill", "baseline", "ratio", "at least", "aim", "reached")


def as_lines(results: Sequence[Result]) -> list[str]:
    rows = [HEAD, *(line for result in results for line in _lines(result))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def as_values(results: Sequence[Result]) -> list[dict[str, Any]]:
    return [value for result in results for value in _values(result)]


def _lines(result: Result) -> list[tuple[str, ...]]:
    figures = result.medians
    return [
        (
            result.row.name,
            one.what,
            f"{_short(figures[one.ours])} {one.unit}",
            f"{_short(figures[one.baseline])} {one.unit} ({one.baseline})",
            f"{one.ratio(figures):.2f}x",
            one.bound(one.at_least),
            one.bound(one.aim),
            one.reached(figures).value,
        )
        for one in result.row.comparisons
    ]


def _values(result: Result) -> list[dict[str, Any]]:
    figures = result.medians
    return [
        {
            "row": result.row.name,
            "figure": one.what,
            "unit": one.unit,
            "silkmill": figures[one.ours],
            "baseline": figures[one.baseline],
            "baseline_name": one.baseline,
            "ratio": round(one.ratio(figures), 3),
            "at_least": one.at_least,
            "aim": one.aim,
            "bounds_on": one.bounds_on,
            "better": one.better,
            "reached": one.reached(figures).value,
            "rounds": {name: list(result.values[name]) for name in (one.ours, one.baseline)},
        }
        for one in result.row.comparisons
    ]


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
