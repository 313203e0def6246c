"""Logs with missing bytes, and logs of attempts that the history no longer keeps."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from log_bench import LATER, NOW, REF, TASK_ID, LogBench, counted_lines, sample_log
from structlog.testing import capture_logs

from helpers import FakeClock
from silkmill.domain import task as task_module
from silkmill.domain.attempt import AttemptRef
from silkmill.domain.series import Series
from silkmill.master import upkeep as upkeep_module
from silkmill.master.upkeep import Upkeep

LOG, _, _ = sample_log(30_000)
RETRY = NOW + task_module.DAMAGE_RETRY


async def damaged(bench: LogBench) -> tuple[str, bytes]:
    """Close the attempt and lose one of its chunks; answers with its name and bytes."""
    await bench.append_all(LOG, 1700)
    await bench.close()
    name = (await bench.bucket.names("logs/"))[1]
    data = await bench.bucket.get(name)
    await bench.bucket.delete([name])
    return name, data


async def test_a_damaged_log_is_named_once_and_looked_at_again_a_day_later(
    small_sizes: None, bench: LogBench
) -> None:
    await damaged(bench)
    with capture_logs() as said:
        await bench.keep_up(NOW)
    assert [(line["event"], line["attempt"]) for line in said] == [("log.damaged", str(REF))]
    assert (await bench.task()).upkeep_at == RETRY
    with capture_logs() as said:
        await bench.keep_up(LATER)
        await bench.keep_up(RETRY)
    assert said == []
    assert (await bench.task()).upkeep_at == RETRY + task_module.DAMAGE_RETRY


async def test_a_damaged_log_that_is_whole_again_is_merged(small_sizes: None, bench: LogBench) -> None:
    name, data = await damaged(bench)
    await bench.keep_up(NOW)
    await bench.bucket.put(name, data)
    await bench.keep_up(RETRY)
    assert (await bench.task()).upkeep_at == RETRY + task_module.CHUNK_GRACE
    await bench.keep_up(RETRY + task_module.CHUNK_GRACE)
    assert await bench.bucket.names("logs/") == [(await bench.task()).history[0].log_object]
    assert await bench.log() == LOG


async def test_a_torn_chunk_is_damage_too(small_sizes: None, bench: LogBench) -> None:
    name, data = await damaged(bench)
    await bench.bucket.put(name, data[:-7])
    with capture_logs() as said:
        await bench.keep_up(NOW)
    assert [line["event"] for line in said] == ["log.damaged"]


async def test_a_merge_goes_on_behind_damaged_logs(
    small_sizes: None, bench: LogBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are first in the list of what is due, and the list has room for no other."""
    monkeypatch.setattr(upkeep_module, "TASKS_AT_ONCE", 2)
    await bench.append_all(LOG, 1700)
    await bench.close()
    task = await bench.task()
    earlier = replace(task.history[0], finished_at=NOW - timedelta(minutes=1))
    await bench.store.insert_tasks(
        [replace(task, id=f"{TASK_ID[:-1]}{n}", history=(earlier,)) for n in range(2, 6)]
    )
    clock = FakeClock()
    clock.advance((NOW - clock.now()).total_seconds())
    keeper = Upkeep(bench.store, bench.upkeep, clock)
    for _ in range(4):
        await keeper.tick()
    assert (await bench.task()).history[0].log_object is not None


async def test_the_logs_of_attempts_that_drop_out_of_the_history_are_deleted(
    small_sizes: None, bench: LogBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_module, "MAX_HISTORY", 2)
    pieces = b"".join(counted_lines(9_000, at_once=50))
    for number in range(1, 5):
        await bench.append_all(pieces, 1700)
        await bench.store.insert_record(f"{TASK_ID}.{number}", Series(status="{}"))
        await bench.give_back()
        if number == 2:
            await bench.keep_up(NOW)  # one of them is merged, the other one is chunks and a tail
        await bench.claim()
    assert (await bench.task()).dropped == (1, 2)
    assert await bench.bucket.names(f"logs/{TASK_ID}/1/")
    assert await bench.store.log_tail(AttemptRef(TASK_ID, 4))
    await bench.keep_up(NOW)
    await bench.keep_up(LATER)
    task = await bench.task()
    assert (task.dropped, task.upkeep_at) == ((), None)
    assert {name.split("/")[2] for name in await bench.bucket.names("logs/")} == {"3", "4"}
    for number in (1, 2):
        assert await bench.store.log_tail(AttemptRef(TASK_ID, number)) == []
    kept = [stored.key for stored in await bench.store.records(Series)]
    assert kept == [f"{TASK_ID}.{number}" for number in (3, 4)], "what an attempt used goes with its log"
