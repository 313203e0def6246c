"""The socket to one runner: operations out, events in, both as lines of JSON."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import msgspec

PROTOCOL_VERSION = 1
HELLO: dict[str, object] = {"op": "hello", "protocol": PROTOCOL_VERSION}
_CONNECT_SECONDS = 10.0
_HELLO_SECONDS = 5.0
_LOOK_SECONDS = 0.005


class Event(msgspec.Struct, gc=False):
    """Any event of a runner; which fields are set depends on `event`."""

    event: str
    attempt: str | None = None
    protocol: int = 0
    pid: int = 0
    at: str = ""
    phase: str = "idle"
    why: str = ""
    log: int = 0
    items: int = 0
    count: int = 0


@dataclass(frozen=True, slots=True)
class Hello:
    """What a runner does at the moment. `phase`: idle | executing | completing."""

    attempt: str | None
    phase: str


class RunnerUnreachable(ConnectionError):
    """The runner's socket does not answer."""


_decode_event = msgspec.json.Decoder(Event).decode


class RunnerLink(asyncio.Protocol):
    """One connection. `on_event` gets all events but the first hello; `on_lost` its end, unless we closed."""

    def __init__(self, on_event: Callable[[Event], None], on_lost: Callable[[], None]) -> None:
        self._on_event = on_event
        self._on_lost = on_lost
        self._transport: asyncio.WriteTransport | None = None
        self._rest = b""
        self._hello: asyncio.Future[Hello] = asyncio.get_running_loop().create_future()

    async def open(self, path: str, is_alive: Callable[[], bool]) -> Hello:
        """Connect as soon as the runner listens. Raises RunnerUnreachable."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                while not await self._connect(loop, path):
                    if not is_alive():
                        raise RunnerUnreachable(f"the runner of {path} died")
                    await asyncio.sleep(_LOOK_SECONDS)
            async with asyncio.timeout(_HELLO_SECONDS):
                self.send(HELLO)
                return await self._hello
        except TimeoutError:
            self.close()
            raise RunnerUnreachable(f"the runner of {path} does not answer") from None

    def send(self, operation: dict[str, object]) -> None:
        if self._transport is not None:
            self._transport.write(msgspec.json.encode(operation) + b"\n")

    def close(self) -> None:
        if self._transport is not None:
            transport, self._transport = self._transport, None
            transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            event = _decode_event(line)
            if event.event == "hello" and not self._hello.done():
                self._hello.set_result(Hello(event.attempt, event.phase))
            else:
                self._on_event(event)

    def connection_lost(self, error: Exception | None) -> None:
        if not self._hello.done():
            self._hello.set_exception(RunnerUnreachable("the runner hung up"))
            self._hello.exception()  # nobody may be waiting for it
        if self._transport is not None:
            self._transport = None
            self._on_lost()

    async def _connect(self, loop: asyncio.AbstractEventLoop, path: str) -> bool:
        try:
            await loop.create_unix_connection(lambda: self, path)
        except OSError:  # not there yet, or just leaving
            return False
        return True
