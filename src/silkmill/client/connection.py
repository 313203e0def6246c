"""HTTP/1.1 over the standard library, for the sync client (why: docs/decisions/client-start-up.md)."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from silkmill.client.calls import Call
from silkmill.client.errors import ConnectionLost, NoServer, Problem
from silkmill.client.server import Server

REUSE_SECONDS = 2.0
"""A kept connection is used again only while the server surely keeps it too: a call that writes must not
meet a closed one, because nobody could say then whether it was carried out."""
CHUNK = 256 * 1024


class Connection:
    """One kept connection for short calls, and one of its own for each stream."""

    def __init__(self, server: Server, timeout_seconds: float) -> None:
        self._server = server
        self._timeout = timeout_seconds
        self._kept: http.client.HTTPConnection | None = None
        self._used_at = 0.0

    def close(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def send(self, call: Call) -> bytes:
        """The whole body of the answer. Raises NoServer, ConnectionLost, Problem."""
        connection = self._kept_or_new()
        with self._losing(connection):
            response = self._request(connection, call)
            body = response.read()
        self._kept, self._used_at = connection, time.monotonic()
        if response.status >= 300:
            raise Problem.of(response.status, body)
        return body

    def chunks(self, call: Call) -> Iterator[bytes]:
        """The body of the answer in pieces, as they come."""
        with self._streaming(call) as response:
            while chunk := response.read1(CHUNK):
                yield chunk
            if response.length:  # read1 takes the end of the connection for the end of the body
                raise http.client.IncompleteRead(b"", response.length)

    @contextmanager
    def _streaming(self, call: Call) -> Iterator[http.client.HTTPResponse]:
        connection = self._open()
        with self._losing(connection):
            try:
                response = self._request(connection, call)
                if response.status >= 300:
                    raise Problem.of(response.status, response.read())
                yield response
            finally:
                connection.close()

    def _request(self, connection: http.client.HTTPConnection, call: Call) -> http.client.HTTPResponse:
        headers = {"Authorization": f"Bearer {self._server.token}", **call.headers}
        connection.request(call.method, call.target, body=call.body, headers=headers)
        return connection.getresponse()

    def _kept_or_new(self) -> http.client.HTTPConnection:
        kept, self._kept = self._kept, None
        if kept is None:
            return self._open()
        if time.monotonic() - self._used_at < REUSE_SECONDS:
            return kept
        kept.close()
        return self._open()

    def _open(self) -> http.client.HTTPConnection:
        parts = urlsplit(self._server.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        try:
            connection = kind(parts.hostname or "", parts.port, timeout=self._timeout)
            connection.connect()
        except (OSError, ValueError, http.client.InvalidURL) as error:
            raise NoServer(
                f"no server answers at {self._server.url}: {error}; start one with `silkmill up`"
            ) from None
        return connection

    @contextmanager
    def _losing(self, connection: http.client.HTTPConnection) -> Iterator[None]:
        try:
            yield
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise ConnectionLost(self._server.url, error) from error
