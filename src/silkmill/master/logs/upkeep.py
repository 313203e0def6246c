"""After an attempt: its log is merged into one object, and the chunks go an hour later."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

import structlog

from silkmill.domain.attempt import AttemptRef, ClosedAttempt
from silkmill.domain.fields import with_fields
from silkmill.domain.task import Task, log_upkeep_at, with_closed
from silkmill.master.logs.cap import Change
from silkmill.master.logs.chunks import log_folder
from silkmill.master.logs.encoder import encode
from silkmill.master.logs.layout import Log, LogDamaged
from silkmill.master.logs.merged import BLOCK_BYTES
from silkmill.master.statistics import delete_series
from silkmill.ports.bucket import Bucket
from silkmill.ports.store import Store

ALL_RECORDS = 2**63 - 1

_log = structlog.get_logger(__name__)


class LogUpkeep:
    """Any master may run it, also two at once: the swap of the record decides whose object counts."""

    def __init__(self, store: Store, bucket: Bucket, change: Change) -> None:
        self._store = store
        self._bucket = bucket
        self._change = change

    async def upkeep(self, task: Task, now: datetime) -> None:
        """Do what is due for the closed attempts of a task; a repeat after any crash goes on.

        A damaged log stays as it is, is named once in the engine's own log, and is due again a day later.
        Raises Unavailable."""
        for number in task.dropped:
            await self._delete(AttemptRef(task.id, number))
        for closed in task.history:
            due = log_upkeep_at(closed)
            if due is None or due > now:
                continue
            if closed.merged_at is None:
                await self._merge(task, closed, now)
            else:
                await self._delete_leftovers(task, closed)

    async def _merge(self, task: Task, closed: ClosedAttempt, now: datetime) -> None:
        """Object, then record, then the tail records go. The chunks stay for readers that have begun."""
        ref = AttemptRef(task.id, closed.number)
        name = f"{log_folder(ref)}merged-{secrets.token_hex(8)}"
        try:
            log = await Log.open(self._store, self._bucket, task, closed.number)
            async with aclosing(encode(_blocks(log), log.end)) as pieces:
                await self._bucket.put_stream(name, pieces)
        except LogDamaged as damage:
            if closed.log_damaged_at is None:
                _log.error("log.damaged", attempt=str(ref), error=str(damage))
            await self._change(task.id, partial(_with, ref, log_damaged_at=now))
            return
        changed = await self._change(task.id, lambda task: _with_object(task, ref, name, now))
        merged = _closed(changed, ref)
        if merged is None or merged.log_object != name:
            await self._bucket.delete([name])  # another master was first
        if merged is not None and merged.log_object is not None:
            await self._store.delete_log_tail(ref, before=ALL_RECORDS)

    async def _delete_leftovers(self, task: Task, closed: ClosedAttempt) -> None:
        ref = AttemptRef(task.id, closed.number)
        names = await self._bucket.names(log_folder(ref))
        await self._bucket.delete([name for name in names if name != closed.log_object])
        await self._store.delete_log_tail(ref, before=ALL_RECORDS)
        await self._change(task.id, partial(_with, ref, chunks_deleted=True))

    async def _delete(self, ref: AttemptRef) -> None:
        """All of a log that nobody can ask for any more, and the statistics that go with it."""
        await self._bucket.delete(await self._bucket.names(log_folder(ref)))
        await self._store.delete_log_tail(ref, before=ALL_RECORDS)
        await delete_series(self._store, ref)
        await self._change(ref.task_id, partial(_without_dropped, ref.number))


async def _blocks(log: Log) -> AsyncIterator[tuple[int, bytes]]:
    """The log cut at frame ends into what is compressed on its own; the gap is stepped over."""
    offset = 0
    while offset < log.end:
        if log.gap is not None and log.in_gap(offset):
            offset = log.gap[1]
            continue
        data = await log.read(offset, BLOCK_BYTES)
        if not log.stops_at(offset + len(data)):
            data = data[: data.rfind(b"\n") + 1] or data
        yield offset, data
        offset += len(data)


def _with_object(task: Task, ref: AttemptRef, name: str, now: datetime) -> Task | None:
    closed = _closed(task, ref)
    if closed is None or closed.log_object is not None or task.expiry.logs_at is not None:
        return None
    return with_closed(task, replace(closed, log_object=name, merged_at=now, log_damaged_at=None))


def _with(ref: AttemptRef, task: Task, **changes: Any) -> Task | None:
    closed = _closed(task, ref)
    changed = closed and replace(closed, **changes)
    return None if changed is None or changed == closed else with_closed(task, changed)


def _without_dropped(number: int, task: Task) -> Task | None:
    rest = tuple(other for other in task.dropped if other != number)
    return None if rest == task.dropped else with_fields(task, dropped=rest)


def _closed(task: Task, ref: AttemptRef) -> ClosedAttempt | None:
    return next((past for past in task.history if past.number == ref.number), None)
