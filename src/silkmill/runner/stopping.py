"""The steps by which a spider is stopped: ask it, tell its group to end, kill its tree."""

from __future__ import annotations

from silkmill.runner.clock import NEVER

TYPE_CHECKING = False  # the typing module would cost every runner half a megabyte
if TYPE_CHECKING:
    from typing import Literal

    Step = Literal["ask", "terminate", "kill"]

ASK_SECONDS = 5.0


class Stopping:
    """Says which step is due. Pure: it is told the time and does nothing itself.

    `killing`: the last step was taken."""

    def __init__(self, grace: float) -> None:
        self.due_at = NEVER
        self._grace = grace
        self.killing = False
        self._steps: list[tuple[Step, float]] = []

    @property
    def begun(self) -> bool:
        return self.due_at < NEVER or self.killing

    def begin(self, now: float, can_ask: bool) -> None:
        """Start with the first step now; `can_ask`: the spider said that it listens for CANCEL."""
        if self.begun:
            return
        self._steps = [("terminate", self._grace), ("kill", 0.0)]
        if can_ask:
            self._steps.insert(0, ("ask", ASK_SECONDS))
        self.due_at = now

    def force(self, now: float) -> None:
        """Skip the graces: kill is the next step."""
        if not self.killing:
            self._steps = [("kill", 0.0)]
            self.due_at = now

    def take(self, now: float) -> Step | None:
        """The step to take now, if one is due."""
        if now < self.due_at:
            return None
        step, grace = self._steps.pop(0)
        self.killing = step == "kill"
        self.due_at = NEVER if self.killing else now + grace
        return step
