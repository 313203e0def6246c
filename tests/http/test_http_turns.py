"""Large requests leave the event loop its turns: whoever else waits is served meanwhile."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from tests.http.conftest import TOKEN, URL, app_of
from tests.support.master_rig import Rig

from silkmill.adapters.bucket import LocalBucket
from silkmill.adapters.store.memory import MemoryStore

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
    assert seen.share < 0.2, vars(seen)
    assert seen.count > LINES / 500, vars(seen)


async def test_a_large_upload(tmp_path: Path) -> None:
    rig = Rig(MemoryStore(), LocalBucket(tmp_path / "bucket"))
    content = hashlib.sha256()
    for _ in range(LARGE // len(PIECE)):
        content.update(PIECE)
    sha256 = content.hexdigest()

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(LARGE // len(PIECE)):
            yield PIECE

    transport = httpx.ASGITransport(app_of(rig))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(transport=transport, base_url=URL, headers=headers) as http:
        with turns() as seen:
            answer = await http.put(f"/api/v1/blobs/{sha256}", content=pieces())
    assert answer.status_code == 204
    assert await rig.uploads.missing([sha256]) == []
    assert seen.share < 0.12, vars(seen)
    assert seen.count > LARGE >> 20, vars(seen)
