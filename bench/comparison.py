"""One line of the table: a figure of ours beside a baseline, and what is asked of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Reached(StrEnum):
    AIM = "aim"
    AT_LEAST = "at least"
    NO = "NO"
    NOT_ASKED = "-"


@dataclass(frozen=True, slots=True)
class Comparison:
    """`ours` and `baseline` name figures in `unit`. Bounds are on their ratio, or on ours alone. A comparison
    without bounds is shown and not judged."""

    what: str
    unit: str
    ours: str
    baseline: str
    at_least: float | None = None
    aim: float | None = None
    better: Literal["higher", "lower"] = "higher"
    bounds_on: Literal["ratio", "ours"] = "ratio"

    def ratio(self, figures: Mapping[str, float]) -> float:
        return figures[self.ours] / figures[self.baseline]

    def reached(self, figures: Mapping[str, float]) -> Reached:
        if self.at_least is None:
            return Reached.NOT_ASKED
        judged = self.ratio(figures) if self.bounds_on == "ratio" else figures[self.ours]
        if self.aim is not None and self._meets(judged, self.aim):
            return Reached.AIM
        return Reached.AT_LEAST if self._meets(judged, self.at_least) else Reached.NO

    def bound(self, value: float | None) -> str:
        """A bound as it is written: `≥ 0.7x`, `≤ 160 MiB`; `-` where there is none."""
        if value is None:
            return "-"
        sign = "≥" if self.better == "higher" else "≤"
        return f"{sign} {value:g}x" if self.bounds_on == "ratio" else f"{sign} {value:g} {self.unit}"

    def _meets(self, value: float, bound: float) -> bool:
        return value >= bound if self.better == "higher" else value <= bound
