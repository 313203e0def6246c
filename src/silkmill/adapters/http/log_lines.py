"""Which frames of a log a reader asked for, and in which shape they are given."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, TypedDict

from fastapi import Query
from msgspec import Meta

from silkmill.adapters.http.names import Grep
from silkmill.adapters.http.times import aware
from silkmill.domain.task import Task
from silkmill.master.logs import LogReader, Wanted, parse_needle
from silkmill.master.logs.sieve import Sieve
from silkmill.master.logs.wanted import frame_time, parse_where
from silkmill.protocol.logframe import STDERR, STDOUT, Frame, parse_frame, parse_frames
from silkmill.protocol.loglevel import Level

Stream = Literal["stdout", "stderr", "system"]
LevelName = Literal["debug", "info", "warning", "error", "critical"]
AtLeast = Annotated[LevelName | None, Query(description="Lines of this level and of worse ones.")]
Where = Annotated[list[str], Query(description="NAME=VALUE: messages that have all these fields.")]
Since = Annotated[datetime | None, Query(description="Lines since then, as RFC 3339.")]


class _Frame(TypedDict):
    time: str
    stream: str
    partial: Annotated[bool, Meta(description="No newline follows the text.")]


class FrameShape(_Frame, total=False):
    """A line of a log; it has `text`, or `base64` where it is not UTF-8."""

    text: str
    base64: str


def wanted(
    stream: Annotated[
        Stream | None, Query(description="Lines of this stream; stdout with its messages.")
    ] = None,
    grep: Grep = None,
    level: AtLeast = None,
    where: Where = [],  # noqa: B006
    since: Since = None,
) -> Wanted:
    """The query of every route that gives lines. Raises BadInput."""
    moment = aware(since)
    return Wanted(
        stream=stream.encode() if stream else None,
        needle=parse_needle(grep) if grep else None,
        level=Level[level.upper()] if level else None,
        where=parse_where(where),
        since=frame_time(moment) if moment else None,
    )


@dataclass(frozen=True, slots=True)
class Choice:
    """`raw`: the spider's bytes instead of frames, and nothing else."""

    wanted: Wanted
    raw: bool = False

    async def frames(self, reader: LogReader, task: Task, number: int, offset: int) -> AsyncIterator[bytes]:
        """Chosen frames from `offset` to the end of what is stored, some at a time."""
        if self.wanted == Wanted():
            async for page in reader.pages(task, number, offset):
                yield page.data
            return
        async for found in reader.search(task, number, self.wanted, offset=offset):
            if found.hits:
                yield b"".join(hit.line for hit in found.hits)

    async def last_frames(self, reader: LogReader, task: Task, number: int, lines: int) -> bytes:
        """The last `lines` chosen frames, none for 0."""
        if not lines:
            return b""
        if not self.wanted.any_line:
            hits = await reader.last(task, number, self.wanted, lines)
            return b"".join(hit.line for hit in hits)
        page = await reader.tail(task, number, lines, self.wanted.stream)
        return (await reader.sifted(page, Sieve(self.wanted))).data

    def shaped(self, frames: bytes) -> bytes:
        """Frames as they are given to the reader."""
        if not self.raw:
            return frames
        return b"".join(frame.original() for frame in parse_frames(frames) if frame.tag in (STDOUT, STDERR))


def frame_views(frames: bytes) -> list[FrameShape]:
    return [frame_view(frame) for line in frames.split(b"\n")[:-1] if (frame := parse_frame(line))]


def frame_view(frame: Frame) -> FrameShape:
    """Text as JSON text where it is UTF-8, else in base64: every byte arrives."""
    view = FrameShape(time=frame.time.decode(), stream=frame.tag.decode(), partial=frame.partial)
    try:
        view["text"] = frame.text.decode()
    except UnicodeDecodeError:
        view["base64"] = base64.b64encode(frame.text).decode()
    return view
