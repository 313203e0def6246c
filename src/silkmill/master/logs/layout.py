"""Where the bytes of one attempt's log are now: tail records, chunks or the merged object, in one row."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial

from silkmill.domain.attempt import AttemptRef, ClosedAttempt
from silkmill.domain.errors import NotFound, SilkmillError
from silkmill.domain.task import Task
from silkmill.master.logs.chunks import list_chunks, log_folder
from silkmill.master.logs.merged import MergedLog, UnreadableObject
from silkmill.ports.bucket import Bucket
from silkmill.ports.store import Store

_GONE = (NotFound, UnreadableObject)


class LogDamaged(SilkmillError):
    """Bytes that were acknowledged cannot be read: the bucket lost or spoilt an object."""

    def __init__(self, ref: AttemptRef, offset: int) -> None:
        self.ref, self.offset = ref, offset
        super().__init__(
            f"the log of attempt {ref} is damaged: what holds byte {offset} is missing or unreadable; "
            f"look for objects below {log_folder(ref)} that are gone from the bucket"
        )


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes `start` to `end` of the log; `load(position, length)` counts from the part's start."""

    start: int
    end: int
    load: Callable[[int, int], Awaitable[bytes]]


class Log:
    """One log as it was when it was opened; laid out anew when its bytes have moved meanwhile."""

    def __init__(self, store: Store, bucket: Bucket, task: Task, number: int) -> None:
        self._store = store
        self._bucket = bucket
        self.ref = AttemptRef(task.id, number)
        self.merged: MergedLog | None = None
        self._describe(task)

    @classmethod
    async def open(cls, store: Store, bucket: Bucket, task: Task, number: int) -> Log:
        """Raises NotFound when the task has no such attempt, and LogDamaged."""
        log = cls(store, bucket, task, number)
        try:
            await log._lay_out(task)
        except _GONE:
            await log._look_again(0)
        return log

    def _describe(self, task: Task) -> ClosedAttempt | None:
        """Bytes beyond `end` do not exist; those of `gap` were dropped; a closed log does not grow."""
        closed = next((past for past in task.history if past.number == self.ref.number), None)
        self.closed = closed is not None
        if closed is not None:
            self.end, self.gap = closed.log_offset, closed.log_gap
        elif task.attempt is not None and task.attempt.number == self.ref.number:
            self.end, self.gap = task.positions.log_offset, task.attempt.log_gap
        else:
            raise NotFound("attempt", str(self.ref))
        return closed

    async def _lay_out(self, task: Task) -> None:
        closed = self._describe(task)
        if closed is not None and closed.log_object is not None:
            self.merged = await MergedLog.open(self._bucket, closed.log_object)
            parts = self._blocks(self.merged)
        else:
            self.merged = None
            parts = await self._tail_and_chunks()
        self._parts = _in_a_row(parts)
        self._starts = [part.start for part in self._parts]

    def _blocks(self, merged: MergedLog) -> list[Part]:
        async def load(number: int, position: int, length: int) -> bytes:
            return (await merged.read_block(number))[position : position + length]

        return [
            Part(block.start, block.end, partial(load, number)) for number, block in enumerate(merged.blocks)
        ]

    async def _tail_and_chunks(self) -> list[Part]:
        """The tail is read first: bytes move from there into chunks, never back."""
        records = await self._store.log_tail(self.ref)
        parts = []
        for record in records:
            parts.append(Part(record.offset, record.offset + len(record.data), partial(_slice, record.data)))
        for chunk in await list_chunks(self._bucket, self.ref):
            load = partial(self._bucket.get_range, chunk.name)
            parts.append(Part(chunk.start, chunk.end, load))
        return parts

    def stops_at(self, offset: int) -> bool:
        """Whether no frame goes on at `offset`: there the gap begins, or a closed log ends."""
        return (self.closed and offset >= self.end) or (self.gap is not None and offset == self.gap[0])

    def begins_at(self, offset: int) -> bool:
        """Whether a frame is known to begin at `offset`."""
        if offset == 0 or (self.gap is not None and offset in self.gap):
            return True
        return self.merged is not None and self._starts[self.block_at(offset)] == offset

    def block_at(self, offset: int) -> int:
        """The number of the part that holds `offset`: of a merged log, the number of the block."""
        return max(0, bisect_right(self._starts, offset) - 1)

    def in_gap(self, offset: int) -> bool:
        return self.gap is not None and self.gap[0] <= offset < self.gap[1]

    async def read(self, offset: int, limit: int) -> bytes:
        """Up to `limit` bytes from `offset`, but none of the gap or beyond the end. Raises LogDamaged."""
        pieces = []
        while limit > 0 and (piece := await self._read_part(offset, limit)):
            pieces.append(piece)
            offset += len(piece)
            limit -= len(piece)
        return b"".join(pieces)

    async def _read_part(self, offset: int, limit: int) -> bytes:
        try:
            return await self._load(offset, limit)
        except (LogDamaged, *_GONE):
            await self._look_again(offset)
        try:
            return await self._load(offset, limit)
        except _GONE as error:
            raise LogDamaged(self.ref, offset) from error

    async def _look_again(self, offset: int) -> None:
        """The record tells where bytes went that are not where they were: chunk, object, or gap."""
        task = await self._store.task(self.ref.task_id)
        if task is None:
            raise NotFound("task", self.ref.task_id)
        try:
            await self._lay_out(task)
        except _GONE as error:
            raise LogDamaged(self.ref, offset) from error

    async def _load(self, offset: int, limit: int) -> bytes:
        end = self.gap[0] if self.gap is not None and offset < self.gap[0] else self.end
        if offset >= end or self.in_gap(offset):
            return b""
        number = bisect_right(self._starts, offset) - 1
        part = self._parts[number] if number >= 0 else None
        if part is None or offset >= part.end:
            raise LogDamaged(self.ref, offset)
        wanted = min(limit, part.end - offset, end - offset)
        data = await part.load(offset - part.start, wanted)
        if len(data) != wanted:
            raise LogDamaged(self.ref, offset + len(data))
        return data


async def _slice(data: bytes, position: int, length: int) -> bytes:
    return data[position : position + length]


def _in_a_row(parts: Iterable[Part]) -> list[Part]:
    """By start, without those inside another: then the last one that begins before an offset holds it."""
    row: list[Part] = []
    for part in sorted(parts, key=lambda part: (part.start, -part.end)):
        if not row or part.end > row[-1].end:
            row.append(part)
    return row
