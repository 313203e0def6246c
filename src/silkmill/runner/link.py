"""The unix socket on which an agent talks to its runner: JSON lines; the newest connection counts."""

from __future__ import annotations

import json
import os
import socket
from selectors import EVENT_READ, EVENT_WRITE

from silkmill.protocol.attemptdir import encode

TYPE_CHECKING = False  # the typing module would cost every runner half a megabyte
if TYPE_CHECKING:
    from collections.abc import Callable
    from selectors import BaseSelector
    from typing import Any

_READ_BYTES = 64 * 1024


class Link:
    """`on_message` gets every message of the agent. Sending never waits: a slow agent's events are kept."""

    def __init__(
        self, path: str, selector: BaseSelector, on_message: Callable[[dict[str, Any]], None]
    ) -> None:
        self._path = path
        self._selector = selector
        self._on_message = on_message
        self._agent: socket.socket | None = None
        self._events = EVENT_READ
        self._received = bytearray()
        self._to_send = bytearray()
        self._listener, self._inode = _listen(path)
        selector.register(self._listener, EVENT_READ, self._on_connection)

    @property
    def connected(self) -> bool:
        return self._agent is not None

    @property
    def congested(self) -> bool:
        """The agent has not taken what was sent before."""
        return bool(self._to_send)

    def send(self, message: dict[str, Any]) -> None:
        """Queue a message; `flush` sends all queued ones together."""
        if self._agent is not None:
            self._to_send += encode(message) + b"\n"

    def flush(self) -> None:
        if self._agent is None or not self._to_send:
            return
        try:
            del self._to_send[: self._agent.send(self._to_send)]
        except BlockingIOError:
            pass
        except OSError:
            self._drop_agent()
            return
        self._wait_for(EVENT_READ | EVENT_WRITE if self._to_send else EVENT_READ)

    def close(self) -> None:
        self._drop_agent()
        self._selector.unregister(self._listener)
        self._listener.close()
        if _inode_of(self._path) == self._inode:  # else it is the socket of another runner by now
            os.unlink(self._path)

    def _on_connection(self, descriptor: int, now: float) -> None:
        try:
            newest, _ = self._listener.accept()
        except OSError:  # it hung up again
            return
        self._drop_agent()
        newest.setblocking(False)
        self._agent = newest
        self._events = EVENT_READ
        self._selector.register(newest, EVENT_READ, self._on_agent)

    def _on_agent(self, descriptor: int, now: float) -> None:
        if self._agent is None or self._agent.fileno() != descriptor:
            return  # replaced in this very round
        try:
            data = self._agent.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop_agent()
            return
        self._received += data
        *lines, rest = self._received.split(b"\n")
        self._received = rest
        for line in lines:
            self._take(line)

    def _take(self, line: bytearray) -> None:
        try:
            message = json.loads(line)
        except ValueError:  # whoever this is, it is no agent
            self._drop_agent()
            return
        self._on_message(message)

    def _wait_for(self, events: int) -> None:
        if self._agent is not None and events != self._events:
            self._events = events
            self._selector.modify(self._agent, events, self._on_agent)

    def _drop_agent(self) -> None:
        if self._agent is not None:
            self._selector.unregister(self._agent)
            self._agent.close()
            self._agent = None
        self._received = bytearray()
        self._to_send.clear()


def _listen(path: str) -> tuple[socket.socket, int | None]:
    """The socket appears under its name when it can be connected to; one of a dead runner is replaced.

    Also returns the inode of its file."""
    unfinished = f"{path}.new"
    if os.path.exists(unfinished):
        os.unlink(unfinished)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(unfinished)
    listener.listen(4)
    listener.setblocking(False)
    inode = _inode_of(unfinished)
    os.rename(unfinished, path)
    return listener, inode


def _inode_of(path: str) -> int | None:
    try:
        return os.stat(path).st_ino
    except OSError:
        return None
