"""The engine's own log."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from silkmill.adapters.http.log_lines import AtLeast, Since
from silkmill.adapters.http.names import Grep, Tail
from silkmill.adapters.http.parts import parts_of
from silkmill.adapters.http.streamed import streamed
from silkmill.adapters.http.times import aware
from silkmill.adapters.http.told import Content, told
from silkmill.master.logs import Needle, parse_needle
from silkmill.master.logs.needle import fitting, may_match
from silkmill.protocol.loglevel import Level, level_named
from silkmill.runtime.expressions import Expressions

LINES_PER_PIECE = 500
_KIND = "application/x-ndjson"
router = APIRouter(prefix="/logs")


@router.get("/system", **told("Read the engine's own log", (Content(_KIND),)))
async def system(
    request: Request,
    tail: Tail = None,
    level: AtLeast = None,
    grep: Grep = None,
    since: Since = None,
) -> Response:
    """JSON lines as they were written, oldest first; with `tail` the last of them."""
    parts = parts_of(request)
    choice = _Choice(
        Level[level.upper()] if level else None, parse_needle(grep) if grep else None, aware(since)
    )
    lines = parts.engine_log.lines() if parts.engine_log else iter(())
    pieces = choice.pieces(lines, parts.expressions)
    if tail is not None:
        last: deque[bytes] = deque(maxlen=tail)
        async for piece in pieces:
            last.extend(piece)
        return Response(b"".join(last), media_type=_KIND)
    return await streamed((b"".join(piece) async for piece in pieces), _KIND)


class _Line(msgspec.Struct):
    timestamp: datetime
    level: str


@dataclass(frozen=True, slots=True)
class _Choice:
    level: Level | None
    needle: Needle | None
    since: datetime | None

    async def pieces(self, lines: Iterator[bytes], expressions: Expressions) -> AsyncIterator[list[bytes]]:
        """Chosen lines, some at a time."""
        while read := await asyncio.to_thread(list, islice(lines, LINES_PER_PIECE)):
            may_fit = await asyncio.to_thread(list, filter(self._may_fit, read))
            if found := await fitting(self.needle, may_fit, _without_newline, expressions):
                yield found

    def _may_fit(self, line: bytes) -> bool:
        whole = line.endswith(b"\n")
        return whole and may_match(self.needle)(line) and self._is_new_and_bad_enough(line)

    def _is_new_and_bad_enough(self, line: bytes) -> bool:
        if self.level is None and self.since is None:
            return True
        try:
            read = _decode(line)
        except msgspec.MsgspecError:
            return False
        level = level_named(read.level.encode()) or Level.DEBUG
        return (self.since is None or read.timestamp >= self.since) and level >= (self.level or 0)


_decode = msgspec.json.Decoder(_Line).decode


def _without_newline(line: bytes) -> bytes:
    return line[:-1]
