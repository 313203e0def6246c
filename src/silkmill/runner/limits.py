"""The limits of time a spider may take: in all, and without a sign of life."""

from __future__ import annotations

from silkmill.runner.clock import NEVER

TYPE_CHECKING = False  # the typing module would cost every runner half a megabyte
if TYPE_CHECKING:
    from typing import Literal


class TimeLimits:
    """Both clocks stand still while the spider is kept from writing: that time is not its own."""

    def __init__(self, runtime: float, stall: float, now: float) -> None:
        self._runtime_left_from = now
        self._quiet_from = now
        self._runtime = runtime or NEVER
        self._stall = stall or NEVER
        self._paused_at: float | None = None

    def heard(self, now: float) -> None:
        """The spider wrote something."""
        self._quiet_from = now

    def pause(self, now: float) -> None:
        self._paused_at = now

    def resume(self, now: float) -> None:
        if self._paused_at is not None:
            self._runtime_left_from += now - self._paused_at
            self._quiet_from += now - self._paused_at
            self._paused_at = None

    @property
    def due_at(self) -> float:
        """When the next limit is reached if nothing happens before."""
        if self._paused_at is not None:
            return NEVER
        return min(self._runtime_left_from + self._runtime, self._quiet_from + self._stall)

    def exceeded(self, now: float) -> Literal["runtime", "stall"] | None:
        if now < self.due_at:
            return None
        return "runtime" if now >= self._runtime_left_from + self._runtime else "stall"
