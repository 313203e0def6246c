"""Search in a log, line by line, as far as the one who asked goes on asking."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from itertools import takewhile

from silkmill.master.logs.grams import looked_up
from silkmill.master.logs.layout import Log
from silkmill.master.logs.merged import Block
from silkmill.master.logs.pages import lines_of, next_page
from silkmill.master.logs.sieve import Hit, Sieve, ends_line
from silkmill.master.logs.since import place_of
from silkmill.master.logs.wanted import Wanted
from silkmill.protocol.logframe import STDOUT_JSON

WINDOW_BYTES = 256 * 1024
LOOK_BACK_BYTES = 64 * 1024
"""A line that continues another one is known as such if that one is not further away."""
MOST_LOOK_BACK_BYTES = 1024 * 1024
"""Where all of those are pieces of one line that was cut."""
STRETCH_BYTES = 1024 * 1024
Span = tuple[int, int]
Fitting = Callable[[list[Hit]], Awaitable[list[Hit]]]
"""Those that an expression matches."""


@dataclass(frozen=True, slots=True)
class Found:
    """What some bytes of a log held. `next_offset`: where to go on after them."""

    hits: list[Hit]
    next_offset: int
    size: int


async def search(log: Log, wanted: Wanted, start: int, fitting: Fitting) -> AsyncIterator[Found]:
    """Hits from `start` on, in order, window by window. The needle is looked for in each piece of a line that
    was cut at 64 KiB.

    Of a merged log only those blocks are read that may hold a wanted line, by their index and words."""
    sieve, at = Sieve(wanted), 0
    async for (begin, end), stop in _with_next(_spans(log, wanted, start), log.end):
        if begin > at and (wanted.literals or not sieve.goes_on):
            sieve = await sieve_at(log, wanted, begin)
        elif begin > at:
            sieve.skip()  # blocks without bad lines, in which no wanted line goes on
        async for found in _through(log, sieve, max(begin, at), end, stop):
            yield replace(found, hits=await fitting(found.hits))
            at = found.next_offset


async def last_hits(log: Log, wanted: Wanted, lines: int, fitting: Fitting) -> list[Hit]:
    """The last of all hits, looked for from the end."""
    hits: list[Hit] = []
    stop = log.end
    spans = [span async for span in _spans(log, wanted, 0)]
    for begin, end in reversed([part for span in spans for part in _stretches(*span)]):
        if len(hits) >= lines:
            break
        sieve = await sieve_at(log, wanted, begin)
        found = [hit async for found in _through(log, sieve, begin, end, stop) for hit in found.hits]
        hits[:0] = await fitting([hit for hit in found if hit.offset < stop])
        stop = min([begin, *(hit.offset for hit in found[:1])])
    return hits[-lines:]


async def sieve_at(log: Log, wanted: Wanted, offset: int) -> Sieve:
    """One that knows what the line at `offset` may continue."""
    sieve = Sieve(wanted)
    if not wanted.by_record:
        return sieve
    back, lines = LOOK_BACK_BYTES, await _lines_before(log, offset, LOOK_BACK_BYTES)
    while back < min(offset, MOST_LOOK_BACK_BYTES) and not any(ends_line(hit.line) for hit in lines):
        back *= 2
        lines = await _lines_before(log, offset, back)
    sieve.look_back(lines)
    return sieve


async def _lines_before(log: Log, offset: int, back: int) -> list[Hit]:
    """The frames that begin in the bytes before `offset`."""
    lines: list[Hit] = []
    begin = max(0, offset - back)
    while begin < offset:
        page = await next_page(log, begin, offset - begin)
        lines += [Hit(at, line) for at, line in lines_of(page, None) if at < offset]
        if page.next_offset == begin:
            break
        begin = page.next_offset
    return lines


async def _through(log: Log, sieve: Sieve, offset: int, end: int, stop: int) -> AsyncIterator[Found]:
    """To `end`, and on to `stop` in blocks that may continue a wanted line."""
    while True:
        while offset < end:
            page = await next_page(log, offset, min(WINDOW_BYTES, end - offset))
            hits = await asyncio.to_thread(sieve.hits, page)
            yield Found(hits, page.next_offset, len(page.data))
            if page.next_offset == offset:
                return
            offset = page.next_offset
        following = _going_on(log, sieve, offset)
        if following is None or following.start >= stop:
            return
        if following.start > offset:
            sieve.skip()
        offset, end = following.start, following.end


def _going_on(log: Log, sieve: Sieve, offset: int) -> Block | None:
    """The next block with a frame of a stream in which a wanted line may go on. A log without blocks is read
    in one go."""
    blocks = log.merged.blocks if log.merged and sieve.goes_on else []
    rest = (block for block in blocks if block.start >= offset)
    return next((block for block in rest if any(map(block.frames_tagged, sieve.open_streams))), None)


async def _with_next(spans: AsyncIterator[Span], end: int) -> AsyncIterator[tuple[Span, int]]:
    """Each with the beginning of the next one, or `end`."""
    held: Span | None = None
    async for span in spans:
        if held is not None:
            yield held, span[0]
        held = span
    if held is not None:
        yield held, end


async def _spans(log: Log, wanted: Wanted, start: int) -> AsyncIterator[Span]:
    """The parts of the log that may hold what is wanted, in order."""
    start = max(start, await place_of(log, wanted.since))
    hashes = [value for literal in wanted.literals for value in looked_up(literal)]
    if log.merged is None or not (hashes or wanted.by_record):
        yield start, log.end
        return
    blocks, first = log.merged.blocks, log.block_at(start)
    async for number in log.merged.may_hold(hashes, first):
        goes_on = number == first > 0  # perhaps with lines that continue one before
        if goes_on or _may_hold(blocks, number, wanted, by_words=bool(hashes)):
            yield max(start, blocks[number].start), blocks[number].end


def _may_hold(blocks: list[Block], number: int, wanted: Wanted, *, by_words: bool) -> bool:
    """`by_words`: the block of the line that one in here continues need not be among those that are read."""
    block = blocks[number]
    if wanted.where and not block.frames_of(STDOUT_JSON):
        return False
    if wanted.level is None or block.worst >= wanted.level:
        return True
    before = (blocks[at] for at in range(number - 1, -1, -1)) if by_words else iter(())
    near = takewhile(lambda other: other.end > block.start - MOST_LOOK_BACK_BYTES, before)
    return any(other.worst >= wanted.level for other in near)


def _stretches(begin: int, end: int) -> list[Span]:
    return [(at, min(at + STRETCH_BYTES, end)) for at in range(begin, end, STRETCH_BYTES)]
