"""The intake: makes tasks of what is submitted, one at a time or many in one submission."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import replace

import msgspec
import structlog

from silkmill.domain.errors import BadInput, Conflict, Duplicate, NotFound, Unavailable
from silkmill.domain.group import Group
from silkmill.domain.ids import order_of, task_id_in_group, uuid7
from silkmill.domain.task import Task
from silkmill.master.admission import Admission
from silkmill.master.dispatcher import Dispatcher
from silkmill.master.submission import Submission, checked, task_of
from silkmill.master.tasks import Tasks
from silkmill.master.versions import Versions
from silkmill.ports.bucket import Bucket
from silkmill.ports.clock import Clock
from silkmill.ports.store import Store, Stored
from silkmill.runtime import faults

MAX_LINES = 100_000
LINES_PER_INSERT = 1_000

_log = structlog.get_logger(__name__)
_lines = msgspec.json.Decoder(list[Submission])


class Intake:
    """What it has answered is committed. A submission of many is all or nothing: its group record decides."""

    def __init__(
        self,
        store: Store,
        bucket: Bucket,
        tasks: Tasks,
        versions: Versions,
        dispatcher: Dispatcher,
        admission: Admission,
        clock: Clock,
    ) -> None:
        self._store, self._bucket, self._clock = store, bucket, clock
        self._tasks, self._versions, self._dispatcher = tasks, versions, dispatcher
        self._admission = admission
        self._last_order = 0
        self.may_be_cut_short = True
        """Some submission may have a group record but not all of its tasks: see `finish_groups`."""

    async def submit(self, submission: Submission) -> Task:
        """One pending task. Raises BadInput, NotFound, EngineLeaves, Unavailable (then it may have been
        made)."""
        with self._admission.submitting():
            ready = await self._check(submission)
            now = self._clock.now()
            # Submissions of one millisecond keep their order too.
            self._last_order = max(self._last_order + 1, order_of(now))
            task = task_of(ready, uuid7(now, secrets.token_bytes(10)), now, self._last_order)
            self._admission.admit([task.id])
            return await self._dispatcher.insert(task)

    async def submit_group(
        self, lines: Sequence[Submission], key: str | None, body: bytes
    ) -> tuple[Group, list[str]]:
        """Tasks for all lines, or for none; answers with the group and the task ids, line by line.

        `body` is what the submitter sent: a repeat of `key` with the same body makes nothing new, with
        another one it raises BadInput. Errors name the line. After Unavailable, repeat it with the key.
        Raises EngineLeaves too."""
        with self._admission.submitting():
            return await self._submit_group(lines, key or secrets.token_hex(16), body)

    async def _submit_group(
        self, lines: Sequence[Submission], key: str, body: bytes
    ) -> tuple[Group, list[str]]:
        digest = hashlib.sha256(body).hexdigest()
        stored, fresh = await self._store.record(Group, key), False
        ready = [] if stored else await self._check_all(lines)
        try:
            if stored is None:
                stored, fresh = await self._commit_group(ready, key, digest)
            _check_body(stored.value, digest)
            ids = _ids_of(stored.value)
            self._admission.admit(ids)
            group = await self._complete(stored, fresh=fresh)
        except (Unavailable, asyncio.CancelledError):
            self.may_be_cut_short = True
            raise
        return group, ids

    async def finish_groups(self) -> int:
        """Complete the submissions that a crash has cut short; answers how many there were."""
        self.may_be_cut_short = False
        try:
            finished = await self._finish_groups()
        except Unavailable:
            self.may_be_cut_short = True
            raise
        if finished:
            _log.info("submissions completed that were cut short", groups=finished)
        return finished

    async def _finish_groups(self) -> int:
        finished, after = 0, ""
        while page := await self._store.records(Group, after=after):
            for stored in page:
                if not stored.value.complete:
                    await self._complete(stored, fresh=False)
                    finished += 1
            after = page[-1].key
        return finished

    async def _check_all(self, lines: Sequence[Submission]) -> list[Submission]:
        if not 0 < len(lines) <= MAX_LINES:
            raise BadInput(
                f"{len(lines)} lines in one submission",
                field="lines",
                remedy=f"give 1 to {MAX_LINES:,} lines",
            )
        pins: dict[tuple[str, str], str] = {}
        return [await self._check_line(index, line, pins) for index, line in enumerate(lines)]

    async def _check_line(self, index: int, line: Submission, pins: dict[tuple[str, str], str]) -> Submission:
        try:
            if line.version is None and (line.project, line.spider) not in pins:
                spider = await self._versions.spider(line.project, line.spider)
                pins[line.project, line.spider] = spider.version
            return await self._check(replace(line, version=line.version or pins[line.project, line.spider]))
        except (BadInput, NotFound) as error:
            field = getattr(error, "field", None) or "spider"
            raise BadInput(
                f"line {index + 1}: {getattr(error, 'detail', error)}",
                field=f"lines[{index}].{field}",
                remedy=error.remedy,
            ) from error

    async def _check(self, submission: Submission) -> Submission:
        version = submission.version
        if version is None:
            version = (await self._versions.spider(submission.project, submission.spider)).version
        config = await self._versions.config(submission.project, submission.spider, version)
        return checked(submission, version, config)

    async def _commit_group(
        self, lines: list[Submission], key: str, digest: str
    ) -> tuple[Stored[Group], bool]:
        """The group record is the commit of the submission; the lines, checked and pinned, lie in the bucket.

        Also whether this call made the record, so that nobody else has begun with its tasks."""
        name = f"groups/{digest[:32]}-{secrets.token_hex(8)}"
        await self._bucket.put(name, msgspec.json.encode(lines))
        group = Group(key, digest, name, len(lines), self._clock.now())
        try:
            await self._store.insert_record(key, group)
        except Duplicate:  # the same submission at the same time, or an answer that was lost
            fresh = False
        else:
            fresh = True
        await faults.point("intake.after_group")
        stored = await self._store.record(Group, key)
        assert stored is not None
        return stored, fresh

    async def _complete(self, stored: Stored[Group], *, fresh: bool) -> Group:
        group = stored.value
        if group.complete:
            return group
        lines = _lines.decode(await self._bucket.get(group.object_name))
        for start in range(0, group.count, LINES_PER_INSERT):
            await self._tasks.insert(
                [
                    task_of(
                        lines[index],
                        task_id_in_group(group.created_at, group.key, index),
                        group.created_at,
                        order_of(group.created_at, index),
                        group.key,
                    )
                    for index in range(start, min(start + LINES_PER_INSERT, group.count))
                ],
                fresh=fresh,
            )
            await faults.point("intake.between_inserts")
        return await self._mark_complete(stored)

    async def _mark_complete(self, stored: Stored[Group]) -> Group:
        complete = replace(stored.value, complete=True)
        try:
            await self._store.replace_record(stored, complete, secrets.token_hex(8))
        except Conflict:  # the only change of a group record is this one
            _log.debug("another repeat completed the submission", key=stored.key)
        return complete


def _ids_of(group: Group) -> list[str]:
    return [task_id_in_group(group.created_at, group.key, index) for index in range(group.count)]


def _check_body(group: Group, digest: str) -> None:
    if group.body_sha256 != digest:
        raise BadInput(
            f"the key {group.key!r} was used for another submission",
            field="Idempotency-Key",
            remedy="use a new key for a new submission",
        )
