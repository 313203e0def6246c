"""The time that the preparation of an attempt may take: `limits.prepare`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

from silkmill.worker.prepare.errors import PreparationFailed


class Allowance:
    """A context that is left with PreparationFailed when the time is over; 0 seconds: whenever it is ready.

    While something outside is away, or `is_held_up` says so at the end, time does not count. Afterwards all
    of it begins anew."""

    def __init__(self, seconds: float, is_held_up: Callable[[], bool]) -> None:
        self._seconds, self._is_held_up = seconds, is_held_up
        self._away = False
        self._timeout = asyncio.timeout(None)
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        await self._timeout.__aenter__()
        self._begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._suspend()
        try:
            await self._timeout.__aexit__(kind, error, trace)
        except TimeoutError:
            limit = f"limits.prepare ({self._seconds:g} s)"
            raise PreparationFailed(f"preparation took longer than {limit}") from None

    def count(self, *, away: bool) -> None:
        """From now on it is so; a repeat changes nothing, nor does what is told after the end."""
        if away != self._away and not self._timeout.expired():
            self._away = away
            if away:
                self._suspend()
            else:
                self._begin()

    def _begin(self) -> None:
        if self._seconds:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._end)

    def _suspend(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _end(self) -> None:
        if self._is_held_up():
            self._begin()
        else:
            self._timeout.reschedule(asyncio.get_running_loop().time())
