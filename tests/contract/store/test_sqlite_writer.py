"""SQLite alone: group commit, durability settings, a killed process, and a file that takes no writes."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from helpers import changed, insert_claimed, make_task, wait_until, wait_until_async
from silkmill.adapters.store import connection, writer
from silkmill.adapters.store.counting import CountingCursor
from silkmill.adapters.store.sqlite import SqliteStore
from silkmill.domain.errors import Conflict, Unavailable
from silkmill.domain.states import State
from silkmill.domain.task import Task
from silkmill.domain.version import Blob
from silkmill.ports.store import Stored, TaskFilter
from silkmill.runtime import faults

TESTS = Path(__file__).parents[2]
# Ours beside what the tests were started with.
PATHS = [str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(PATHS)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "silkmill.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    with SqliteStore.open(path) as store:
        yield store


async def faults_hit(name: str) -> bool:
    return faults.hits(name) > 0


def pragma(store: SqliteStore, name: str) -> object:
    return store._writer._connection.execute(f"PRAGMA {name}").fetchone()[0]


async def test_commits_are_synchronous_in_wal_mode(store: SqliteStore) -> None:
    full = 2
    assert pragma(store, "synchronous") == full
    assert pragma(store, "journal_mode") == "wal"
    assert pragma(store, "busy_timeout") == connection.BUSY_SECONDS * 1000


async def test_what_arrives_during_a_commit_is_committed_together(store: SqliteStore) -> None:
    faults.arm("store.before_commit=pause:0.3")
    first = asyncio.ensure_future(store.ping())
    await wait_until_async(lambda: faults_hit("store.before_commit"))
    await asyncio.gather(*(store.insert_tasks([make_task()]) for _ in range(100)))
    assert first.done()
    assert store._writer.groups == 2
    assert len(await store.tasks(TaskFilter(), limit=200)) == 100


@pytest.mark.parametrize(("bound", "value"), [("GROUP_OPERATIONS", 2), ("GROUP_BYTES", 100)])
async def test_a_flood_is_committed_in_bounded_groups(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, bound: str, value: int
) -> None:
    """Though all of it was asked for in one turn of the event loop."""
    monkeypatch.setattr(writer, bound, value)
    await asyncio.gather(*(store._writer.write(lambda cursor: None, size=60) for _ in range(10)))
    assert store._writer.groups == 5


async def test_what_has_no_savepoint_changes_by_one_statement(store: SqliteStore) -> None:
    """So that SQLite itself does all of it or nothing. The counts are written once, after all of them."""
    seen: list[str] = []
    store._writer._connection.set_trace_callback(seen.append)
    task, tagged, blob = make_task(), make_task(tags=("a", "b")), Blob("s", "name", 1, make_task().created_at)
    await store.insert_tasks([task])
    await store.insert_tasks([tagged])
    await store.insert_tasks([make_task(), make_task()])
    await store.swap(task, changed(task, priority=1))
    with pytest.raises(Conflict):
        await store.swap(task, changed(task, priority=2))
    record = await store.replace_record(await inserted(store, blob), replace(blob, size=2), "change")
    await store.delete_record(record)
    await store.ping()
    transactions = [text.split("\n") for text in "\n".join(seen).split("BEGIN IMMEDIATE")[1:]]
    changes = [
        sum(line.startswith(("INSERT", "UPDATE", "DELETE")) for line in lines if "task_counts" not in line)
        for lines in transactions
        if "SAVEPOINT operation" not in lines
    ]
    assert changes == [1] * 7
    assert len(transactions) == 9


async def inserted(store: SqliteStore, blob: Blob) -> Stored[Blob]:
    await store.insert_record(blob.sha256, blob)
    return Stored(blob.sha256, blob, 0)


async def test_a_refused_write_leaves_the_rest_of_its_group(store: SqliteStore) -> None:
    task = make_task()
    await store.insert_tasks([task])
    faults.arm("store.before_commit=pause:0.2")
    first, won, refused, last = await asyncio.gather(
        store.ping(),
        store.swap(task, changed(task, priority=1)),
        store.swap(task, changed(task, priority=2)),
        store.insert_tasks([make_task()]),
        return_exceptions=True,
    )
    assert (first, last) == (None, None)
    assert isinstance(won, Task)
    assert isinstance(refused, Conflict)
    assert len(await store.tasks(TaskFilter(), limit=10)) == 2


async def test_a_defect_in_one_write_is_raised_to_its_caller_alone(store: SqliteStore) -> None:
    def wrong(cursor: sqlite3.Cursor) -> None:
        cursor.execute("UPDATE pulse SET beats = 99")
        cursor.execute("SELECT 1 FROM nowhere")

    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        await store._writer.write(wrong)
    await store.ping()
    assert await store._rows("SELECT beats FROM pulse", {}) == [(1,)]


async def test_a_write_that_is_undone_counts_nothing(store: SqliteStore) -> None:
    def counts_and_fails(cursor: CountingCursor) -> None:
        cursor.counts["default", "news", State.PENDING] += 7
        raise ValueError

    faults.arm("store.before_commit=pause:0.2")
    first = asyncio.ensure_future(store.ping())
    await wait_until_async(lambda: faults_hit("store.before_commit"))
    task = make_task()
    undone = [asyncio.ensure_future(store._writer.write(counts_and_fails)) for _ in range(2)]
    inserts = (store.insert_tasks([one]) for one in (task, task, make_task()))
    await asyncio.gather(first, *inserts)
    assert [type(one.exception()) for one in undone] == [ValueError] * 2
    assert await store.count_tasks() == {task.state: 2}
    assert store._writer.groups == 2


async def test_tasks_lie_in_the_order_of_their_submission(store: SqliteStore) -> None:
    """Whatever their spiders: those that run at the same time share pages, which one commit writes once."""
    tasks = [make_task(spider=("news", "prices")[number % 2]) for number in range(6)]
    await store.insert_tasks(tasks)
    rows = await store._rows("SELECT id FROM tasks ORDER BY rowid", {})
    assert [task_id for (task_id,) in rows] == [task.id for task in tasks]


async def test_what_is_no_more_leaves_no_count(store: SqliteStore) -> None:
    task = make_task()
    await store.insert_tasks([task])
    ended = await store.swap(task, changed(task, state=State.ERROR))
    await store.delete_task(ended)
    assert await store._rows("SELECT * FROM task_counts", {}) == []


async def test_an_older_copy_of_another_state_changes_nothing(store: SqliteStore) -> None:
    task = make_task(state=State.ERROR)
    await store.insert_tasks([task])
    other = replace(task, state=State.PENDING)
    with pytest.raises(Conflict):
        await store.swap(other, changed(other, priority=1))
    with pytest.raises(Conflict):
        await store.delete_task(other)
    assert await store.count_tasks() == {State.ERROR: 1}


async def test_a_lost_group_counts_nothing(store: SqliteStore) -> None:
    faults.arm("store.before_commit=error@1*1")
    with pytest.raises(Unavailable):
        await store.insert_tasks([make_task()])
    assert await store.count_tasks() == {}
    await store.insert_tasks([make_task()])
    assert sum((await store.count_tasks()).values()) == 1


async def test_a_cancelled_caller_does_not_disturb_the_others(store: SqliteStore) -> None:
    faults.arm("store.before_commit=pause:0.2")
    waiting = asyncio.ensure_future(store.insert_tasks([make_task()]))
    other = asyncio.ensure_future(store.insert_tasks([make_task()]))
    await asyncio.sleep(0)
    waiting.cancel()
    await other
    assert len(await store.tasks(TaskFilter(), limit=10)) >= 1


async def test_leaving_the_store_commits_what_was_handed_in(path: Path) -> None:
    with SqliteStore.open(path) as store:
        handed_in = [asyncio.ensure_future(store.insert_tasks([make_task()])) for _ in range(50)]
        await asyncio.sleep(0)
    await asyncio.gather(*handed_in)
    with pytest.raises(Unavailable, match="closed"):
        await store.ping()
    with SqliteStore.open(path) as store:
        assert len(await store.tasks(TaskFilter(), limit=100)) == 50


async def test_a_full_file_fails_what_does_not_fit_and_resumes(store: SqliteStore) -> None:
    """SQLite gives up the whole transaction when the file is full; what does fit is committed alone."""
    task = await insert_claimed(store)
    pages = pragma(store, "page_count")
    pragma(store, f"max_page_count = {pages}")
    faults.arm("store.before_commit=pause:0.2")
    first, full, small = await asyncio.gather(
        store.ping(),
        store.append_items(task.ref, "session-1", 0, 0, [b"x" * 100_000]),
        store.swap(task, changed(task, priority=1)),
        return_exceptions=True,
    )
    assert first is None
    assert isinstance(full, Unavailable)
    assert "full" in full.cause
    assert isinstance(small, Task)
    assert await store.task(task.id) == small
    pragma(store, "max_page_count = 100000")
    after = await store.append_items(task.ref, "session-1", 0, 0, [b"x" * 100_000])
    assert after.items_count == 1


async def test_a_lock_held_by_another_process_is_waited_for_then_unavailable(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "BUSY_SECONDS", 0.2)
    with SqliteStore.open(path) as store, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        writes = [store.insert_tasks([make_task()]) for _ in range(10)]
        began = time.monotonic()
        results = await asyncio.gather(*writes, return_exceptions=True)
        assert time.monotonic() - began < 2.0
        assert all(isinstance(result, Unavailable) for result in results)
        assert await store.tasks(TaskFilter(), limit=10) == []
        other.execute("ROLLBACK")
        await store.ping()


async def test_the_log_of_writes_stays_bounded_beside_a_reader(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "BUSY_SECONDS", 0.05)
    monkeypatch.setattr(writer, "WAL_BYTES", 200_000)
    wal = path.with_name(path.name + "-wal")
    with SqliteStore.open(path) as store, closing(sqlite3.connect(path, isolation_level=None)) as reader:
        task = await insert_claimed(store)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM tasks").fetchall()
        for number in range(20):
            await store.append_log(task.ref, "session-1", number * 100_000, b"x" * 100_000)
        assert wal.stat().st_size > 2_000_000
        reader.execute("ROLLBACK")
        for number in range(20, 60):
            await store.append_log(task.ref, "session-1", number * 100_000, b"x" * 100_000)
        assert wal.stat().st_size < 500_000


async def check_answered(path: Path, answered: dict[str, tuple[int, int]]) -> None:
    with SqliteStore.open(path) as store:
        for task_id, (count, log_offset) in answered.items():
            task = await store.task(task_id)
            assert task is not None
            stored = task.positions
            assert stored.items_count >= count
            assert stored.log_offset >= log_offset
            assert int(task.reason or 0) >= count
            items = await store.items(task.ref, limit=stored.items_count)
            assert items == [(number, b"%06d" % number) for number in range(stored.items_count)]
            tail = await store.log_tail(task.ref)
            assert [record.offset for record in tail] == list(range(0, stored.log_offset, 10))
            assert all(record.data == b"%09d\n" % record.offset for record in tail)


def run_and_kill(path: Path, seconds: float) -> dict[str, tuple[int, int]]:
    """What a writing process had been answered when it was killed."""
    command = [sys.executable, str(Path(__file__).with_name("sqlite_writing_process.py")), str(path)]
    said = path.with_name("said")
    with (
        said.open("wb") as output,
        subprocess.Popen(command, stdout=output, env=ENVIRONMENT) as process,
    ):
        wait_until(lambda: said.read_bytes().count(b"\n") > 20, 20, lambda: process.poll())
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
    answered = {}
    for line in said.read_text().splitlines():
        task_id, *numbers = line.split()
        if task_id != "task" and len(numbers) == 2:
            answered[task_id] = (int(numbers[0]), int(numbers[1]))
    return answered


def test_a_killed_process_loses_nothing_that_was_answered(path: Path) -> None:
    for _ in range(4):
        answered = run_and_kill(path, random.uniform(0.0, 0.3))
        assert len(answered) == 4
        asyncio.run(check_answered(path, answered))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)], check=False)
    if mounted.returncode != 0:
        pytest.skip("mounting needs root")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.root
async def test_a_full_disk_loses_nothing_and_work_resumes_by_itself(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 4_000_000)
    with SqliteStore.open(small_disk / "silkmill.db") as store:
        tasks = [await insert_claimed(store) for _ in range(3)]
        before = [await append_until_full(store, task) for task in tasks]
        assert max(before) > 0
        for task, count in zip(tasks, before, strict=True):
            found = await store.task(task.id)
            assert found is not None
            assert found.positions.items_count == count
        ballast.unlink()
        await asyncio.gather(*(append(store, task, count) for task, count in zip(tasks, before, strict=True)))
        for task, count in zip(tasks, before, strict=True):
            assert [ordinal for ordinal, _ in await store.items(task.ref)] == list(range(count + 10))


async def append(store: SqliteStore, task: Task, count: int) -> None:
    await store.append_items(task.ref, "session-1", count * 1001, count, [b"x" * 1000] * 10)


async def append_until_full(store: SqliteStore, task: Task) -> int:
    """How many items were answered before the disk was full; at least twice refused."""
    count, refused = 0, 0
    while refused < 2:
        try:
            await append(store, task, count)
            count += 10
        except Unavailable as full:
            assert full.part == "store"
            refused += 1
    return count
