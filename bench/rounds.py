"""Measures a row in rounds: every side once a round, in turn, so that a noisy minute hits all of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Protocol

from bench.comparison import Comparison

Measure = Callable[[], Mapping[str, float]]
"""One measurement: figures by name."""


class Row(Protocol):
    """What `bench/rows/` is made of. Entering `measures` sets both sides up below `place`, on a disk."""

    @property
    def name(self) -> str: ...

    @property
    def comparisons(self) -> Sequence[Comparison]: ...

    def measures(self, place: Path) -> AbstractContextManager[Sequence[Measure]]: ...


@dataclass(frozen=True, slots=True)
class Result:
    """The medians of a row, and every single value in the order of the rounds."""

    row: Row
    values: Mapping[str, Sequence[float]]

    @property
    def medians(self) -> dict[str, float]:
        return {name: median(values) for name, values in self.values.items()}


def measure(row: Row, rounds: int, place: Path) -> Result:
    values: dict[str, list[float]] = defaultdict(list)
    with row.measures(place) as measures:
        for number in range(rounds):
            # Who is first in a round changes, so that nobody always runs on a cache that another has warmed.
            for one in measures if number % 2 == 0 else reversed(measures):
                for name, value in one().items():
                    values[name].append(value)
    return Result(row, values)
