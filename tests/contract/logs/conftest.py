"""Log benches over the stores and buckets there are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from log_bench import LogBench

from silkmill.adapters.bucket import LocalBucket
from silkmill.adapters.store.sqlite import SqliteStore
from silkmill.domain import task as task_module
from silkmill.master.logs import grams, merged, upkeep, writer


@pytest.fixture(params=["memory", "embedded"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[LogBench]:
    """An open attempt, in memory and over SQLite with a local folder."""
    if request.param == "memory":
        bench = LogBench()
        await bench.open()
        yield bench
        await bench.expressions.close()
        return
    with SqliteStore.open(tmp_path / "silkmill.db") as store:
        bench = LogBench(store, LocalBucket(tmp_path / "bucket"))
        await bench.open()
        yield bench
        await bench.expressions.close()


@pytest.fixture
def small_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks and blocks of a few KiB, so that a small log goes through everything."""
    monkeypatch.setattr(writer, "CHUNK_BYTES", 4096)
    monkeypatch.setattr(upkeep, "BLOCK_BYTES", 2048)
    monkeypatch.setattr(task_module, "SMALL_LOG_BYTES", 1024)
    monkeypatch.setattr(merged, "INDEX_GUESS", 256)
    monkeypatch.setattr(grams, "MOST_ROWS", 4096)
