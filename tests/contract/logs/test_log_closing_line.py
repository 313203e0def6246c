"""The closing line of an attempt that was lost with its worker: nobody wrote it, so readers get it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
from log_bench import LATER, NOW, LogBench, sample_log

from silkmill.master.logs import Wanted
from silkmill.master.logs.closing import closing_page

LOG, STDOUT, _ = sample_log(3_000)
CLOSING = b"2026-01-02T03:04:05.000000000Z system F lost: node node came back without it\n"


@pytest.fixture(params=["stored", "merged", "empty"])
async def lost(request: pytest.FixtureRequest, small_sizes: None, bench: LogBench) -> LogBench:
    if request.param != "empty":
        await bench.append_all(LOG, 1700)
    await bench.give_back(lost=True)
    if request.param == "merged":
        await bench.keep_up(NOW)
        await bench.keep_up(LATER)
        assert (await bench.task()).history[0].log_object
    return bench


async def text(lines: AsyncIterator[bytes]) -> bytes:
    return b"".join([line async for line in lines])


async def test_the_whole_log_ends_with_it(lost: LogBench) -> None:
    log = await lost.log()
    assert log == log[: (await lost.task()).history[0].log_offset] + CLOSING


async def test_it_takes_no_room_in_the_log(lost: LogBench) -> None:
    task = await lost.task()
    end = task.history[0].log_offset
    page = await lost.reader.read(task, 1, 0, 1 << 20)
    assert (page.next_offset, page.end, len(page.data)) == (end, True, end)
    assert [page.data async for page in lost.reader.pages(task, 1, end)] == [CLOSING]
    assert (await lost.reader.tail(task, 1, 1)).next_offset == end


async def test_it_is_no_byte_of_the_spider(lost: LogBench) -> None:
    assert await lost.raw(b"stdout") == (STDOUT if (await lost.task()).history[0].log_offset else b"")


async def test_it_is_one_of_the_last_lines(lost: LogBench) -> None:
    task = await lost.task()
    assert (await lost.reader.tail(task, 1, 1)).data == CLOSING
    assert (await lost.reader.tail(task, 1, 2, b"system")).data.endswith(CLOSING)
    assert CLOSING not in (await lost.reader.tail(task, 1, 5, b"stdout")).data
    assert len((await lost.reader.tail(task, 1, 3)).data.splitlines()) in (1, 3)


@pytest.mark.parametrize("needle", [b"came back", re.compile(b"^lost: node")])
async def test_it_is_found(lost: LogBench, needle: bytes) -> None:
    task = await lost.task()
    hits = await lost.hits(Wanted(needle=needle))
    assert [(hit.offset, hit.line) for hit in hits] == [(task.history[0].log_offset, CLOSING)]
    assert await lost.reader.last(task, 1, Wanted(needle=needle), 1) == hits
    assert await lost.hits(Wanted(b"stdout", needle)) == []


async def test_an_attempt_that_ended_otherwise_has_its_own(small_sizes: None, bench: LogBench) -> None:
    await bench.append_all(LOG, 1700)
    await bench.give_back(lost=False)
    assert await bench.log() == LOG
    assert closing_page(await bench.task(), 1) is None
