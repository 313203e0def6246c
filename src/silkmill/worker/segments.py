"""Reads one stream of an attempt by offset, and unlinks segments whose bytes are all acknowledged."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from silkmill.protocol.attemptdir import Segment, list_segments, segment_path

if TYPE_CHECKING:
    from silkmill.protocol.attemptdir import Stream


class MissingBytes(Exception):
    """The stream is shorter on disk than was said, or its beginning is gone: the files were meddled with."""

    def __init__(self, directory: Path, stream: str, offset: int) -> None:
        super().__init__(f"{directory}/{stream}: the bytes from {offset} on are not there")


class SegmentReader:
    """Holds one descriptor at most. Reading from `offset` says that all before it is acknowledged."""

    def __init__(self, directory: Path, stream: Stream) -> None:
        self._directory = directory
        self._stream = stream
        self._descriptor = -1
        self._first = 0

    def read(self, offset: int, limit: int) -> bytes:
        """At most `limit` bytes of one segment; empty where the stream ends for now. Raises MissingBytes."""
        if self._descriptor < 0 and not self._find(offset):
            return b""
        data = self.peek(offset, limit)
        if data or not self._enter_next(offset):
            return data
        return self.peek(offset, limit)

    def peek(self, offset: int, limit: int) -> bytes:
        """Bytes of the segment that was read last; says nothing about acknowledgement."""
        return os.pread(self._descriptor, limit, offset - self._first)

    def seek(self) -> None:
        """The next read may be anywhere."""
        self.close()

    def newlines_between(self, start: int, end: int) -> int:
        """How many lines end in the bytes from `start` to `end`. Raises MissingBytes."""
        found = 0
        for segment in self._segments():
            position = max(start, segment.first)
            if position >= min(end, segment.end):
                continue
            if position > start:
                break
            found += _newlines(segment, position, min(end, segment.end))
            start = min(end, segment.end)
        if start < end:
            raise MissingBytes(self._directory, self._stream, start)
        return found

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _find(self, offset: int) -> bool:
        """Open the segment that holds `offset`, or ends there; drop those before it."""
        if offset == 0 and self._open(0):
            return True
        segments = self._segments()
        holding = [segment for segment in segments if segment.first <= offset <= segment.end]
        if not holding:
            if offset == 0 and not segments:
                return False
            raise MissingBytes(self._directory, self._stream, offset)
        for segment in segments[: segments.index(holding[-1])]:
            os.unlink(segment.path)  # noqa: PTH108
        return self._open(holding[-1].first)

    def _enter_next(self, offset: int) -> bool:
        """A segment that begins where this one ends shows that this one is closed."""
        finished, self._descriptor = self._descriptor, -1
        first = self._first
        if offset == first or not self._open(offset):
            self._descriptor = finished
            return False
        os.close(finished)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(segment_path(str(self._directory), self._stream, first))  # noqa: PTH108
        return True

    def _open(self, first: int) -> bool:
        try:
            self._descriptor = os.open(
                segment_path(str(self._directory), self._stream, first), os.O_RDONLY | os.O_CLOEXEC
            )
        except FileNotFoundError:
            return False
        self._first = first
        return True

    def _segments(self) -> list[Segment]:
        return list_segments(str(self._directory), self._stream)


def _newlines(segment: Segment, start: int, end: int) -> int:
    found = 0
    with open(segment.path, "rb") as file:
        file.seek(start - segment.first)
        while start < end and (data := file.read(min(1 << 20, end - start))):
            found += data.count(b"\n")
            start += len(data)
    return found
