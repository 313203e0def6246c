"""Which frames of a log a reader asked for, and in which shape they are given."""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from typing import Any, Literal

from silkmill.domain.task import Task
from silkmill.master.logs import LogPage, LogReader
from silkmill.master.logs.pages import lines_of
from silkmill.master.logs.search import EXPRESSION_BYTES, Needle, parse_needle
from silkmill.protocol.logframe import STDERR, STDOUT, Frame, parse_frame, parse_frames

Stream = Literal["stdout", "stderr", "system"]
PIECE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Choice:
    """`stream` and `needle`: which frames. `raw`: the spider's bytes instead of frames, and nothing else."""

    stream: bytes | None = None
    needle: Needle | None = None
    raw: bool = False

    @classmethod
    def of(cls, stream: Stream | None, grep: str | None, *, raw: bool = False) -> Choice:
        """Raises BadInput for a `grep` that is no expression."""
        return cls(stream.encode() if stream else None, parse_needle(grep) if grep else None, raw)

    async def frames(self, reader: LogReader, task: Task, number: int, offset: int) -> AsyncIterator[bytes]:
        """Chosen frames from `offset` to the end of what is stored, some at a time."""
        if self.needle is not None:
            hits = reader.search(task, number, self.needle, offset=offset, stream=self.stream)
            async for piece in _in_pieces(hit.line async for hit in hits):
                yield piece
            return
        async for page in reader.pages(task, number, offset):
            yield self.of_page(page)

    async def last_frames(self, reader: LogReader, task: Task, number: int, lines: int) -> bytes:
        """The last `lines` chosen frames. A search has to go through the whole log for them."""
        if self.needle is None:
            return self.of_page(await reader.tail(task, number, lines, self.stream))
        hits = reader.search(task, number, self.needle, stream=self.stream)
        return b"".join(deque([hit.line async for hit in hits], maxlen=lines))

    def of_page(self, page: LogPage) -> bytes:
        """The chosen frames of a page."""
        if self.stream is None and self.needle is None:
            return page.data
        return b"".join(line for _, line in lines_of(page, self.stream) if self._matches(line))

    def shaped(self, frames: bytes) -> bytes:
        """Frames as they are given to the reader."""
        if not self.raw:
            return frames
        return b"".join(frame.original() for frame in parse_frames(frames) if frame.tag in (STDOUT, STDERR))

    def _matches(self, line: bytes) -> bool:
        if self.needle is None:
            return True
        text = line.split(b" ", 3)[-1][:-1]
        if isinstance(self.needle, bytes):
            return self.needle in text
        return self.needle.search(text, 0, EXPRESSION_BYTES) is not None


def frame_views(frames: bytes) -> list[dict[str, Any]]:
    return [_view(frame) for line in frames.split(b"\n")[:-1] if (frame := parse_frame(line))]


def _view(frame: Frame) -> dict[str, Any]:
    """Text as JSON text where it is UTF-8, else in base64: every byte arrives."""
    view: dict[str, Any] = {
        "time": frame.time.decode(),
        "stream": frame.tag.decode(),
        "partial": frame.partial,
    }
    try:
        return view | {"text": frame.text.decode()}
    except UnicodeDecodeError:
        return view | {"base64": base64.b64encode(frame.text).decode()}


async def _in_pieces(lines: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    held: list[bytes] = []
    size = 0
    async for line in lines:
        held.append(line)
        size += len(line)
        if size >= PIECE_BYTES:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)
