"""The engine's own log."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from silkmill.adapters.http.log_lines import LevelName
from silkmill.adapters.http.logs import Tail
from silkmill.adapters.http.parts import parts_of
from silkmill.adapters.http.times import aware
from silkmill.master.logs import Needle, parse_needle
from silkmill.master.logs.needle import Patience, matcher
from silkmill.protocol.loglevel import Level, level_named

LINES_PER_PIECE = 500
router = APIRouter(prefix="/logs")


@router.get("/system")
async def system(
    request: Request,
    tail: Tail = None,
    level: LevelName | None = None,
    grep: str | None = None,
    since: datetime | None = None,
) -> Response:
    """JSON lines as they were written, oldest first; with `tail` the last of them."""
    log = parts_of(request).engine_log
    choice = _Choice(
        Level[level.upper()] if level else None, parse_needle(grep) if grep else None, aware(since)
    )
    lines = choice.of(log.lines() if log else ())
    body = lines if tail is None else iter(await asyncio.to_thread(deque, lines, tail))
    return StreamingResponse(_in_pieces(body), media_type="application/x-ndjson")


class _Line(msgspec.Struct):
    timestamp: datetime
    level: str


@dataclass(frozen=True, slots=True)
class _Choice:
    level: Level | None
    needle: Needle | None
    since: datetime | None

    def of(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        matches, patience = matcher(self.needle), Patience()
        for number, line in enumerate(lines):
            if number % LINES_PER_PIECE == 0:
                patience = Patience()
            if line.endswith(b"\n") and matches(line) and self._is_new_and_bad_enough(line):
                yield line
            patience.check()

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


def _in_pieces(lines: Iterator[bytes]) -> Iterator[bytes]:
    piece: list[bytes] = []
    for line in lines:
        piece.append(line)
        if len(piece) == LINES_PER_PIECE:
            yield b"".join(piece)
            piece = []
    yield b"".join(piece)
