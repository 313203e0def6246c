"""The last lines of a log, of one stream if asked, looked for from its end."""

from __future__ import annotations

from collections.abc import AsyncIterator

from silkmill.master.logs.layout import Log
from silkmill.master.logs.merged import MergedLog
from silkmill.master.logs.pages import LogPage, cut_page, gap_page, lines_of

WINDOW_BYTES = 256 * 1024
LOOK_BACK_BYTES = 1024 * 1024
"""At most about so much is read from the bucket; a stream that seldom speaks may have older lines."""


async def last_lines(log: Log, lines: int, stream: bytes | None) -> LogPage:
    """Up to `lines` frames that end the log, in its order. A gap ends the search, and shows as its line."""
    found: list[tuple[int, bytes]] = []
    after: int | None = log.end if log.closed else None
    async for window in _windows(log, stream):
        after = window.next_offset if after is None else after
        wanted = lines - len(found)
        found[:0] = lines_of(window, stream)[-wanted:] if wanted else []
        if len(found) >= lines:
            break
    after = 0 if after is None else after
    first = found[0][0] if found else after
    return LogPage(first, b"".join(line for _, line in found), after, log.closed)


async def _windows(log: Log, stream: bytes | None) -> AsyncIterator[LogPage]:
    """Whole frames, window by window, the last one first."""
    stop = log.gap[1] if log.gap else 0
    windows = _blocks(log, log.merged, stop, stream) if log.merged else _stretches(log, stop)
    async for window in windows:
        yield window
    if log.gap:
        yield await gap_page(log)


async def _blocks(log: Log, merged: MergedLog, stop: int, stream: bytes | None) -> AsyncIterator[LogPage]:
    budget = LOOK_BACK_BYTES
    for block in reversed(merged.blocks):
        if block.start < stop or budget <= 0:
            return
        if stream is None or block.frames_of(stream):
            budget -= block.size
            data = await log.read(block.start, block.length)
            yield cut_page(log, block.start, data)


async def _stretches(log: Log, stop: int) -> AsyncIterator[LogPage]:
    end, budget = log.end, LOOK_BACK_BYTES
    while end > stop and budget > 0:
        begin = max(stop, end - WINDOW_BYTES)
        data = await log.read(begin, end - begin)
        budget -= len(data)
        torn = data.find(b"\n") + 1 if begin > stop else 0  # its frame is in the next stretch
        if torn == len(data):
            return  # no frame is that long: these bytes are no frames
        yield cut_page(log, begin + torn, data[torn:])
        end = begin + torn
