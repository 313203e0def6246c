"""Where in a log a time is, found by the times of a few frames, which are in order."""

from __future__ import annotations

from silkmill.master.logs.cap import FRAME_BYTES
from silkmill.master.logs.layout import Log
from silkmill.master.logs.pages import TIME_BYTES

NEAR_BYTES = 64 * 1024
"""Reading on from so far before it costs less than looking for the place."""
LINE_BYTES = 4 * 1024


async def place_of(log: Log, since: bytes | None) -> int:
    """An offset behind which every frame of that time or later lies. A merged log's index tells, of another
    one some frames are looked at."""
    if since is None:
        return 0
    if log.merged is not None:
        time = since.decode()
        return next((block.start for block in log.merged.blocks if block.latest >= time), log.end)
    low, high = 0, log.end
    while high - low > NEAR_BYTES:
        middle = (low + high) // 2
        if await _time_behind(log, middle) < since:
            low = middle
        else:
            high = middle
    return low


async def _time_behind(log: Log, offset: int) -> bytes:
    """Of the first frame that begins behind `offset`; later than any time where none does."""
    if log.gap is not None and log.in_gap(offset):
        return await log.read(log.gap[1], TIME_BYTES)
    for size in (LINE_BYTES, 2 * FRAME_BYTES):
        data = await log.read(offset, size)
        begin = data.find(b"\n") + 1
        if begin and len(data) >= begin + TIME_BYTES:
            return data[begin : begin + TIME_BYTES]
    return b"\xff"
