"""A log over its cap keeps its beginning and its end, says what is missing, and stays bounded."""

from __future__ import annotations

from log_bench import LATER, NOW, REF, SESSION, LogBench, counted_lines, sample_log

LOG, _, _ = sample_log(60_000)
MIB = 1024 * 1024


async def test_the_middle_goes_and_a_line_says_so(small_sizes: None, bench: LogBench) -> None:
    await bench.append_all(LOG, 1700, log_cap=24_000)
    await bench.close()
    gap = await bench.gap()
    assert gap is not None
    assert 6_000 - 4096 <= gap[0] <= 6_000 + 8192, "about a quarter is the head"
    assert gap[0] + len(LOG) - gap[1] <= 24_000 + 3 * 4096
    assert LOG[gap[0] - 1 : gap[0]] == LOG[gap[1] - 1 : gap[1]] == b"\n", "whole frames"
    live = await bench.log()
    for now in (NOW, LATER):
        await bench.keep_up(now)
        assert await bench.log() == live
    line = live[gap[0] : live.find(b"\n", gap[0]) + 1]
    assert b" system F %d bytes of the log were dropped" % (gap[1] - gap[0]) in line
    assert live == LOG[: gap[0]] + line + LOG[gap[1] :]


async def test_offsets_do_not_change(small_sizes: None, bench: LogBench) -> None:
    await bench.append_all(LOG, 1700, log_cap=24_000)
    gap = await bench.gap()
    assert gap is not None
    for now in (None, NOW, LATER):
        if now:
            await bench.close()
            await bench.keep_up(now)
        task = await bench.task()
        for inside in (gap[0], gap[0] + 1, gap[1] - 1):
            page = await bench.reader.read(task, 1, inside, 1000)
            assert (page.offset, page.next_offset) == gap
            assert page.data.count(b"\n") == 1
        page = await bench.reader.read(task, 1, gap[1], 1000)
        assert page.data == LOG[gap[1] : page.next_offset]
        tail = await bench.reader.tail(task, 1, 10**6)
        assert tail.data.endswith(LOG[gap[1] :])
        assert b"were dropped here" in tail.data.split(b"\n")[0]


async def test_a_flood_stays_bounded_and_seldom_changes_the_record() -> None:
    bench = LogBench()
    await bench.open()
    cap, most, stored = 16 * MIB, 0, 0
    for piece in counted_lines(160 * MIB):
        stored = await bench.writer.append(await bench.task(), REF, SESSION, stored, piece, log_cap=cap)
        kept = [await bench.bucket.size(name) for name in await bench.bucket.names("logs/")]
        tail = sum(len(record.data) for record in await bench.store.log_tail(REF))
        most = max(most, sum(kept) + tail)
    assert most <= cap + 5 * MIB
    assert bench.changes <= 160 / 16 * 8 + 1


async def test_a_tiny_cap_keeps_one_chunk_at_each_end(small_sizes: None, bench: LogBench) -> None:
    await bench.append_all(LOG, 1700, log_cap=1)
    assert len(await bench.bucket.names("logs/")) <= 3
    log = await bench.log()
    assert log.startswith(LOG[:4000])
    assert log.endswith(LOG[-1700:])


async def test_a_cap_that_is_not_reached_drops_nothing(small_sizes: None, bench: LogBench) -> None:
    await bench.append_all(LOG, 1700, log_cap=len(LOG))
    assert await bench.gap() is None
    assert await bench.log() == LOG
