"""Merging and cleaning up: once, at its time, by whoever comes first."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from log_bench import LATER, NOW, REF, LogBench, sample_log

from silkmill.domain.errors import Unavailable
from silkmill.master.logs import LogUpkeep, encoder

LOG, _, _ = sample_log(30_000)


async def test_two_masters_merge_one_log(small_sizes: None, bench: LogBench) -> None:
    await bench.append_all(LOG, 1700)
    await bench.close()
    other = LogUpkeep(bench.store, bench.bucket, bench.change)
    closed = await bench.task()
    await asyncio.gather(bench.upkeep.upkeep(closed, NOW), other.upkeep(closed, NOW))
    await other.upkeep(closed, NOW)
    merged = [name for name in await bench.bucket.names("logs/") if "merged" in name]
    assert merged == [(await bench.task()).history[0].log_object]
    assert await bench.log() == LOG


async def test_an_open_attempt_is_left_alone(small_sizes: None, bench: LogBench) -> None:
    await bench.append_all(LOG, 1700)
    before = await bench.bucket.names("logs/")
    await bench.keep_up(LATER)
    assert await bench.bucket.names("logs/") == before


async def test_chunks_stay_for_an_hour_after_the_merge(small_sizes: None, bench: LogBench) -> None:
    await bench.append_all(LOG, 1700)
    chunks = await bench.bucket.names("logs/")
    await bench.close()
    await bench.keep_up(NOW)
    await bench.keep_up(NOW + timedelta(minutes=59))
    assert set(chunks) < set(await bench.bucket.names("logs/"))
    assert await bench.store.log_tail(REF) == []
    assert (await bench.task()).upkeep_at == NOW + timedelta(hours=1)
    await bench.keep_up(LATER)
    task = await bench.task()
    assert (task.history[0].chunks_deleted, task.upkeep_at) == (True, None)
    assert await bench.bucket.names("logs/") == [task.history[0].log_object]


async def test_the_packing_process_does_not_outlive_a_merge_that_fails(
    small_sizes: None, bench: LogBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(name: str, pieces: AsyncIterator[bytes]) -> None:
        await anext(pieces)
        started.append(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()[-1])
        raise Unavailable("bucket", "no space left")

    started: list[str] = []
    monkeypatch.setattr(encoder, "FEW_BYTES", 0)
    monkeypatch.setattr(bench.bucket, "put_stream", full)
    await bench.append_all(LOG, 1700)
    await bench.close()
    with pytest.raises(Unavailable, match="no space left"):
        await bench.keep_up(NOW)
    assert not Path(f"/proc/{started[0]}").exists()
