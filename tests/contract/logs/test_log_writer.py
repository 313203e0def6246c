"""Appending: stored once, in order, by the one who holds the attempt."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from log_bench import LATER, NOW, REF, LogBench, sample_log

from silkmill.domain.attempt import AttemptRef
from silkmill.domain.errors import OffsetMismatch, StaleAttempt, StaleSession
from silkmill.master.logs import writer
from silkmill.protocol.logframe import missing_end

LOG, STDOUT, STDERR = sample_log(40_000)


class NoBucket:
    """Fails the test when it is touched."""

    def __getattr__(self, name: str) -> None:
        raise AssertionError(f"the bucket's {name} was used")


async def test_a_small_log_never_touches_the_bucket(bench: LogBench) -> None:
    bench.writer = writer.LogWriter(bench.store, NoBucket(), bench.change)  # type: ignore[arg-type]
    await bench.append_all(LOG, 1000)
    await bench.close()
    await bench.keep_up(NOW)
    assert await bench.log() == LOG
    assert await bench.bucket.names("logs/") == []


async def test_a_full_tail_becomes_a_chunk(bench: LogBench) -> None:
    log = LOG * 80
    await bench.append_all(log, 300_000)
    names = await bench.bucket.names("logs/")
    assert names[:2] == [f"logs/{REF.task_id}/1/{start:016}-1200000" for start in (0, 1_200_000)]
    assert sum(len(record.data) for record in await bench.store.log_tail(REF)) == len(log) % 1_200_000
    assert await bench.log() == log


async def test_a_repeat_writes_nothing_and_a_gap_is_refused(bench: LogBench) -> None:
    assert await bench.append(0, LOG[:3000]) == 3000
    assert await bench.append(0, LOG[:3000]) == 3000
    assert await bench.append(1000, LOG[1000:2000]) == 3000
    assert await bench.append(3000, b"") == 3000
    for offset in (2000, 4000):
        with pytest.raises(OffsetMismatch) as refused:
            await bench.append(offset, LOG[offset : offset + 2000])
        assert refused.value.expected == 3000
    assert await bench.append(3000, LOG[3000:]) == len(LOG)
    assert await bench.log() == LOG


async def test_a_repeat_after_a_restart_is_known(bench: LogBench) -> None:
    await bench.append_all(LOG * 30, 700_000)
    bench.restart()
    assert await bench.append(0, LOG) == len(LOG) * 30
    assert await bench.append(len(LOG) * 30, LOG) == len(LOG) * 31
    assert await bench.log() == LOG * 31


async def test_the_fence_holds_before_anything_is_written(bench: LogBench) -> None:
    big = LOG * 40
    bench.writer = writer.LogWriter(bench.store, NoBucket(), bench.change)  # type: ignore[arg-type]
    task = await bench.task()
    with pytest.raises(StaleSession):
        await bench.writer.append(task, REF, "another", 0, big)
    with pytest.raises(StaleAttempt):
        await bench.writer.append(task, AttemptRef(REF.task_id, 2), "session-1", 0, big)
    await bench.close()
    with pytest.raises(StaleAttempt):
        await bench.writer.append(task, REF, "session-1", 0, big)
    assert (await bench.task()).positions.log_offset == 0


async def test_the_store_fences_one_whose_memory_is_old(bench: LogBench) -> None:
    task = await bench.task()
    await bench.append(0, LOG[:3000])
    await bench.close()
    with pytest.raises(StaleAttempt):
        await bench.writer.append(task, REF, "session-1", 3000, LOG[3000:])
    with pytest.raises(StaleAttempt):
        await bench.writer.append(task, REF, "session-1", 3000, LOG[3000:] * 40)
    torn = LOG[LOG.rfind(b"\n", 0, 3000) + 1 : 3000]
    assert await bench.log() == LOG[:3000] + missing_end(torn), "a frame cut for good is completed"


async def test_two_masters_write_the_same_log(small_sizes: None, bench: LogBench) -> None:
    """Both send every batch; whichever is first, the bytes are there once."""
    other = writer.LogWriter(bench.store, bench.bucket, bench.change)
    for offset in range(0, len(LOG), 1500):
        task, batch = await bench.task(), LOG[offset : offset + 1500]
        both = (each.append(task, REF, "session-1", offset, batch) for each in (bench.writer, other))
        answers = await asyncio.gather(*both, return_exceptions=True)
        assert offset + len(batch) in answers
        assert all(isinstance(a, OffsetMismatch) or a == offset + len(batch) for a in answers), answers
    assert await bench.log() == LOG


_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 6000)),
        st.tuples(st.just("repeat"), st.integers(1, 6000)),
        st.tuples(st.just("restart"), st.just(0)),
        st.tuples(st.just("orphan"), st.integers(1, 6000)),
    ),
    max_size=40,
)


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=_STEPS)
async def test_any_batches_repeats_and_restarts_give_the_same_bytes(
    small_sizes: None, steps: list[tuple[str, int]]
) -> None:
    bench = LogBench()
    await bench.open()
    stored = 0
    for step, size in steps:
        if step == "append":
            stored = await bench.append(stored, LOG[stored : stored + size])
        elif step == "repeat":
            assert await bench.append(max(0, stored - size), LOG[max(0, stored - size) : stored]) == stored
        elif step == "orphan":
            await _leave_an_orphan(bench, stored, size)
        else:
            bench.restart()
        assert await bench.log() == LOG[: LOG.rfind(b"\n", 0, stored) + 1]
    await bench.append_all(LOG, 2500)
    await bench.close()
    assert (await bench.log(), await bench.raw(b"stdout")) == (LOG, STDOUT)
    await bench.keep_up(NOW)
    assert (await bench.log(), await bench.raw(b"stderr")) == (LOG, STDERR)
    await bench.keep_up(LATER)
    assert (await bench.log(), await bench.raw(b"stdout")) == (LOG, STDOUT)


async def _leave_an_orphan(bench: LogBench, stored: int, size: int) -> None:
    """A chunk that a master has stored before it died, without the position."""
    start = max(0, stored - size // 2)
    data = LOG[start : start + size]
    await bench.bucket.put(f"logs/{REF.task_id}/1/{start:016}-{len(data)}", data)
