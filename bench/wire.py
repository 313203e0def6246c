"""A TCP proxy on the loopback: it keeps what clients send to a server, and counts what they get."""

from __future__ import annotations

import re
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

PIECE = 64 * 1024
HEAD_ENDS = b"\r\n\r\n"
BODY_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request as it was sent: its method and target, and the bytes of its body."""

    line: str
    body: int


class Wire(socketserver.ThreadingTCPServer):
    """Sizes are bytes of the TCP streams; the packets around them are not counted."""

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), _Relay)
        parts = urlsplit(upstream)
        self.upstream = (parts.hostname or "", parts.port or 0)
        self.forget()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def sent_bytes(self) -> int:
        return sum(map(len, self.sent))

    @property
    def requests(self) -> list[Request]:
        return [request for stream in self.sent for request in _requests(bytes(stream))]

    def forget(self) -> None:
        self.sent: list[bytearray] = []
        self.received_bytes = 0


@contextmanager
def wire(upstream: str) -> Iterator[Wire]:
    """A proxy before the server at the url `upstream`."""
    with Wire(upstream) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join()


class _Relay(socketserver.BaseRequestHandler):
    """One connection of a client, and one to the server."""

    server: Wire
    request: socket.socket

    def handle(self) -> None:
        sent = bytearray()
        self.server.sent.append(sent)
        with socket.create_connection(self.server.upstream) as upstream:
            down = threading.Thread(target=self._bring_answers, args=(upstream,))
            down.start()
            while piece := self.request.recv(PIECE):
                sent += piece
                upstream.sendall(piece)
            upstream.shutdown(socket.SHUT_WR)
            down.join()

    def _bring_answers(self, upstream: socket.socket) -> None:
        while piece := upstream.recv(PIECE):
            self.server.received_bytes += len(piece)
            self.request.sendall(piece)


def _requests(stream: bytes) -> Iterator[Request]:
    while stream:
        head, _, rest = stream.partition(HEAD_ENDS)
        length = BODY_LENGTH.search(head)
        body = int(length.group(1)) if length else 0
        line = head.partition(b"\r\n")[0].decode("latin-1").rpartition(" ")[0]
        yield Request(line, body)
        stream = rest[body:]
