"""The HTTP server as a context manager: listening inside it, gone after it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from silkmill.adapters.http.problems import problem
from silkmill.domain.errors import BadInput

KEEP_ALIVE_SECONDS = 30
GRACE_SECONDS = 5
BACKLOG = 512
HEAD_BYTES = 64 * 1024
"""Of a request without its body, which has limits of its own. What arrives in one read may be over it."""


@asynccontextmanager
async def serving(
    app: FastAPI, host: str, port: int, *, grace_seconds: int = GRACE_SECONDS
) -> AsyncIterator[str]:
    """Yields the url; `port` 0 takes a free one. At its end answers under way have `grace_seconds`; 0 for a
    server whose only client is done. Raises BadInput when the address cannot be had."""
    listener = _listen(host, port)
    config = uvicorn.Config(
        app,
        http=_Protocol,
        log_config=None,
        log_level="warning",
        access_log=False,
        date_header=False,
        lifespan="off",
        ws="none",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=grace_seconds,
    )
    server = _Server(config)
    async with asyncio.TaskGroup() as group:
        group.create_task(server.serve(sockets=[listener]))
        await server.ready.wait()
        try:
            yield _url(listener)
        finally:
            app.state.closing.set()  # event streams have no end of their own
            server.ended.set()


class _Protocol(HttpToolsProtocol):
    """What is no HTTP, or has no end, is refused like everything else: as a problem."""

    _head_bytes = 0
    """Received since the last headers or body were complete. httptools would keep any number of them."""

    def data_received(self, data: bytes) -> None:
        self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes > HEAD_BYTES and not self.transport.is_closing():
            self._refuse(431, "the headers are too large", f"send at most {HEAD_BYTES // 1024} KiB of them")

    def on_headers_complete(self) -> None:
        self._head_bytes = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._head_bytes = 0
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, msg, "send HTTP/1.1 with a method of docs/http.md")

    def _refuse(self, status: int, detail: str, remedy: str) -> None:
        response = problem(status, detail, remedy=remedy)
        headers = b"".join(b"%b: %b\r\n" % header for header in response.raw_headers)
        head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nconnection: close\r\n".encode() + headers
        self.transport.write(head + b"\r\n" + bytes(response.body))
        self.transport.close()


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers (what a signal means is the engine's business), and without its
    clock: it would wake ten times a second for the Date header alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()
        self.ended = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def main_loop(self) -> None:
        await self.ended.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self.config.timeout_graceful_shutdown:
            await super().shutdown(sockets)  # takes 0.1 s at least
        else:
            for server in self.servers:
                server.close()


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        raise BadInput(
            f"cannot listen on {host}:{port}: {error.strerror}",
            field="listen",
            remedy="choose another address with --listen HOST:PORT",
        ) from error
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
