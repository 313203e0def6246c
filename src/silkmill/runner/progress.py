"""Tells the agent how far the streams have grown: a hint; the truth is in the attempt directory."""

from __future__ import annotations

from silkmill.runner.clock import NEVER

TYPE_CHECKING = False  # the typing module would cost every runner half a megabyte
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from silkmill.runner.spool import Spool

    # Tells the agent about an event and its fields; False: not now.
    Announce = Callable[[str, dict[str, Any]], bool]

_PERIOD_SECONDS = 0.01


class Progress:
    """The first bytes are announced at once, then at most a hundred times a second."""

    def __init__(self, spool: Spool, announce: Announce) -> None:
        self._spool = spool
        self._announce = announce
        self._announced = spool.sizes
        self._next_at = 0.0

    @property
    def due_at(self) -> float:
        return self._next_at if self._spool.sizes != self._announced else NEVER

    def announce_if_due(self, now: float) -> None:
        if now < self.due_at:
            return
        self._next_at = now + _PERIOD_SECONDS
        log, items, count = sizes = self._spool.sizes
        if self._announce("wrote", {"log": log, "items": items, "count": count}):
            self._announced = sizes
