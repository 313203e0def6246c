"""A failure at every call of store and bucket, before and after it took effect, loses and doubles nothing."""

from __future__ import annotations

import random

import pytest
from log_bench import LATER, NOW, REF, Crash, Faults, LogBench, sample_log

LOG, STDOUT, STDERR = sample_log(20_000)
CAP = 12_000


WHEN = pytest.mark.parametrize("after", [False, True], ids=["before the call", "after the call"])
WHAT = pytest.mark.parametrize("dies", [False, True], ids=["unavailable", "crash"])


@WHEN
@WHAT
async def test_the_life_of_a_log_with_one_failure_anywhere(
    small_sizes: None, after: bool, dies: bool
) -> None:
    crash_at, calls = 0, 1
    while crash_at < calls:
        crash_at += 1
        faults = Faults(crash_at, after)
        bench = await _life(faults, dies)
        calls = faults.calls
        assert await bench.log() == LOG, f"failure at call {crash_at}"
        assert await bench.raw(b"stdout") == STDOUT
        assert await bench.raw(b"stderr") == STDERR
        assert len(await bench.bucket.names("logs/")) == 1, f"failure at call {crash_at}: objects are left"
        assert await bench.store.log_tail(REF) == [], f"failure at call {crash_at}: tail records are left"
    assert calls > 30, "the failures did not reach every step"


@WHEN
@WHAT
async def test_the_life_of_a_capped_log_with_one_failure_anywhere(
    small_sizes: None, after: bool, dies: bool
) -> None:
    crash_at, calls = 0, 1
    while crash_at < calls:
        crash_at += 1
        faults = Faults(crash_at, after)
        bench = await _life(faults, dies, log_cap=CAP)
        calls = faults.calls
        _check_capped(await bench.log(), await bench.gap())
        assert len(await bench.bucket.names("logs/")) == 1, f"failure at call {crash_at}: objects are left"


def _check_capped(log: bytes, gap: tuple[int, int] | None) -> None:
    assert gap is not None
    head, line, rest = LOG[: gap[0]], log[gap[0] :].split(b"\n")[0], LOG[gap[1] :]
    assert b" system F %d bytes " % (gap[1] - gap[0]) in line
    assert log == head + line + b"\n" + rest


async def _life(faults: Faults, dies: bool, log_cap: int = 0) -> LogBench:
    """Append, end, merge, clean up; after the failure with other batches, and a new master if it died."""
    bench, batches = LogBench(), random.Random(faults.at)
    await bench.open()
    bench.restart(faults)
    while True:
        try:
            await bench.append_all(LOG, batches.randrange(300, 3000), log_cap=log_cap)
            await bench.close()
            await bench.keep_up(NOW)
            await bench.keep_up(LATER)
            return bench
        except Crash:
            await _check_readable(bench)
            if dies:
                bench.restart(faults)


async def _check_readable(bench: LogBench) -> None:
    """What was acknowledged is there whatever the failure left behind."""
    task, log = await bench.task(), await bench.log()
    gap = await bench.gap()
    if gap is None:
        assert log == LOG[: LOG.rfind(b"\n", 0, task.positions.log_offset) + 1]
    else:
        assert LOG[: gap[0]] == log[: gap[0]]
