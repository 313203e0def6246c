"""Appends to the log of an open attempt: small batches into the store, a full tail into a chunk."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field

from silkmill.domain.attempt import AttemptRef
from silkmill.domain.task import Task, appended, check_writer
from silkmill.master.logs.cap import Change, drop_middle, over_cap
from silkmill.master.logs.chunks import CHUNK_BYTES, chunk_name
from silkmill.master.logs.tail import join_tail, tail_start
from silkmill.ports.bucket import Bucket
from silkmill.ports.store import Store

REMEMBERED_ATTEMPTS = 1024


@dataclass(slots=True)
class _Tail:
    """What this process remembers of one attempt: bytes `start` to `end` are in tail records.

    `end` is None until it was read from the store, and after anything went wrong."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    start: int = 0
    end: int | None = None
    has_records: bool = False
    capped_at: int = 0
    """The `start` for which the cap was last looked at."""


class LogWriter:
    """One per master. Any number of masters may write: the store decides, memory only saves reads."""

    def __init__(self, store: Store, bucket: Bucket, change: Change) -> None:
        self._store = store
        self._bucket = bucket
        self._change = change
        self._tails: OrderedDict[AttemptRef, _Tail] = OrderedDict()

    async def append(
        self, task: Task, ref: AttemptRef, session: str, offset: int, data: bytes, *, log_cap: int = 0
    ) -> int:
        """Store `data` at `offset` of the log; returns how much of the log is stored afterwards.

        `log_cap`: bytes of the log that are kept, 0 for all (see cap.py). A repeat changes nothing.
        Raises StaleAttempt, StaleSession, OffsetMismatch, Unavailable (repeat it)."""
        check_writer(task, ref, session)
        tail = self._tail(task, ref, len(data))
        async with tail.lock:
            try:
                stored = await self._append(tail, ref, session, offset, data)
                await self._keep_below(log_cap, tail, task, ref)
            except BaseException:
                tail.end = None
                raise
            return stored

    async def _keep_below(self, cap: int, tail: _Tail, task: Task, ref: AttemptRef) -> None:
        """Looks once after every new chunk, and again after a failure."""
        if cap and tail.capped_at < tail.start:
            if over_cap(task, ref, tail.start, cap):
                await drop_middle(self._store, self._bucket, self._change, ref, tail.start, cap)
            tail.capped_at = tail.start

    async def _append(self, tail: _Tail, ref: AttemptRef, session: str, offset: int, data: bytes) -> int:
        stored = tail.end
        if stored != offset:
            stored = await self._recall(tail, ref, session)
        if appended(stored, offset, len(data)):
            return stored
        if offset - tail.start + len(data) < CHUNK_BYTES:
            return await self._append_record(tail, ref, session, offset, data)
        return await self._append_chunk(tail, ref, session, offset, data)

    async def _append_record(
        self, tail: _Tail, ref: AttemptRef, session: str, offset: int, data: bytes
    ) -> int:
        positions = await self._store.append_log(ref, session, offset, data)
        tail.has_records = True
        return _moved(tail, offset + len(data), positions.log_offset)

    async def _append_chunk(
        self, tail: _Tail, ref: AttemptRef, session: str, offset: int, data: bytes
    ) -> int:
        """Object, then position, then the tail records go: a crash after each leaves every byte readable."""
        if tail.start < offset:
            held = join_tail(await self._store.log_tail(ref), tail.start, offset)
            if held is None:  # another master made a chunk of it since
                await self._recall(tail, ref, session)
                return await self._append(tail, ref, session, offset, data)
            data = held + data
        end = tail.start + len(data)
        await self._bucket.put(chunk_name(ref, tail.start, len(data)), data)
        positions = await self._store.move_log(ref, session, offset, end - offset)
        if tail.has_records:
            await self._store.delete_log_tail(ref, before=end)
        tail.start, tail.has_records = end, False
        return _moved(tail, end, positions.log_offset)

    async def _recall(self, tail: _Tail, ref: AttemptRef, session: str) -> int:
        """Read what the store holds of the attempt, and check the fence on it."""
        task = check_writer(await self._store.task(ref.task_id), ref, session)
        records = await self._store.log_tail(ref)
        stored = task.positions.log_offset
        tail.start = tail_start(records, stored)
        tail.end, tail.has_records = stored, bool(records)
        return stored

    def _tail(self, task: Task, ref: AttemptRef, length: int) -> _Tail:
        tail = self._tails.get(ref)
        if tail is None:
            # Most logs are one small append, which needs no read: if `task` is old, the store refuses it.
            first = task.positions.log_offset == 0 and length < CHUNK_BYTES
            tail = self._tails[ref] = _Tail(end=0, has_records=True) if first else _Tail()
        self._tails.move_to_end(ref)
        if len(self._tails) > REMEMBERED_ATTEMPTS:
            self._tails.popitem(last=False)
        return tail


def _moved(tail: _Tail, expected: int, stored: int) -> int:
    """Remember the new end, unless the store is further: then another master wrote, and memory is void."""
    tail.end = stored if stored == expected else None
    return stored
