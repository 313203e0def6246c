"""Time as the core sees it."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """`now` is the wall clock in aware UTC; `boottime` are seconds of CLOCK_BOOTTIME, for every deadline."""

    def now(self) -> datetime: ...

    def boottime(self) -> float: ...
