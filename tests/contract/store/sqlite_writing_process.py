"""A process that writes to a SQLite store as fast as it can and says what was answered, until it is killed.

Prints one line a claim (`task ID`) and one an answered append (`ID items_count log_offset`).
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from helpers import changed, insert_claimed
from silkmill.adapters.store.sqlite import SqliteStore
from silkmill.domain.events import Accept


async def write(store: SqliteStore) -> None:
    task = await insert_claimed(store)
    task = await store.swap(task, changed(task, Accept()))
    ref, count, log_offset = task.ref, 0, 0
    print("task", task.id, flush=True)
    while True:
        records = [b"%06d" % ordinal for ordinal in range(count, count + 10)]
        await store.append_items(ref, "session-1", count * 7, count, records)
        count += 10
        await store.append_log(ref, "session-1", log_offset, b"%09d\n" % log_offset)
        log_offset += 10
        task = await store.swap(task, changed(task, reason=str(count)))
        print(task.id, count, log_offset, flush=True)


async def main(path: Path) -> None:
    with SqliteStore.open(path) as store:
        await asyncio.gather(*(write(store) for _ in range(4)))


asyncio.run(main(Path(sys.argv[1])))
