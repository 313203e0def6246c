"""Reads logs of open and closed attempts, wherever their bytes are: pages, last lines, search, streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from operator import attrgetter

from silkmill.domain.task import Task
from silkmill.master.logs.backwards import last_lines
from silkmill.master.logs.closing import closing_page
from silkmill.master.logs.layout import Log
from silkmill.master.logs.needle import fitting
from silkmill.master.logs.pages import LogPage, next_page, pages
from silkmill.master.logs.search import Fitting, Found, last_hits, search, sieve_at
from silkmill.master.logs.sieve import Hit, Sieve
from silkmill.master.logs.since import place_of
from silkmill.master.logs.wanted import Wanted
from silkmill.ports.bucket import Bucket
from silkmill.ports.store import Store
from silkmill.protocol.logframe import SYSTEM, stream_bytes
from silkmill.runtime.expressions import Expressions

PAGE_BYTES = 256 * 1024


class LogReader:
    """Takes the task as its caller has it: bytes beyond its log offset do not exist for this reading.

    Every method raises NotFound (no such attempt), LogDamaged (stored bytes are gone) and Unavailable; with
    an expression that takes too long also BadInput.
    `stream` is b"stdout" (its messages too), b"stderr", b"system", or None for all. All but `read` end the
    log of an attempt that went with its worker with its closing line (see closing.py)."""

    def __init__(self, store: Store, bucket: Bucket, expressions: Expressions) -> None:
        self._store = store
        self._bucket = bucket
        self._expressions = expressions

    async def read(self, task: Task, number: int, offset: int, limit: int) -> LogPage:
        """Whole frames from `offset` on, at most `limit` bytes, but one frame at least when one is there."""
        return await next_page(await self._open(task, number), offset, limit)

    async def tail(self, task: Task, number: int, lines: int, stream: bytes | None = None) -> LogPage:
        """The last frames, at most 1 MiB of looking back. Its `next_offset` is where to follow from."""
        log = await self._open(task, number)
        closing = closing_page(task, number) if lines and stream in (None, SYSTEM) else None
        if closing is None:
            return await last_lines(log, lines, stream)
        page = await last_lines(log, lines - 1, stream)
        return replace(page, data=page.data + closing.data)

    async def pages(self, task: Task, number: int, offset: int = 0) -> AsyncIterator[LogPage]:
        """All frames from `offset` on, in pages of 256 KiB."""
        log = await self._open(task, number)
        async for page in pages(log, offset, PAGE_BYTES):
            yield page
        if closing := closing_page(task, number):
            yield closing

    async def search(
        self, task: Task, number: int, wanted: Wanted, *, offset: int = 0
    ) -> AsyncIterator[Found]:
        """Wanted frames from `offset` on, with how far they were looked for, read as they are asked for.

        Who goes on behind the last byte has had the closing line."""
        log, fitting = await self._open(task, number), self._fitting(wanted)
        async for found in search(log, wanted, offset, fitting):
            yield found
        closing = closing_page(task, number)
        if closing and offset <= closing.offset:
            yield Found(await fitting(Sieve(wanted).hits(closing)), closing.offset + 1, 0)

    async def last(self, task: Task, number: int, wanted: Wanted, lines: int) -> list[Hit]:
        """The last of all wanted frames, looked for from the end."""
        log, fitting = await self._open(task, number), self._fitting(wanted)
        closing = closing_page(task, number)
        of_closing = await fitting(Sieve(wanted).hits(closing)) if closing else []
        hits = await last_hits(log, wanted, lines - len(of_closing), fitting)
        return [*hits, *of_closing][-lines:]

    async def page(self, task: Task, number: int, wanted: Wanted, offset: int, limit: int) -> LogPage:
        """`read`, with the wanted frames of the page only; the last page that is not empty has the closing
        line too."""
        log = await self._open(task, number)
        page = await next_page(log, max(offset, await place_of(log, wanted.since)), limit)
        if page.data and page.end and (closing := closing_page(task, number)):
            page = replace(page, data=page.data + closing.data)
        return await self.sifted(page, await sieve_at(log, wanted, page.offset))

    async def place(self, task: Task, number: int, since: bytes) -> int:
        """Where a reader begins who wants the frames since then."""
        return await place_of(await self._open(task, number), since)

    async def sieve(self, task: Task, number: int, wanted: Wanted, offset: int) -> Sieve:
        """For `sifted`, of the pages of a log from `offset` on."""
        return await sieve_at(await self._open(task, number), wanted, offset)

    async def sifted(self, page: LogPage, sieve: Sieve) -> LogPage:
        """The page with the wanted frames only."""
        if sieve.wanted == Wanted():
            return page
        hits = await self._fitting(sieve.wanted)(await asyncio.to_thread(sieve.hits, page))
        return replace(page, data=b"".join(hit.line for hit in hits))

    async def raw(self, task: Task, number: int, tag: bytes) -> AsyncIterator[bytes]:
        """What the spider wrote to stdout or stderr, byte for byte, without what was taken as messages."""
        async for page in self.pages(task, number):
            yield stream_bytes(page.data, tag)

    def _fitting(self, wanted: Wanted) -> Fitting:
        return partial(fitting, wanted.needle, text_of=attrgetter("text"), expressions=self._expressions)

    async def _open(self, task: Task, number: int) -> Log:
        return await Log.open(self._store, self._bucket, task, number)
