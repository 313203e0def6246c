"""How much of the bucket a reader touches in a long log, and how much memory merging it takes."""

from __future__ import annotations

import os
import random
import resource
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from log_bench import LATER, NOW, REF, SESSION, CountingBucket, LogBench, counted_lines
from tests.faults.staging import high_water_mark

from silkmill.adapters.bucket import LocalBucket
from silkmill.master.logs import Wanted
from silkmill.master.logs.merged import BLOCK_BYTES
from silkmill.protocol.logframe import frame_line, rfc3339
from silkmill.protocol.loglevel import Level
from silkmill.runtime.workprocess import work_process

MIB = 1024 * 1024
BOUND = 2 * MIB
SIZES = [pytest.param(64, id="64MiB"), pytest.param(1024, id="1GiB", marks=pytest.mark.slow)]
RARE = frame_line(b"stderr", b"WARNING the quotaexceeded flag was seen", 1_700_000_000_000_000_000)
RARE_MESSAGE = frame_line(
    b"stdout/json", b'{"level":"error","message":"m","fields":{"site":"x"}}', 1_700_000_000_000_000_000
)


class LongLog:
    """An attempt whose log has one line of stderr, and one message behind it, at five sixths of it."""

    def __init__(self, bench: LogBench, bucket: CountingBucket, lines: int) -> None:
        self.bench, self.bucket, self.lines = bench, bucket, lines

    @classmethod
    async def write(cls, path: Path, mebibytes: int) -> LongLog:
        bucket = CountingBucket(LocalBucket(path))
        bench = LogBench(bucket=bucket)
        await bench.open()
        task, offset, lines, rare = await bench.task(), 0, 0, RARE + RARE_MESSAGE
        for piece in counted_lines(mebibytes * MIB):
            if offset > mebibytes * MIB * 5 // 6:
                piece, rare = rare + piece, b""
            lines += piece.count(b"\n")
            offset = await bench.writer.append(task, REF, SESSION, offset, piece)
        return cls(bench, bucket, lines - 2)

    async def first(self, wanted: Wanted | bytes, offset: int = 0) -> bytes | None:
        wanted = Wanted(needle=wanted) if isinstance(wanted, bytes) else wanted
        async for found in self.bench.reader.search(await self.bench.task(), 1, wanted, offset=offset):
            if found.hits:
                return found.hits[0].line
        return None


@pytest.fixture(params=SIZES, scope="module")
def mebibytes(request: pytest.FixtureRequest) -> int:
    return int(request.param)


async def test_reading_a_long_merged_log_touches_little(tmp_path: Path, mebibytes: int) -> None:
    log = await LongLog.write(tmp_path, mebibytes)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    await log.bench.close()
    await log.bench.keep_up(NOW)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024, "merging took memory"
    await log.bench.keep_up(LATER)
    await _check_ends_and_pages(log)
    task = await log.bench.task()
    log.bucket.read = 0
    tail = await log.bench.reader.tail(task, 1, 10, b"stderr")
    assert tail.data == RARE
    assert log.bucket.read <= BOUND
    deep = log.lines * 9 // 10
    for needle, line in (
        (b"quotaexceeded", RARE),
        (b"page %08d" % deep, None),
        (b"%08d" % (log.lines - 1), None),
        (b"nowhereatall", b""),
    ):
        log.bucket.read = 0
        found = await log.first(needle)
        assert (found or b"") == line if line is not None else found and needle in found
        assert log.bucket.read <= BOUND, f"searching {needle!r} read {log.bucket.read} bytes"
    for wanted, line in (
        (Wanted(level=Level.WARNING), RARE),
        (Wanted(level=Level.ERROR), RARE_MESSAGE),
        (Wanted(level=Level.CRITICAL), None),
        (Wanted(where=(("site", "x"),)), RARE_MESSAGE),
        (Wanted(level=Level.ERROR, where=(("site", "x"),)), RARE_MESSAGE),
        (Wanted(level=Level.ERROR, where=(("site", "y"),)), None),
    ):
        log.bucket.read = 0
        assert await log.first(wanted) == line
        assert log.bucket.read <= BOUND, f"searching {wanted} read {log.bucket.read} bytes"
        log.bucket.read = 0
        last = await log.bench.reader.last(task, 1, wanted, 1)
        assert [hit.line for hit in last] == ([line] if line else []) or wanted.level is Level.WARNING
        assert log.bucket.read <= BOUND, f"the last of {wanted} read {log.bucket.read} bytes"
    await _check_since(log)


async def test_reading_a_long_live_log_touches_little(tmp_path: Path, mebibytes: int) -> None:
    """A search has nothing to go by yet: it reads on from where it begins, up to the hit."""
    log = await LongLog.write(tmp_path, mebibytes)
    await _check_ends_and_pages(log)
    await _check_since(log)
    for needle, offset in ((b"quotaexceeded", mebibytes * MIB * 5 // 6), (b"page %08d" % 500, 0)):
        log.bucket.read = 0
        assert await log.first(needle, offset)
        assert log.bucket.read <= BOUND, f"searching {needle!r} read {log.bucket.read} bytes"


async def _check_since(log: LongLog) -> None:
    """The first line since then, wherever that is."""
    for part in range(1, 10):
        number = log.lines * part // 100_000 * 10_000  # a batch of lines has one time
        log.bucket.read = 0
        first = await log.first(Wanted(since=rfc3339(1_700_000_000_000_000_000 + number * 10**4).encode()))
        assert first is not None and b"page %08d" % number in first
        assert log.bucket.read <= BOUND, f"searching since line {number} read {log.bucket.read} bytes"


async def _check_ends_and_pages(log: LongLog) -> None:
    reader, task = log.bench.reader, await log.bench.task()
    log.bucket.read = 0
    tail = await reader.tail(task, 1, 100)
    assert tail.data.count(b"\n") == 100
    assert b"page %08d" % (log.lines - 1) in tail.data
    assert log.bucket.read <= BOUND, f"the tail read {log.bucket.read} bytes"
    for part in range(1, 10):
        log.bucket.read = 0
        page = await reader.read(task, 1, tail.next_offset * part // 10, MIB)
        assert MIB - 64 * 1024 <= len(page.data) <= MIB
        assert page.data.endswith(b"\n")
        assert log.bucket.read <= BOUND, f"a page read {log.bucket.read} bytes"


def lines_of_a_crawl() -> Iterator[bytes]:
    chance = random.Random(1)
    while True:
        yield b"GET /page/%06x answered 200, %d items" % (chance.getrandbits(24), chance.randrange(100))


def a_line_without_end() -> Iterator[bytes]:
    chance = random.Random(1)
    while True:
        yield chance.randbytes(64 * 1024).replace(b"\n", b"\0")


@pytest.mark.parametrize("texts", [lines_of_a_crawl, a_line_without_end])
async def test_packing_takes_little_memory(texts: Callable[[], Iterator[bytes]]) -> None:
    """It is done by a process of its own, whose growth nothing else would show."""
    async with work_process("silkmill.master.logs.encoder_process") as process:
        (pid,) = map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())
        await process.ask(struct.pack("<Q", 0) + RARE)
        before, offset = high_water_mark(pid), len(RARE)
        for block in blocks(texts()):
            await process.ask(struct.pack("<Q", offset) + block)
            offset += len(block)
            if offset > 24 * MIB:
                break
        await process.ask(b"")
        grown = high_water_mark(pid) - before
        assert grown < 32 * MIB, f"{grown / MIB:.1f} MiB"


def blocks(texts: Iterator[bytes]) -> Iterator[bytes]:
    """Whole frames, about as many bytes as a merge takes at once."""
    block = b""
    for text in texts:
        block += frame_line(b"stdout", text, 1_700_000_000_000_000_000)
        if len(block) >= BLOCK_BYTES:
            yield block
            block = b""
