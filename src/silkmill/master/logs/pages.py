"""A log in pages of whole frames, forwards from an offset or backwards from the end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from silkmill.master.logs.cap import FRAME_BYTES
from silkmill.master.logs.layout import Log
from silkmill.protocol.logframe import SYSTEM, missing_end, parse_frame, rfc3339

TIME_BYTES = len(rfc3339(0))


@dataclass(frozen=True, slots=True)
class LogPage:
    """Whole frames from `offset` on; `next_offset` is where the next page begins.

    `end`: nothing follows and nothing will. An empty page that is not the end: nothing has come yet."""

    offset: int
    data: bytes = field(repr=False)
    next_offset: int
    end: bool


async def next_page(log: Log, offset: int, limit: int) -> LogPage:
    """Whole frames from `offset` on, at most `limit` bytes but one frame at least. A frame that `offset` cuts
    is passed over. The dropped middle of a log is one system line, a page of its own."""
    offset = min(offset, log.end)
    if not log.begins_at(offset):
        offset = await _next_frame(log, offset)
    data = await log.read(offset, limit)
    if log.in_gap(offset):
        return await gap_page(log)
    if b"\n" not in data:
        data = _first_frame(data + await log.read(offset + len(data), FRAME_BYTES))
    return cut_page(log, offset, data)


def _first_frame(data: bytes) -> bytes:
    """All of it where its end is not there yet."""
    return data[: data.find(b"\n") + 1] or data


async def _next_frame(log: Log, offset: int) -> int:
    """Where the first frame begins at or after `offset`: the byte before one is a newline."""
    data = await log.read(offset - 1, 1)
    if data != b"\n":
        data += await log.read(offset, FRAME_BYTES)
    ends = data.find(b"\n") + 1
    return offset - 1 + (ends or len(data)) if data else offset


def cut_page(log: Log, offset: int, data: bytes) -> LogPage:
    """The whole frames of `data`, which begins at a frame. One that is torn for good is completed."""
    ends = data.rfind(b"\n") + 1
    after = offset + len(data)
    if log.stops_at(after):
        data += missing_end(data[ends:])
    else:
        data, after = data[:ends], offset + ends
    return LogPage(offset, data, after, log.closed and after >= log.end)


async def gap_page(log: Log) -> LogPage:
    assert log.gap is not None
    start, end = log.gap
    time = (await log.read(end, TIME_BYTES)).ljust(TIME_BYTES)
    line = time + b" %b F %d bytes of the log were dropped here: it is over limits.log" % (
        SYSTEM,
        end - start,
    )
    if parse_frame(line) is None:
        line = rfc3339(0).encode() + line[TIME_BYTES:]
    return LogPage(start, line + b"\n", end, log.closed and end >= log.end)


async def pages(log: Log, offset: int, limit: int) -> AsyncIterator[LogPage]:
    """Page after page to the end of what there is."""
    while True:
        page = await next_page(log, offset, limit)
        if page.data:
            yield page
        if page.end or page.next_offset == offset:
            return
        offset = page.next_offset


def lines_of(page: LogPage, stream: bytes | None) -> list[tuple[int, bytes]]:
    """(offset, frame with its newline) of stdout (its messages too), stderr, system, or None for all."""
    lines = []
    offset = page.offset
    for text in page.data.split(b"\n")[:-1]:
        if stream is None or text.startswith(stream, TIME_BYTES + 1):
            lines.append((offset, text + b"\n"))
        offset += len(text) + 1
    return lines
