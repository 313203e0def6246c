"""Server-sent events to one client: until it leaves, is too slow, or the server closes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import aclosing
from typing import Any, TypeVar

import msgspec
import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from silkmill.adapters.http.answers import encode
from silkmill.adapters.http.problems import refusal
from silkmill.domain.errors import SilkmillError, Unavailable

Value = TypeVar("Value")
HEARTBEAT_SECONDS = 15.0
HEARTBEAT = b": alive\n\n"
SLOW_CLIENT_SECONDS = 30.0
"""A client that takes nothing for so long is disconnected; it resumes by the last id it saw."""
_log = structlog.get_logger(__name__)


def event(name: str, value: Any, event_id: str | None = None) -> bytes:
    """One event. JSON has no raw line end, so the data is one line."""
    head = b"" if event_id is None else b"id: %b\n" % event_id.encode()
    return b"%bevent: %b\ndata: %b\n\n" % (head, name.encode(), encode(value))


async def next_within(source: AsyncIterator[Value], seconds: float = HEARTBEAT_SECONDS) -> Value | None:
    """The next value, or None when none came in time; nothing is lost then, the source is asked again."""
    try:
        async with asyncio.timeout(seconds):
            return await anext(source)
    except TimeoutError:
        return None


async def with_error(events: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """At last an event `error`, with the facts of a problem, where coming back would not help."""
    async with aclosing(events):
        try:
            async for piece in events:
                yield piece
        except Unavailable:
            raise
        except SilkmillError as error:
            _log.warning("an event stream ended with an error", cause=str(error))
            yield event("error", msgspec.Raw(refusal(error).body))


class EventStream(Response):
    """Sends what `events` yields; where that is Unavailable it breaks off, and the client resumes.

    What waits for a slow client is one event: the rest is read when it is taken, and hints wait in the feed's
    bounded queue."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[bytes], closing: asyncio.Event) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._events = events
        self._closing = closing
        self._broke_off = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await _first_of(self._send_events(send), _wait_disconnect(receive), self._closing.wait())
        if not self._broke_off:
            await _send_timely(send, b"", more=False)

    async def _send_events(self, send: Send) -> None:
        try:
            async with aclosing(self._events) as events:
                async for piece in events:
                    await _send_timely(send, piece, more=True)
        except TimeoutError:
            _log.info("a slow client of an event stream was disconnected")
        except Unavailable as error:
            self._broke_off = True
            _log.warning("an event stream broke off", cause=str(error))


async def _send_timely(send: Send, piece: bytes, *, more: bool) -> None:
    async with asyncio.timeout(SLOW_CLIENT_SECONDS):
        await send({"type": "http.response.body", "body": piece, "more_body": more})


async def _wait_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _first_of(*waits: Coroutine[Any, Any, Any]) -> None:
    """Until one of them ends; the others are cancelled then."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(wait) for wait in waits]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
