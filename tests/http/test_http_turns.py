"""Large requests leave the event loop its turns: whoever else waits is served meanwhile."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from tests.support.master_rig import Rig

LINES = 30_000
LINE = b'{"spider": "news", "params": {}, "tags": ["eu", "nightly"], "env": {"A": "1"}}'
LARGE = 300 << 20
PIECE = bytes(1 << 16)


class Turns:
    """How long others had to wait for the event loop, in seconds."""

    def __init__(self) -> None:
        self.count = 0
        self.longest = self.total = 0.0
        self._begun = self._last = time.perf_counter()

    async def watch(self) -> None:
        while True:
            await asyncio.sleep(0.0005)
            self.look()

    def look(self) -> None:
        now = time.perf_counter()
        self.count += 1
        self.longest = max(self.longest, now - self._last)
        self.total, self._last = now - self._begun, now

    @property
    def share(self) -> float:
        """Of the whole time, what was the longest wait."""
        return self.longest / self.total


@contextmanager
def turns() -> Iterator[Turns]:
    turns = Turns()
    watching = asyncio.get_running_loop().create_task(turns.watch())
    try:
        yield turns
    finally:
        turns.look()
        watching.cancel()


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    """The store in memory keeps every task as Python values, which no real one does."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("body", [b"\n".join([LINE] * LINES), b"[" + b",".join([LINE] * LINES) + b"]"])
async def test_a_submission_of_many(rig: Rig, version: str, http: httpx.AsyncClient, body: bytes) -> None:
    with turns() as seen:
        answer = await http.post("/api/v1/tasks/bulk", content=body)
    assert (answer.status_code, answer.json()["count"]) == (201, LINES)
    assert seen.share < 0.06, vars(seen)
    assert seen.count > LINES / 500, vars(seen)
