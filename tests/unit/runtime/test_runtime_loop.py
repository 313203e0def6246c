"""The background loop: its pace, its wake-up, and what it does with errors."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest

from helpers import wait_until_async
from silkmill.domain.errors import Unavailable
from silkmill.runtime import loop
from silkmill.runtime.loop import Backoff, every, wait_set


class Ticks:
    """Counts ticks; raises `errors` in turn first."""

    def __init__(self, *errors: Exception) -> None:
        self.count, self._errors = 0, list(errors)

    async def tick(self) -> None:
        self.count += 1
        if self._errors:
            raise self._errors.pop(0)

    async def reached(self, count: int) -> None:
        async def enough() -> bool:
            return self.count >= count

        await wait_until_async(enough, 5, lambda: self.count)


async def running(coroutine: Coroutine[Any, Any, Any], check: Callable[[], Awaitable[None]]) -> None:
    """Run the loop beside the check, then cancel it."""
    async with asyncio.TaskGroup() as group:
        background = group.create_task(coroutine)
        await check()
        background.cancel()


async def test_the_first_tick_is_at_once_and_more_follow() -> None:
    ticks = Ticks()
    await running(every(0.01, ticks.tick), lambda: ticks.reached(3))


async def test_a_wake_up_does_not_wait_for_the_pace() -> None:
    ticks, wake = Ticks(), asyncio.Event()

    async def check() -> None:
        await ticks.reached(1)
        wake.set()
        await ticks.reached(2)
        assert not wake.is_set()

    await running(every(3600, ticks.tick, wake=wake), check)
    assert ticks.count == 2


async def test_what_is_set_during_a_tick_causes_the_next_one() -> None:
    wake, count = asyncio.Event(), 0

    async def tick() -> None:
        nonlocal count
        count += 1
        if count == 1:
            wake.set()

    async def check() -> None:
        async def twice() -> bool:
            return count == 2

        await wait_until_async(twice)

    await running(every(3600, tick, wake=wake), check)


async def test_an_absent_part_is_tried_again_sooner_than_the_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "Backoff", lambda: Backoff(first=0.01))
    ticks = Ticks(Unavailable("store", "full"), Unavailable("store", "full"))
    await running(every(3600, ticks.tick), lambda: ticks.reached(3))
    assert ticks.count == 3


async def test_back_off_starts_anew_after_a_success(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    class Recorded:
        async def wait(self) -> None:
            calls.append("wait")

        def reset(self) -> None:
            calls.append("reset")

    monkeypatch.setattr(loop, "Backoff", Recorded)
    ticks = Ticks(Unavailable("store", "full"), Unavailable("store", "full"))
    await running(every(0.001, ticks.tick), lambda: ticks.reached(4))
    assert calls[:3] == ["wait", "wait", "reset"]


async def test_another_error_ends_the_loop_loudly() -> None:
    ticks = Ticks(KeyError("defect"))
    with pytest.raises(KeyError, match="defect"):
        await every(3600, ticks.tick)


async def test_waiting_ends_with_the_event_or_the_time() -> None:
    event = asyncio.Event()
    began = time.monotonic()
    await wait_set(event, 0.05)
    assert time.monotonic() - began >= 0.05
    event.set()
    await wait_set(event, 3600)


async def test_a_cancelled_wait_is_cancelled() -> None:
    waiting = asyncio.ensure_future(wait_set(asyncio.Event(), 3600))
    await asyncio.sleep(0)
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting
    assert waiting.cancelled()


def test_back_off_doubles_up_to_its_cap_and_starts_anew() -> None:
    backoff = Backoff(first=1.0, cap=4.0)
    for step in (1.0, 2.0, 4.0, 4.0):
        assert step / 2 <= backoff.next() <= step
    backoff.reset()
    assert backoff.next() <= 1.0
