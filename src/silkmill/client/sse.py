"""Server-sent events, read from bytes as they come (WHATWG HTML, section 9.2)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """`name` is `message` when the server named none; `id` is what a resuming client sends back."""

    name: str
    data: str
    id: str | None

    @property
    def value(self) -> Any:
        """The data as JSON, which it is for every event of this API."""
        return json.loads(self.data)


class EventReader:
    """Answers with the events that a piece of the stream completes. Comments are passed over.

    Lines end at `\\n` only: Python's other line ends may stand inside an event's JSON."""

    def __init__(self) -> None:
        self._rest = b""
        self._name = ""
        self._data: list[str] = []
        self._id: str | None = None

    def feed(self, piece: bytes) -> Iterator[ServerEvent]:
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            if line:
                self._take(line.decode())
            elif self._data:
                yield ServerEvent(self._name or "message", "\n".join(self._data), self._id)
                self._name, self._data = "", []

    def _take(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._name = value
        elif name == "data":
            self._data.append(value)
        elif name == "id":
            self._id = value
