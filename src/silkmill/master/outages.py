"""Outages: when store or bucket last refused something, for which no agent can be blamed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from silkmill.domain.errors import Unavailable
from silkmill.ports.clock import Clock


class Outages:
    """Deadlines do not run on while the engine itself does not take what an agent brings."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = float("-inf")

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Remember an Unavailable that passes through."""
        try:
            yield
        except Unavailable:
            self._last = self._clock.boottime()
            raise

    def seconds_since(self) -> float:
        """Seconds of BOOTTIME since the last refusal; infinite when there was none."""
        return self._clock.boottime() - self._last
