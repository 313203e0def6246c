"""The end of a process tree: wait a moment for what is left, kill it, see that nothing is left."""

from __future__ import annotations

from silkmill.runner.clock import NEVER

TYPE_CHECKING = False  # the typing module would cost every runner half a megabyte
if TYPE_CHECKING:
    from silkmill.protocol.attemptdir import Outcome
    from silkmill.runner.containment import ProcessTree

_LINGER_SECONDS = 1.0  # others of the tree may still write after the main process
_QUIET_SECONDS = 0.02  # nobody can write any more: who is about to exit may do so, the rest are daemons
_REPEAT_SECONDS = 0.01
_PATIENCE_SECONDS = 10.0  # SIGKILL does not reach a process that waits for a dead disk


class Ending:
    """Told the time and what happened; acts on the tree. `over` when the tree is gone or cannot be killed."""

    def __init__(self, tree: ProcessTree) -> None:
        self.over = False
        self.due_at = NEVER
        self._tree = tree
        self._proven_gone = False
        self._survivors: list[int] = []
        self._main_ended = False
        self._linger_until = NEVER
        self._give_up_at = NEVER
        self._killed_with_main: set[int] = set()
        self._killed_after: set[int] = set()

    def describe(self, outcome: Outcome) -> None:
        """Write what is known into the outcome."""
        outcome["verified"] = self._proven_gone
        outcome["survivors"] = self._survivors
        outcome["leftovers"] = len(self._killed_after - self._killed_with_main)

    @property
    def killing(self) -> bool:
        return self._give_up_at < NEVER

    def main_process_ended(self, now: float) -> None:
        self._main_ended = True
        self._linger_until = now + _LINGER_SECONDS

    def kill(self, now: float) -> None:
        """Kill the tree, now and until it is gone."""
        if not self.killing:
            self._give_up_at = now + _PATIENCE_SECONDS
        hit = self._tree.kill()
        (self._killed_after if self._main_ended else self._killed_with_main).update(hit)
        self.due_at = now + _REPEAT_SECONDS

    def tick(self, now: float, pipes_ended: bool) -> None:
        if self.over:
            return
        if self._main_ended and self._tree.is_gone():
            self._proven_gone = self.over = True
        elif now >= self._give_up_at:
            self._survivors = sorted(self._tree.pids())
            self.over = True
        elif self.killing:
            if now >= self.due_at:
                self.kill(now)
        elif self._main_ended:
            self._linger(now, pipes_ended)

    def _linger(self, now: float, pipes_ended: bool) -> None:
        if pipes_ended:
            self._linger_until = min(self._linger_until, now + _QUIET_SECONDS)
        self.due_at = self._linger_until
        if now >= self._linger_until:
            self.kill(now)
