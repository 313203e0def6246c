"""What agents tell of the attempts that they prepare. In memory: hints, for `why` and for the deadline."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from silkmill.domain.attempt import AttemptRef
from silkmill.ports.clock import Clock

AWAY_LASTS_SECONDS = 15.0
"""While something is away, an agent tells it again and again within this time."""


@dataclass(frozen=True, slots=True)
class _Told:
    doing: str
    away_at: float


class Preparations:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told: dict[AttemptRef, _Told] = {}

    def told(self, ref: AttemptRef, doing: str, *, away: bool) -> None:
        """`away`: it waits for something outside, for which nobody here is to blame."""
        before = self._told.get(ref)
        away_at = before.away_at if before else float("-inf")
        self._told[ref] = _Told(doing, self._clock.boottime() if away else away_at)

    def doing(self, ref: AttemptRef) -> str | None:
        """The last that was told."""
        told = self._told.get(ref)
        return told.doing if told else None

    def seconds_since_away(self, ref: AttemptRef) -> float:
        """Seconds of BOOTTIME, 0 while it is away; infinite when nothing outside was."""
        told = self._told.get(ref)
        return max(0.0, self._clock.boottime() - told.away_at - AWAY_LASTS_SECONDS) if told else float("inf")

    def keep_only(self, refs: Iterable[AttemptRef]) -> None:
        """Forget attempts that are not open any more."""
        if self._told:
            kept = set(refs)
            self._told = {ref: told for ref, told in self._told.items() if ref in kept}
