"""The one background loop of the engine, its back-off while a part is away, turns for long calculations."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import NoReturn, TypeVar

import structlog

from silkmill.domain.errors import Unavailable

_log = structlog.get_logger(__name__)
Value = TypeVar("Value")


class Backoff:
    """Pauses that double from `first` to `cap` seconds, with jitter so that waiters do not come together."""

    def __init__(self, first: float = 0.1, cap: float = 5.0) -> None:
        self._first, self._cap = first, cap
        self._next = first

    def next(self) -> float:
        """The pause to take now, in seconds: between half and all of the current step."""
        pause, self._next = self._next, min(self._next * 2, self._cap)
        return pause * random.uniform(0.5, 1.0)

    async def wait(self) -> None:
        await asyncio.sleep(self.next())

    def reset(self) -> None:
        """Call it after a success."""
        self._next = self._first


async def side_by_side(steps: Iterable[Awaitable[object]]) -> None:
    """So that their writes share a commit; the first error is raised when all are done."""
    results = await asyncio.gather(*steps, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result


async def in_turns(values: Iterable[Value], at_once: int = 200) -> AsyncIterator[Value]:
    """The values one by one. After so many of them all others that wait for the event loop have a turn: for
    long calculations, which would hold up every heartbeat."""
    for count, value in enumerate(values, 1):
        yield value
        if count % at_once == 0:
            await asyncio.sleep(0)


async def every(
    seconds: float, tick: Callable[[], Awaitable[object]], *, wake: asyncio.Event | None = None
) -> NoReturn:
    """Run `tick` now, then again after `seconds` or as soon as `wake` is set, until cancelled.

    A tick that raises Unavailable is logged and tried again with back-off, which `wake` does not shorten. Any
    other exception propagates, so that the owning task group ends loudly. `wake` is cleared before each tick:
    what is set during a tick causes the next one."""
    wake = wake or asyncio.Event()
    backoff = Backoff()
    while True:
        wake.clear()
        try:
            await tick()
        except Unavailable as away:
            _log.warning("tick failed, trying again", tick=_name_of(tick), cause=str(away))
            await backoff.wait()
        else:
            backoff.reset()
            await wait_set(wake, seconds)


async def wait_set(event: asyncio.Event, seconds: float) -> None:
    """Until the event is set, at most `seconds`."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def _name_of(tick: Callable[[], object]) -> str:
    return getattr(tick, "__qualname__", repr(tick))
