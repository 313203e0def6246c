"""The runner's clock: seconds that also pass while the machine sleeps, and that no one can set."""

from __future__ import annotations

from time import CLOCK_BOOTTIME, clock_gettime

NEVER = float("inf")


def now() -> float:
    return clock_gettime(CLOCK_BOOTTIME)
