"""Submissions of several tasks: committed as one record, completed after any crash, forgotten after a day."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta

import msgspec
import structlog

from silkmill.domain.errors import Conflict, Duplicate, NotFound, Unavailable
from silkmill.domain.group import Group
from silkmill.domain.ids import order_of, task_id_in_group
from silkmill.domain.task import Task
from silkmill.master.records import every_record
from silkmill.master.submission import Submission, task_of
from silkmill.master.tasks import Tasks
from silkmill.ports.bucket import Bucket
from silkmill.ports.clock import Clock
from silkmill.ports.store import Store, Stored
from silkmill.runtime import faults
from silkmill.runtime.loop import in_turns

TICK_SECONDS = 600.0
KEPT = timedelta(hours=24)
"""How long a key stands for its submission."""
ORPHANED = KEPT + timedelta(hours=1)
"""An object this old without a record is not waiting for one: its submitter was cut short."""
LINES_PER_INSERT = 1_000
FOLDER = "groups/"

_log = structlog.get_logger(__name__)
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Submission)


class Groups:
    """The lines, checked and pinned, lie in the bucket; the record that names them is the commit."""

    def __init__(self, store: Store, bucket: Bucket, tasks: Tasks, clock: Clock) -> None:
        self._store, self._bucket, self._tasks, self._clock = store, bucket, tasks, clock
        self.may_be_cut_short = True
        """Some submission may have a group record but not all of its tasks: see `finish`."""

    @contextmanager
    def noting_cuts(self) -> Iterator[None]:
        """Around a submission, whose end may not come."""
        try:
            yield
        except (Unavailable, asyncio.CancelledError):
            self.may_be_cut_short = True
            raise

    async def kept(self, key: str) -> Stored[Group] | None:
        """The submission that `key` stands for. One that is older than a day is completed and forgotten."""
        stored = await self._store.record(Group, key)
        if stored is None or self._clock.now() < stored.value.created_at + KEPT:
            return stored
        await self._forget(stored)
        return None

    async def commit(
        self, lines: Sequence[bytes], key: str, digest: str, *, keyed: bool
    ) -> tuple[Stored[Group], bool]:
        """The record of this submission, or of the one that was faster with the same key; and whether this
        call made it, so that nobody else has begun with its tasks."""
        now = self._clock.now()
        name = _object_name(now)
        await self._bucket.put(name, b"\n".join(lines))
        try:
            await self._store.insert_record(key, Group(key, digest, name, len(lines), now, keyed=keyed))
        except Duplicate:  # the same submission at the same time, or an answer that was lost
            fresh = False
        else:
            fresh = True
        await faults.point("intake.after_group")
        stored = await self._store.record(Group, key)
        assert stored is not None
        if stored.value.object_name != name:
            await self._bucket.delete([name])
        return stored, fresh

    async def complete(self, stored: Stored[Group], ids: list[str], *, fresh: bool) -> Group:
        """Insert what is missing of its tasks; `ids` are those of all of them."""
        group = stored.value
        if group.complete:
            return group
        async for tasks in _tasks_of(group, ids, await self._bucket.get(group.object_name)):
            await self._tasks.insert(tasks, fresh=fresh)
            await faults.point("intake.between_inserts")
        return await self._mark_complete(stored)

    async def lines(self, group: Group) -> AsyncIterator[tuple[int, Submission]]:
        """All its lines again, by number from 0."""
        body = await self._bucket.get(group.object_name)
        async for index, line in in_turns(enumerate(body.split(b"\n"))):
            yield index, _decoder.decode(line)

    async def finish(self) -> int:
        """Complete the submissions that a crash has cut short; answers how many there were."""
        self.may_be_cut_short = False
        finished = 0
        with self.noting_cuts():
            async for stored in every_record(self._store, Group):
                finished += await self._finish(stored)
        if finished:
            _log.info("submissions completed that were cut short", groups=finished)
        return finished

    async def tick(self) -> None:
        """Forget what nobody may repeat any more, with its objects. Raises Unavailable."""
        now = self._clock.now()
        named = set()
        async for stored in every_record(self._store, Group):
            if now < stored.value.created_at + KEPT:
                named.add(stored.value.object_name)
            else:
                await self._forget(stored)
        names = await self._bucket.names(FOLDER)
        await self._bucket.delete(
            [name for name in names if name not in named and name < _object_name(now - ORPHANED)]
        )

    async def _forget(self, stored: Stored[Group]) -> None:
        """Its tasks first, then the object, which nobody reads of a complete one, then the record."""
        await self._finish(stored)
        await self._bucket.delete([stored.value.object_name])
        latest = await self._store.record(Group, stored.key)
        if latest is not None and latest.value.created_at == stored.value.created_at:
            with suppress(Conflict):  # another master was faster
                await self._store.delete_record(latest)

    async def _finish(self, stored: Stored[Group]) -> bool:
        """Whether there was something to do."""
        if stored.value.complete:
            return False
        try:
            await self.complete(stored, await ids_of(stored.value), fresh=False)
        except NotFound as lost:
            _log.error("submission cannot be completed", key=stored.key, cause=str(lost))
        return True

    async def _mark_complete(self, stored: Stored[Group]) -> Group:
        complete = replace(stored.value, complete=True)
        try:
            await self._store.replace_record(stored, complete, secrets.token_hex(8))
        except Conflict:  # the only change of a group record is this one
            _log.debug("another repeat completed the submission", key=stored.key)
        return complete


async def ids_of(group: Group) -> list[str]:
    """The ids of its tasks, line by line."""
    at, key = group.created_at, group.key
    return [task_id_in_group(at, key, index) async for index in in_turns(range(group.count))]


async def _tasks_of(group: Group, ids: list[str], body: bytes) -> AsyncIterator[list[Task]]:
    """The tasks of all lines, some at a time."""
    tasks: list[Task] = []
    async for index, line in in_turns(enumerate(body.split(b"\n"))):
        order = order_of(group.created_at, index)
        tasks.append(task_of(_decoder.decode(line), ids[index], group.created_at, order, group.key))
        if len(tasks) == LINES_PER_INSERT:
            yield tasks
            tasks = []
    if tasks:
        yield tasks


def encoded(line: Submission) -> bytes:
    """How a line of a submission is stored."""
    return _encoder.encode(line)


def _object_name(at: datetime) -> str:
    """Sorts by time, to the millisecond, so that orphans are known by their names."""
    return f"{FOLDER}{int(at.timestamp() * 1000):013}-{secrets.token_hex(8)}"
