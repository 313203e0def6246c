"""The independent checker: reads database, bucket and the spiders' records; imports nothing of silkmill."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zstandard


@dataclass(frozen=True, slots=True)
class StoredTask:
    """A row of `tasks` and its document."""

    id: str
    state: str
    attempt: int | None
    log_offset: int
    items_offset: int
    items_count: int
    doc: dict[str, Any]

    @property
    def history(self) -> list[dict[str, Any]]:
        return list(self.doc["history"])

    @property
    def accepted(self) -> dict[str, Any]:
        return next(closed for closed in self.history if closed["accepted"])


class Evidence:
    """What a data directory holds. Each look opens it anew, and so sees the commits of a running engine."""

    def __init__(self, data: Path) -> None:
        self.data = data

    def tasks(self) -> dict[str, StoredTask]:
        rows = self._query("SELECT id, state, attempt, log_offset, items_offset, items_count, doc FROM tasks")
        return {row[0]: StoredTask(*row[:6], json.loads(row[6])) for row in rows}

    def task(self, task_id: str) -> StoredTask:
        return self.tasks()[task_id]

    def items(self, task: StoredTask, attempt: int | None = None) -> list[bytes]:
        """The items that exist: those below the attempt's count, each ordinal once and in order."""
        number, count = self._extent(task, attempt, "items_count")
        rows = self._query(
            "SELECT ordinal, data FROM items"
            " WHERE task_id = ? AND attempt = ? AND ordinal < ? ORDER BY ordinal",
            task.id,
            number,
            count,
        )
        assert [row[0] for row in rows] == list(range(count)), (
            f"ordinals of {task.id}.{number} are not 0..{count - 1}"
        )
        return [bytes(row[1]) for row in rows]

    def every_item(self) -> Iterator[tuple[str, int, int, bytes]]:
        """(task, attempt, ordinal, bytes) of all that lies in the table, whether it is visible or not."""
        with closing(self._connect()) as connection:
            yield from connection.execute(
                "SELECT task_id, attempt, ordinal, data FROM items ORDER BY task_id, attempt, ordinal"
            )

    def log(self, task: StoredTask, attempt: int | None = None) -> bytes:
        """The framed log of an attempt. A running engine may merge it after the task was read: that changes
        the record before anything is deleted, and so it is read once more from where the record points."""
        try:
            return self._log(task, attempt)
        except AssertionError:
            now = self.task(task.id)
            if now.history == task.history:
                raise
            return self._log(now, attempt)

    def _log(self, task: StoredTask, attempt: int | None) -> bytes:
        """Put together from tail records, chunks or the merged object."""
        number, end = self._extent(task, attempt, "log_offset")
        closed = next((past for past in task.history if past["number"] == number), {})
        if closed.get("log_object"):
            return self._merged(closed["log_object"], end)
        pieces = [(int(r[0]), bytes(r[1])) for r in self._tail(task.id, number)]
        pieces += self._chunks(task.id, number)
        whole = bytearray()
        for start, data in sorted(pieces, key=lambda piece: (piece[0], -len(piece[1]))):
            assert start <= len(whole), f"the log of {task.id}.{number} lacks bytes {len(whole)}..{start}"
            whole += data[len(whole) - start :]
        assert len(whole) >= end, f"the log of {task.id}.{number} ends at {len(whole)}, not {end}"
        return bytes(whole[:end])

    def stream(self, task: StoredTask, tag: str, attempt: int | None = None) -> bytes:
        """One stream byte for byte, as the spider wrote it."""
        out = bytearray()
        for frame_tag, kind, text in _frames(self.log(task, attempt)):
            if frame_tag == tag.encode():
                out += text + (b"\n" if kind == b"F" else b"")
        return bytes(out)

    def integrity(self) -> None:
        assert self._query("PRAGMA integrity_check") == [("ok",)]

    def _extent(self, task: StoredTask, attempt: int | None, field: str) -> tuple[int, int]:
        number = attempt or task.attempt or task.accepted["number"]
        if number == task.attempt:
            return number, int(getattr(task, field))
        closed = next(past for past in task.history if past["number"] == number)
        return number, int(closed[field])

    def _tail(self, task_id: str, number: int) -> list[Any]:
        return self._query(
            'SELECT "offset", data FROM log_tail WHERE task_id = ? AND attempt = ?', task_id, number
        )

    def _chunks(self, task_id: str, number: int) -> list[tuple[int, bytes]]:
        found = []
        for path in (self.data / "bucket").rglob("*"):
            match = re.fullmatch(r"0*(\d+)-0*(\d+)", path.name)
            if match and path.is_file() and f"{task_id}/{number}/" in path.as_posix():
                content = path.read_bytes()
                assert len(content) == int(match[2]), f"{path} is not as long as its name says"
                found.append((int(match[1]), content))
        return found

    def _merged(self, name: str, end: int) -> bytes:
        with (self.data / "bucket" / name).open("rb") as file:
            reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
            return reader.read(end)

    def _query(self, sql: str, *values: Any) -> list[Any]:
        with closing(self._connect()) as connection:
            return connection.execute(sql, values).fetchall()

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{self.data / 'silkmill.db'}?mode=ro", uri=True, timeout=30)


def _frames(log: bytes) -> list[tuple[bytes, bytes, bytes]]:
    """(tag, F or P, text) of every frame; the text of a frame holds no newline."""
    found = []
    for line in log.split(b"\n")[:-1]:
        _, tag, kind, text = line.split(b" ", 3)
        assert kind in (b"F", b"P"), f"not a log frame: {line[:200]!r}"
        found.append((tag, kind, text))
    assert log.endswith(b"\n") or not log, "the log ends inside a frame"
    return found
