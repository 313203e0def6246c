"""Reading: the same answers from tail records, chunks and the merged object."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from log_bench import LATER, NOW, REF, LogBench, sample_log

from silkmill.domain.errors import NotFound
from silkmill.master.logs import Hit, LogDamaged, Needle, Wanted, parse_needle
from silkmill.protocol.logframe import frame_line, missing_end, system_line

LOG, STDOUT, STDERR = sample_log(30_000)
FRAMES = [frame + b"\n" for frame in LOG.split(b"\n")[:-1]]
STARTS = {0} | {position + 1 for position, byte in enumerate(LOG) if byte == 10}


@pytest.fixture(params=["live", "closed", "merged", "chunks gone"])
async def stored(request: pytest.FixtureRequest, small_sizes: None, bench: LogBench) -> LogBench:
    """The sample log at every age."""
    await bench.append_all(LOG, 1700)
    if request.param != "live":
        await bench.close()
    if request.param in ("merged", "chunks gone"):
        await bench.keep_up(NOW)
        assert (await bench.task()).history[0].log_object
    if request.param == "chunks gone":
        await bench.keep_up(LATER)
        assert len(await bench.bucket.names("logs/")) == 1
    return bench


async def test_pages_of_any_limit_are_the_whole_log(stored: LogBench) -> None:
    for limit in (1, 100, 1000, 2048, 5000, 10**6):
        task, offset, pieces = await stored.task(), 0, []
        while True:
            page = await stored.reader.read(task, 1, offset, limit)
            assert page.offset == offset
            assert page.next_offset == offset + len(page.data)
            assert len(page.data) <= limit or page.data.count(b"\n") == 1
            pieces.append(page.data)
            offset = page.next_offset
            if page.end or not page.data:
                break
        assert b"".join(pieces) == LOG
        assert all(piece.endswith(b"\n") for piece in pieces if piece)
        assert page.end == (task.attempt is None)


async def test_a_page_begins_at_the_next_frame(stored: LogBench) -> None:
    task = await stored.task()
    for offset in range(0, 6000, 41):
        page = await stored.reader.read(task, 1, offset, 300)
        assert page.offset == min(start for start in STARTS if start >= offset)
        assert page.data == LOG[page.offset : page.next_offset] != b""
    for offset in (len(LOG), len(LOG) + 5):
        page = await stored.reader.read(task, 1, offset, 300)
        assert (page.data, page.next_offset) == (b"", len(LOG))


async def test_the_streams_come_back_byte_for_byte(stored: LogBench) -> None:
    assert await stored.raw(b"stdout") == STDOUT
    assert await stored.raw(b"stderr") == STDERR
    assert await stored.raw(b"system") == b"the spider starts\nthe spider ended\n"


async def test_the_last_lines(stored: LogBench) -> None:
    task = await stored.task()
    for lines in (0, 1, 2, 50, 10**6):
        tail = await stored.reader.tail(task, 1, lines)
        assert tail.data == b"".join(FRAMES[max(0, len(FRAMES) - lines) :])
        assert (tail.offset, tail.next_offset) == (len(LOG) - len(tail.data), len(LOG))
    for stream in (b"stdout", b"stderr", b"system"):
        tail = await stored.reader.tail(task, 1, 3, stream)
        of_stream = [frame for frame in FRAMES if frame.split(b" ")[1] == stream]
        assert tail.data == b"".join(of_stream[-3:])
        assert LOG[tail.offset :].startswith(of_stream[-3:][0])


async def test_search_finds_every_line_once(stored: LogBench) -> None:
    for needle in (b"a line", parse_needle("zeilen.*"), b"spider", b"nowhere at all", b"\0"):
        hits = await _found(stored, needle)
        contains = _contains(needle)
        expected = [frame for frame in FRAMES if contains(frame.split(b" ", 3)[3][:-1])]
        assert [hit.line for hit in hits] == expected
        assert all(LOG[hit.offset :].startswith(hit.line) for hit in hits)
        for hit in hits[:2]:
            assert (await _found(stored, needle, offset=hit.offset))[0] == hit
            assert (await _found(stored, needle, offset=hit.offset + 1)) == hits[hits.index(hit) + 1 :]


async def test_search_looks_at_the_text_of_one_stream_only(stored: LogBench) -> None:
    assert await _found(stored, b"2023-11-14T22") == [], "the time is not text"
    hits = await _found(stored, b"a line", stream=b"stderr")
    assert hits
    assert all(b" stderr " in hit.line for hit in hits)


def _contains(needle: Needle) -> Callable[[bytes], bool]:
    if isinstance(needle, bytes):
        return lambda text: needle in text
    return lambda text: needle.search(text) is not None


async def _found(
    bench: LogBench, needle: Needle, *, offset: int = 0, stream: bytes | None = None
) -> list[Hit]:
    return await bench.hits(Wanted(stream, needle), offset=offset)


async def test_an_attempt_that_is_not_there(bench: LogBench) -> None:
    with pytest.raises(NotFound, match=r"\.2"):
        await bench.reader.read(await bench.task(), 2, 0, 100)


async def test_an_empty_log_has_an_end(bench: LogBench) -> None:
    assert not (await bench.reader.read(await bench.task(), 1, 0, 100)).end
    await bench.close()
    await bench.keep_up(NOW)
    assert (await bench.reader.read(await bench.task(), 1, 0, 100)).end
    assert (await bench.reader.tail(await bench.task(), 1, 10)).data == b""
    assert await _found(bench, b"x") == []


async def test_a_torn_frame_waits_while_live_and_is_completed_at_the_end(
    small_sizes: None, bench: LogBench
) -> None:
    cut = LOG.rfind(b"\n", 0, 12_000) + 40
    await bench.append_all(LOG[:cut], 1700)
    assert await bench.log() == LOG[: cut - 39]
    tail = await bench.reader.tail(await bench.task(), 1, 1)
    assert tail.next_offset == cut - 39
    await bench.close()
    completed = LOG[:cut] + missing_end(LOG[cut - 39 : cut])
    for now in (None, NOW, LATER):
        if now:
            await bench.keep_up(now)
        assert await bench.log() == completed
        assert (await bench.reader.tail(await bench.task(), 1, 1)).data == completed[cut - 39 :]


async def test_a_long_line_in_many_frames(bench: LogBench) -> None:
    log = system_line("begin", 1) + frame_line(b"stdout", b"x" * 3_000_000, 2) + system_line("end", 3)
    await bench.append_all(log, 500_000)
    await bench.close()
    for now in (None, NOW, LATER):
        if now:
            await bench.keep_up(now)
        assert await bench.log() == log
        assert await bench.raw(b"stdout") == b"x" * 3_000_000 + b"\n"
        page = await bench.reader.read(await bench.task(), 1, 100, 10)
        assert page.data.count(b"\n") == 1
        assert [hit.line for hit in await _found(bench, b"end")] == [log[log.rfind(b"\n", 0, -1) + 1 :]]


async def test_a_reader_that_began_before_the_merge_goes_on(small_sizes: None, bench: LogBench) -> None:
    await bench.append_all(LOG, 1700)
    live, pages = await bench.task(), []
    reading = bench.reader.pages(live, 1)
    await bench.close()
    await bench.keep_up(NOW)
    await bench.keep_up(LATER)
    pages = [page.data async for page in reading]
    assert b"".join(pages) == LOG


@pytest.mark.parametrize("kind", ["chunk", "merged"])
async def test_bytes_that_are_gone_are_an_error(small_sizes: None, bench: LogBench, kind: str) -> None:
    await bench.append_all(LOG, 1700)
    await bench.close()
    if kind == "merged":
        await bench.keep_up(NOW)
        await bench.keep_up(LATER)
    await bench.bucket.delete((await bench.bucket.names("logs/"))[:1])
    with pytest.raises(LogDamaged, match=r"byte 0 is missing"):
        await bench.log()
    if kind == "chunk":
        await bench.keep_up(NOW)
        assert (await bench.task()).history[0].log_object is None, "a damaged log is not merged"


async def test_a_spoilt_object_is_an_error(small_sizes: None, bench: LogBench) -> None:
    await bench.append_all(LOG, 1700)
    await bench.close()
    await bench.keep_up(NOW)
    name = (await bench.task()).history[0].log_object
    assert name
    data = await bench.bucket.get(name)
    for spoilt in (data[:-1], b"", data[:4] + b"\0" * 100 + data[104:]):
        await bench.bucket.put(name, spoilt)
        with pytest.raises(LogDamaged, match=REF.task_id):
            await bench.log()
