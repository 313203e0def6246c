"""What a recorded server had told the world: the JSON in its HTTP answers and in its event streams."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.faults.trace import Call

SENDS = ("write", "writev", "sendto", "sendmsg")
_EVENT = re.compile(rb"data: ([^\n]*)\n\n")
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


@dataclass(slots=True)
class KnownTask:
    """The most that was told of a task: its last revision and end, positions of its first attempt."""

    revision: int = 0
    state: str = ""
    items: int = 0
    log_bytes: int = 0

    @property
    def facts(self) -> int:
        """That it was accepted, and what else is known."""
        return 1 + sum(map(bool, (self.revision, self.state, self.items, self.log_bytes)))

    def learn(self, told: dict[str, Any]) -> None:
        self.revision = max(self.revision, told.get("revision", 0))
        self.items = max(self.items, told.get("items", 0))
        self.log_bytes = max(self.log_bytes, told.get("log_bytes", 0))
        if told["state"] in ("finished", "error", "cancelled"):
            self.state = told["state"]


@dataclass(slots=True)
class Told:
    """Played from a recording. An answer counts from the moment at which its last byte is handed over."""

    tasks: dict[str, KnownTask] = field(default_factory=dict)
    versions: set[str] = field(default_factory=set)
    _answers: dict[str, bytes] = field(default_factory=dict)

    def play(self, call: Call) -> None:
        if call.result is None and call.name in SENDS and call.target.startswith("socket:"):
            self._send(call.target, b"".join(call.strings))

    def _send(self, socket: str, data: bytes) -> None:
        """One answer a connection at a time; a new one begins with its status line."""
        held = b"" if data.startswith(b"HTTP/1.1 ") else self._answers.get(socket, b"")
        if not held and not data.startswith(b"HTTP/1.1 "):
            return  # the socket of a runner
        answer = held + data
        values, rest = _values(answer)
        for value in values:
            self._learn(value)
        self._answers[socket] = rest

    def _learn(self, value: dict[str, Any]) -> None:
        for task_id in value.get("ids", []):
            self.tasks.setdefault(task_id, KnownTask())
        for task in value.get("tasks", [value]):
            if "state" in task:
                self.tasks.setdefault(task["id"], KnownTask()).learn(task)
        if "spiders" in value and "files" in value:
            self.versions.add(value["id"])


def _values(answer: bytes) -> tuple[Iterator[dict[str, Any]], bytes]:
    """What the answer says so far, and what of it to keep until more is sent."""
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return iter(()), answer
    if b"text/event-stream" in head:
        texts = _EVENT.findall(body)
        kept = head + end + body[body.rfind(b"\n\n") + 2 :] if texts else answer
        return map(json.loads, texts), kept
    length = _LENGTH.search(head)
    if b"application/json" in head and length and len(body) >= int(length[1]):
        return iter([json.loads(body[: int(length[1])])]), b""
    return iter(()), answer
