"""Search in a log, line by line, as far as the one who asked goes on asking."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from re import _parser  # type: ignore[attr-defined]
from typing import Any

from silkmill.domain.errors import BadInput
from silkmill.master.logs.grams import looked_up
from silkmill.master.logs.layout import Log
from silkmill.master.logs.pages import LogPage, lines_of, next_page

WINDOW_BYTES = 256 * 1024
EXPRESSION_BYTES = 2048
"""An expression sees so much of a line: Python's engine cannot be interrupted inside of one."""
SLOW_SECONDS = 1.0
"""Matching one window may take so long; a usual expression needs 10 ms."""

Needle = bytes | re.Pattern[bytes]


@dataclass(frozen=True, slots=True)
class Hit:
    """A frame whose text matched, with its newline, at its offset in the log."""

    offset: int
    line: bytes = field(repr=False)


def parse_needle(expression: str) -> Needle:
    """What to search for: plain bytes where the expression has nothing special in it. Raises BadInput.

    Refused is a repeat inside of a repeat, such as `(a+)+`: one line could keep the engine busy for years."""
    text = expression.encode()
    if not _SPECIAL(text):
        return text
    try:
        if _repeats_a_repeat(_parser.parse(text), repeated=False):
            raise _bad_expression("it repeats a group that has a repeat inside", "leave one of the two out")
        return re.compile(text)
    except re.error as error:
        raise _bad_expression(
            str(error), "put a backslash before .^$*+?{}[]\\|() to mean them literally"
        ) from None
    except (RecursionError, OverflowError):
        raise _bad_expression("it is too deep, or repeats something too often", "search for less") from None


async def search(log: Log, needle: Needle, start: int, stream: bytes | None) -> AsyncIterator[Hit]:
    """Hits from `start` on, in order. A line that was cut at 64 KiB is searched piece by piece.

    Of a merged log only those blocks are read that may hold the longer words which the needle requires."""
    matches, literal = _matcher(needle), _required(needle)
    async for offset, end in _spans(log, start, looked_up(literal)):
        while offset < end:
            page = await next_page(log, offset, min(WINDOW_BYTES, end - offset))
            for hit in await asyncio.to_thread(_hits, page, stream, literal, matches):
                yield hit
            if page.next_offset == offset:
                return
            offset = page.next_offset


def hits_in(page: LogPage, needle: Needle, stream: bytes | None) -> list[Hit]:
    return _hits(page, stream, _required(needle), _matcher(needle))


async def _spans(log: Log, start: int, hashes: list[int]) -> AsyncIterator[tuple[int, int]]:
    merged = log.merged
    if merged is None or not hashes:
        yield start, log.end
        return
    async for number in merged.may_hold(hashes, log.block_at(start)):
        block = merged.blocks[number]
        yield max(start, block.start), block.end


def _hits(page: LogPage, stream: bytes | None, literal: bytes, matches: Callable[[bytes], bool]) -> list[Hit]:
    if literal and literal not in page.data:
        return []
    hits = []
    begun = time.monotonic()
    for offset, line in lines_of(page, stream):
        if matches(line.split(b" ", 3)[-1][:-1]):
            hits.append(Hit(offset, line))
        if time.monotonic() - begun > SLOW_SECONDS:
            raise _bad_expression("it is too slow on this log", "make it simpler, or search for a plain word")
    return hits


def _matcher(needle: Needle) -> Callable[[bytes], bool]:
    if isinstance(needle, bytes):
        return lambda text: needle in text
    return lambda text: needle.search(text, 0, EXPRESSION_BYTES) is not None


def _required(needle: Needle) -> bytes:
    """Text that is in every match: the longest run of plain bytes; nothing when letter case is free."""
    if isinstance(needle, bytes):
        return needle
    if needle.flags & re.IGNORECASE:
        return b""
    runs = [b""]
    for operator, argument in _parser.parse(needle.pattern, needle.flags):
        plain = operator is _parser.LITERAL
        runs = [*runs[:-1], runs[-1] + bytes([argument])] if plain else [*runs, b""]
    return max(runs, key=len)


_SPECIAL = re.compile(rb"[.^$*+?{}\[\]\\|()]").search


def _repeats_a_repeat(parsed: Any, *, repeated: bool) -> bool:
    for operator, argument in parsed:
        repeats = operator in (_parser.MAX_REPEAT, _parser.MIN_REPEAT)
        varies = repeats and argument[0] != argument[1]
        if varies and repeated:
            return True
        inside = repeated or (repeats and argument[1] > 1)
        if any(_repeats_a_repeat(part, repeated=inside) for part in _parts_of(argument)):
            return True
    return False


def _parts_of(argument: Any) -> Iterator[Any]:
    """The patterns inside an operator's argument, however deep its tuples and lists are."""
    if isinstance(argument, _parser.SubPattern):
        yield argument
    elif isinstance(argument, tuple | list):
        for item in argument:
            yield from _parts_of(item)


def _bad_expression(why: str, remedy: str) -> BadInput:
    return BadInput(f"the expression cannot be used: {why}", field="grep", remedy=remedy)
