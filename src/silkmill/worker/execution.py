"""What a runner has said about the attempt it runs, to be waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from enum import Enum


class End(Enum):
    """How a runner let go of an attempt. GONE: it died, or has it no more; the files tell the rest."""

    DONE = "done"
    REFUSED = "refused"
    GONE = "gone"


class Execution:
    """Filled in by the runner's events. `on_growth(log bytes, items bytes, items)` hears of new output.

    `handed_over`: a runner has been told of it, so that its end must be waited for."""

    def __init__(self, directory: str, on_growth: Callable[[int, int, int], None]) -> None:
        self.directory = directory
        self.on_growth = on_growth
        self.pid: int | None = None
        self.started_at: datetime | None = None
        self.handed_over = False
        self.main_process_ended = False
        self.refusal = ""
        self._begun = asyncio.Event()
        self._ended = asyncio.Event()
        self._end: End | None = None

    @property
    def started(self) -> bool:
        return self.pid is not None

    @property
    def end(self) -> End | None:
        return self._end

    def has_started(self, pid: int, at: datetime | None) -> None:
        """`at` None: the start was reported by an agent before us."""
        self.pid, self.started_at = pid, at
        self._begun.set()

    def has_ended(self, end: End) -> None:
        if self._end is None:
            self._end = end
            self._begun.set()
            self._ended.set()

    async def wait_begun(self) -> None:
        """Until the spider has started, or the attempt is over without."""
        await self._begun.wait()

    async def wait_ended(self) -> End:
        await self._ended.wait()
        assert self._end is not None
        return self._end
