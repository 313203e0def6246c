"""A row of the scoreboard, its profile and its result."""

from __future__ import annotations

import importlib
import pkgutil
import random
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults import rows


@dataclass(frozen=True, slots=True)
class Profile:
    """How much is injected: `full` is what the published board runs, `short` what every test run does."""

    name: str
    seed: int

    @property
    def full(self) -> bool:
        return self.name == "full"

    def pick(self, *, short: Any, full: Any) -> Any:
        return full if self.full else short

    def random(self) -> random.Random:
        return random.Random(self.seed)


@dataclass(slots=True)
class Result:
    """Filled by a row while it runs; a broken invariant is an AssertionError that the row raises."""

    runs: int = 0
    figures: dict[str, Any] = field(default_factory=dict)
    recovery_seconds: list[float] = field(default_factory=list)

    def passed(self, recovery_seconds: float | None = None) -> None:
        """One injection survived."""
        self.runs += 1
        if recovery_seconds is not None:
            self.recovery_seconds.append(recovery_seconds)

    @property
    def recovery(self) -> str:
        if not self.recovery_seconds:
            return "-"
        ordered = sorted(self.recovery_seconds)
        p99 = ordered[min(len(ordered) - 1, round(0.99 * len(ordered)))]
        return f"{statistics.median(ordered):.2f} s / {p99:.2f} s"


@dataclass(frozen=True, slots=True)
class Row:
    """`run(folder, profile, result)` raises AssertionError when the invariant is broken or the fault had no
    effect. `needs` names what the machine must have (root, cgroup)."""

    id: str
    fault: str
    invariant: str
    run: Callable[[Path, Profile, Result], None]
    needs: tuple[str, ...] = ()


def all_rows() -> list[Row]:
    """Every `ROW` or `ROWS` of the modules in tests/faults/rows, by id."""
    found: list[Row] = []
    for module in pkgutil.iter_modules(rows.__path__):
        loaded = importlib.import_module(f"{rows.__name__}.{module.name}")
        found += getattr(loaded, "ROWS", None) or [loaded.ROW]
    return sorted(found, key=lambda row: row.id)
